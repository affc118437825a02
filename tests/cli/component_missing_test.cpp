// The program and its library where a plug-in is not installed, or another one is.
#include <algorithm>

#include "cli/alone_fixture.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class WithoutComponent : public AloneTest {
 protected:
  Finished predict_on(const std::string& device) {
    return alone({"predict", "a.png", "-o", "out", "--weights", "tiny.safetensors", "--device", device});
  }
  static void expect_missing(const Finished& f, const std::string& begin, const std::string& remedy) {
    EXPECT_EQ(f.exit_code, 1);
    EXPECT_THAT(f.err, StartsWith("sam2unet: " + begin));
    EXPECT_THAT(f.err, HasSubstr("is not installed"));
    EXPECT_THAT(f.err, HasSubstr(remedy));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1);
  }
};

TEST_F(WithoutComponent, ItsOwnBackendWorks) {
  put_picture("a.png", 40, 30);
  const auto f = alone({"predict", "a.png", "-o", "out", "--weights", "tiny.safetensors", "--size", "64"});
  EXPECT_EQ(f.exit_code, 0) << f.err;
  EXPECT_TRUE(exists("out/a.png"));
}

TEST_F(WithoutComponent, TrainSaysSo) {
  expect_missing(alone({"train", "--images", "x"}), "the training component", "scripts/torch.sh");
}

TEST_F(WithoutComponent, DevicesSaySo) {
  put_picture("a.png", 40, 30);
  for (const std::string device : {"cuda-torch", "cuda-torch:1", "torch-cpu"})
    expect_missing(predict_on(device), "device " + device + " needs the training component",
                   "scripts/torch.sh");
  for (const std::string device : {"cuda", "cuda:1"}) {
    const auto f = predict_on(device);
    expect_missing(f, "device " + device + " needs the CUDA backend", "-DSAM2UNET_BUILD_CUDA=ON");
    EXPECT_THAT(f.err, Not(HasSubstr("cuda-torch")));
  }
}

// The other plug-in is named, and not taken unasked.
TEST_F(WithoutComponent, CudaNamesCudaTorchWhereThatIsInstalled) {
  put_picture("a.png", 40, 30);
  put("lib/libsam2unet_torch.so", "not opened");
  const auto f = predict_on("cuda");
  expect_missing(f, "device cuda needs the CUDA backend",
                 "or choose the device cuda-torch, which is installed");
  EXPECT_FALSE(exists("out/a.png"));
}

TEST_F(WithoutComponent, WhatCannotBeLoadedSaysWhy) {
  put_picture("a.png", 40, 30);
  put("lib/libsam2unet_torch.so", "no library");
  put("lib/libsam2unet_cuda.so", "no library");
  for (const std::string device : {"cuda", "cuda-torch"}) {
    const auto f = predict_on(device);
    EXPECT_EQ(f.exit_code, 1);
    EXPECT_THAT(f.err, HasSubstr("device " + device + " needs the "));
    EXPECT_THAT(f.err, HasSubstr("cannot be loaded: "));
  }
}

TEST_F(WithoutComponent, NoModelsAreToldWithTheirFolder) {
  const auto f = alone({"models", "verify"}, {"SAM2UNET_MODELS=" + (dir / "none").string()});
  EXPECT_EQ(f.exit_code, 0) << f.err;
  EXPECT_EQ(f.out, "no models in " + (dir / "none").string() + "\n");
}

TEST_F(WithoutComponent, VerifySaysSoAndGoesOn) {
  const auto golden = repository_data() / "golden";
  const std::string train = golden / "train_nano_3x96x96_t.safetensors",
                    forward = golden / "forward_nano_1x64x160_c.safetensors";
  const auto f = alone({"verify", train, forward});
  expect_missing(f, train + ": golden values of training: checking them needs the training component",
                 "scripts/torch.sh");
  EXPECT_THAT(f.out, HasSubstr(train + ": FAILED"));
  EXPECT_THAT(f.out, HasSubstr(forward + ": ok"));
}

}  // namespace
}  // namespace sam2unet::test
