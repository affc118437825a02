// Names of devices and what each computes in, on a stand-in for the CUDA backend.
#include <nlohmann/json.hpp>

#include "cli/alone_fixture.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

class Devices : public AloneTest {
 protected:
  Devices() { put_picture("a.png", 40, 30); }
  Finished predict_with(std::vector<std::string> more) {
    std::vector<std::string> all{"predict",          "a.png",  "-o", "out", "-v", "--weights",
                                 "tiny.safetensors", "--size", "64"};
    all.insert(all.end(), more.begin(), more.end());
    return alone(all);
  }
};

TEST_F(Devices, CudaIsThePlugInBesideTheLibrary) {
  install_cuda();
  for (const std::string device : {"cuda", "cuda:0"}) {
    const auto f = predict_with({"--device", device});
    EXPECT_EQ(f.exit_code, 0) << f.err;
    EXPECT_THAT(f.err, HasSubstr("computes bf16 by a stand-in on cuda:0"));  // what `auto` means there
    EXPECT_TRUE(exists("out/a.png"));
  }
  for (const std::string precision : {"fp32", "bf16", "fp16", "f16"}) {
    const auto f = predict_with({"--device", "cuda", "--precision", precision});
    EXPECT_EQ(f.exit_code, 0) << f.err;
    EXPECT_THAT(f.err, HasSubstr((precision[0] == 'f' && precision[1] == 'p' ? "f" + precision.substr(2)
                                                                             : precision) +
                                 " by a stand-in"));
  }
}

TEST_F(Devices, WhatThePlugInRefusesIsTold) {
  install_cuda();
  const auto f = predict_with({"--device", "cuda:1"});
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_EQ(f.err, "sam2unet: device cuda:1: this machine has 1 GPU, counted from 0\n");
}

TEST_F(Devices, APlugInOfAnotherVersionIsRefused) {
  install_cuda("old");
  const auto f = predict_with({"--device", "cuda"});
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_THAT(f.err, HasSubstr("libsam2unet_cuda.so is of version 0.0.1, the library of "));
  EXPECT_THAT(f.err, HasSubstr("install both from one build"));
}

TEST_F(Devices, WrongNamesAreTold) {
  for (const std::string device : {"tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda-torch:", "cudatorch",
                                   "torch-cpu:0", "cpu:0", ""}) {
    const auto f = predict_with({"--device", device});
    EXPECT_EQ(f.exit_code, 2) << device;
    EXPECT_THAT(f.err, HasSubstr("device " + device +
                                 ": must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu"));
  }
}

nlohmann::json device_of(const nlohmann::json& all, const std::string& name) {
  for (const auto& d : all.at("devices"))
    if (d.at("name") == name) return d;
  return {};
}

TEST_F(Devices, InfoTellsWhichThereAreWithoutLoadingThem) {
  put("lib/libsam2unet_torch.so", "no library");  // would fail if it were loaded
  const auto f = alone({"info", "--json"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const auto all = nlohmann::json::parse(f.out);
  EXPECT_EQ(all.at("tried"), false);
  EXPECT_EQ(all.at("devices").size(), 4U);
  EXPECT_TRUE(device_of(all, "cpu").at("usable"));
  EXPECT_EQ(device_of(all, "cpu").at("precisions"), (nlohmann::json{"f32", "bf16", "int8"}));
  EXPECT_TRUE(device_of(all, "cuda-torch").at("usable"));
  const auto cuda = device_of(all, "cuda");
  EXPECT_FALSE(cuda.at("usable"));
  EXPECT_THAT(cuda.at("problem").get<std::string>(),
              testing::AllOf(HasSubstr("needs the CUDA backend, which is not installed"),
                             HasSubstr("-DSAM2UNET_BUILD_CUDA=ON")));
  EXPECT_THAT(alone({"info"}).out, HasSubstr("not usable: needs the CUDA backend"));
}

TEST_F(Devices, InfoTriesThemWhereThatIsAskedFor) {
  install_cuda();
  put("lib/libsam2unet_torch.so", "no library");
  const auto f = alone({"info", "--try", "--json"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const auto all = nlohmann::json::parse(f.out);
  EXPECT_EQ(all.at("tried"), true);
  EXPECT_EQ(device_of(all, "cuda").at("arithmetic"), "bf16 by a stand-in");
  EXPECT_EQ(device_of(all, "cpu").at("arithmetic"), "f32");
  const auto torch = device_of(all, "torch-cpu");
  EXPECT_FALSE(torch.at("usable"));
  EXPECT_THAT(torch.at("problem").get<std::string>(), HasSubstr("which cannot be loaded"));
}

TEST_F(Devices, InfoOfNoFileIsOfTheInstallationAlone) {
  EXPECT_EQ(alone({"info", "--tensors"}).exit_code, 2);
  EXPECT_EQ(alone({"info", "--try", "tiny.safetensors"}).exit_code, 2);
}

// Before a plug-in is looked for.
TEST_F(Devices, PrecisionsThatADeviceHasNotAreTold) {
  struct Case {
    std::string device, precision, what;
  };
  for (const auto& [device, precision, what] : std::vector<Case>{
           {"cpu", "tf32",
            "precision tf32: the device cpu computes in f32, bf16 or int8; for tf32 choose the device "
            "cuda-torch"},
           {"cpu", "fp16",
            "precision f16: the device cpu computes in f32, bf16 or int8; for f16 choose the device cuda"},
           {"cuda", "int8",
            "precision int8: the device cuda computes in bf16, f32 or f16; for int8 choose the device "
            "cpu"},
           {"cuda", "tf32",
            "the device cuda computes in bf16, f32 or f16; for tf32 choose the device cuda-torch"},
           {"cuda-torch:1", "f16", "the device cuda-torch computes in bf16, f32 or tf32"},
           {"torch-cpu", "tf32", "the device torch-cpu computes in f32 or bf16"}}) {
    for (const std::string command : {"predict", "bench"}) {
      const auto f = command == "predict" ? predict_with({"--device", device, "--precision", precision})
                                          : alone({"bench", "--weights", "tiny.safetensors", "--size", "64",
                                                   "-n", "1", "--device", device, "--precision", precision});
      EXPECT_EQ(f.exit_code, 2) << f.err;
      EXPECT_THAT(f.err, HasSubstr(what));
    }
  }
}

}  // namespace
}  // namespace sam2unet::test
