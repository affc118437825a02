// What an installation is and what it starts: the training component, plug-ins, and what `info` tells of
// them.
#include <nlohmann/json.hpp>

#include "cli/alone_fixture.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

class Installed : public AloneTest {
 protected:
  // A program that tells what it was called with.
  void put_program(const std::string& name, const std::string& script) {
    put(name, "#!/bin/sh\n" + script);
    fs::permissions(dir / name, fs::perms::owner_all);
  }
  std::string version() {
    const std::string said = alone({"--version"}).out;  // "sam2unet 1.2.3\n"
    return said.substr(9, said.size() - 10);
  }
  std::string missing(const std::string& what, const std::string& file, const std::string& how) {
    return "needs " + what + ", which is not installed (" + (dir / "lib" / file).string() + " is missing); " +
           how;
  }
  const std::string of_cuda =
      "build it with cmake --preset release -DSAM2UNET_BUILD_CUDA=ON and cmake --build --preset release";
  const std::string of_training =
      "build it with scripts/torch.sh, then cmake --preset release -DSAM2UNET_BUILD_TRAIN=ON and cmake "
      "--build "
      "--preset release";
};

// Every word goes to the component, --help and what looks like this program's own options too.
TEST_F(Installed, TrainStartsTheComponentBesideTheProgram) {
  put_program("sam2unet-train",
              "echo \"$0\"\nfor a in \"$@\"; do echo \"<$a>\"; done\necho said >&2\nexit 7\n");
  put_program("bin/sam2unet-train", "echo another\n");
  const std::string path = "PATH=" + (dir / "bin").string() + ":/usr/bin:/bin";
  const Finished f = alone({"train", "--images", "a b", "", "--help", "-x", "--", "--version"}, {path});
  EXPECT_EQ(f.exit_code, 7);
  EXPECT_EQ(f.out, (dir / "sam2unet-train").string() +
                       "\n<--images>\n<a b>\n<>\n<--help>\n<-x>\n<-->\n<--version>\n");
  EXPECT_EQ(f.err, "said\n");
  EXPECT_EQ(alone({"train", "--help"}, {path}).out, (dir / "sam2unet-train").string() + "\n<--help>\n");
  fs::remove(dir / "sam2unet-train");
  EXPECT_EQ(alone({"train"}, {path}).out, "another\n");
  fs::permissions(dir / "bin/sam2unet-train", fs::perms::none);
  put("sam2unet-train", "not to be run");
  fs::permissions(dir / "sam2unet-train", fs::perms::owner_read);
  const Finished refused = alone({"train"}, {path});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.err,
            "sam2unet: " + (dir / "sam2unet-train").string() + " cannot be started: Permission denied\n");
}

// OpenMP reads this when it is loaded, so the program starts itself again with it; not where it is told
// otherwise.
TEST_F(Installed, ThreadsWaitBrieflyUnlessToldOtherwise) {
  put_program("sam2unet-train", "echo \"$GOMP_SPINCOUNT|$OMP_WAIT_POLICY|$1\"\n");
  const auto told = [&](std::vector<std::string> variables) {
    variables.insert(variables.begin(), {"-u", "GOMP_SPINCOUNT", "-u", "OMP_WAIT_POLICY"});
    variables.insert(variables.end(), {(dir / "sam2unet").string(), "train", "x"});
    return run("/usr/bin/env", variables,
               {.folder = dir.path(), .environment = {"LD_LIBRARY_PATH=" + (dir / "lib").string()}})
        .out;
  };
  EXPECT_EQ(told({}), "1000||x\n");
  EXPECT_EQ(told({"GOMP_SPINCOUNT=5"}), "5||x\n");
  EXPECT_EQ(told({"OMP_WAIT_POLICY=active"}), "|active|x\n");
}

TEST_F(Installed, InfoLineByLine) {
  const std::string cpu = "version     " + version() +
                          "\ncpu         this processor, by the library's own kernels: f32, bf16, int8\n",
                    cuda = "cuda        an NVIDIA GPU, by kernels of our own: bf16, f32, f16\n",
                    cuda_torch = "cuda-torch  an NVIDIA GPU, by LibTorch: bf16, f32, tf32\n",
                    torch_cpu = "torch-cpu   this processor, by LibTorch: f32, bf16\n",
                    works = "            works: ", fails = "            not usable: ";
  const std::string no_torch =
      fails + missing("the training component", "libsam2unet_torch.so", of_training) + "\n";
  const std::string untried =
      "Nothing was loaded to tell this; --try makes each device ready, and tells whether it works.\n";
  EXPECT_EQ(alone({"info"}).out, cpu + cuda + fails +
                                     missing("the CUDA backend", "libsam2unet_cuda.so", of_cuda) + "\n" +
                                     cuda_torch + no_torch + torch_cpu + no_torch + untried);
  install_cuda();
  EXPECT_EQ(alone({"info"}).out, cpu + cuda + cuda_torch + no_torch + torch_cpu + no_torch + untried);
  EXPECT_EQ(alone({"info", "--try"}).out, cpu + works + "f32\n" + cuda + works + "bf16 by a stand-in\n" +
                                              cuda_torch + no_torch + torch_cpu + no_torch);
}

TEST_F(Installed, InfoAsJson) {
  install_cuda();
  const std::string no_torch = missing("the training component", "libsam2unet_torch.so", of_training);
  const auto device = [](const char* name, const char* description, const Json& precisions,
                         const std::string& problem, const std::string& arithmetic) {
    return Json{{"name", name},
                {"description", description},
                {"precisions", precisions},
                {"usable", problem.empty()},
                {"problem", problem},
                {"arithmetic", arithmetic}};
  };
  for (const bool tried : {false, true}) {
    const Json want{
        {"version", version()},
        {"tried", tried},
        {"devices",
         {device("cpu", "this processor, by the library's own kernels", {"f32", "bf16", "int8"}, "",
                 tried ? "f32" : ""),
          device("cuda", "an NVIDIA GPU, by kernels of our own", {"bf16", "f32", "f16"}, "",
                 tried ? "bf16 by a stand-in" : ""),
          device("cuda-torch", "an NVIDIA GPU, by LibTorch", {"bf16", "f32", "tf32"}, no_torch, ""),
          device("torch-cpu", "this processor, by LibTorch", {"f32", "bf16"}, no_torch, "")}}};
    std::vector<std::string> arguments{"info", "--json"};
    if (tried) arguments.emplace_back("--try");
    EXPECT_EQ(Json::parse(alone(arguments).out), want);
  }
}

// A library that is none, one of something else, and one of another version.
TEST_F(Installed, PlugInsThatAreNoneAreTold) {
  put_picture("a.png", 8, 8);
  const auto says = [&](const std::string& device) {
    const Finished f =
        alone({"predict", "a.png", "-o", "out", "--weights", "tiny.safetensors", "--device", device});
    EXPECT_EQ(f.exit_code, 1);
    return f.err;
  };
  put("lib/libsam2unet_torch.so", "not opened");
  EXPECT_EQ(says("cuda"), "sam2unet: device cuda " +
                              missing("the CUDA backend", "libsam2unet_cuda.so", of_cuda) +
                              ", or choose the device cuda-torch, which is installed\n");
  EXPECT_THAT(says("torch-cpu"),
              AllOf(HasSubstr("device torch-cpu needs the training component, which cannot be loaded: "),
                    testing::EndsWith("; is LibTorch still where it was when it was built?\n")));
  put("lib/libsam2unet_cuda.so", "no library");
  EXPECT_THAT(says("cuda:0"),
              AllOf(HasSubstr("device cuda:0 needs the CUDA backend, which cannot be loaded: "),
                    testing::EndsWith("; is the whole of one build installed?\n")));
  const auto of_version = [&](const std::string& other) {
    return "sam2unet: device cuda: " + (dir / "lib/libsam2unet_cuda.so").string() + " is of version " +
           other + ", the library of " + version() + "; install both from one build\n";
  };
  fs::remove(dir / "lib/libsam2unet_cuda.so");
  install_cuda("old");
  EXPECT_EQ(says("cuda"), of_version("0.0.1"));
  fs::remove(dir / "lib/libsam2unet_cuda.so");
  for (const auto& e : fs::directory_iterator(program("sam2unet").parent_path().parent_path() / "lib")) {
    const std::string name = e.path().filename();
    if (name.starts_with("libsam2unet_metrics.so"))
      fs::copy_file(e.path(), dir / "lib/libsam2unet_cuda.so", fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(says("cuda"), of_version("unknown"));
}

// Of another device there is neither a peak nor what its operations take.
TEST_F(Installed, BenchOfAnotherDeviceLineByLine) {
  install_cuda();
  const auto bench = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"bench", "--weights", "tiny.safetensors", "--size", "32x64", "-n", "2",
                               "--device", "cuda", "--batch", "3"});
    return alone(more);
  };
  const Finished one = bench({});
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out,
              testing::MatchesRegex("variant     custom, 32x64, batch 3\n"
                                    "computes    bf16 by a stand-in on cuda:0, 1 stream\n"
                                    "latency     min [0-9.]+  median [0-9.]+  p90 [0-9.]+  p99 [0-9.]+ ms\n"
                                    "pictures/s  [0-9.]+\n"
                                    "operations  [0-9.]+ GFLOP, [0-9]+ GFLOP/s\n"
                                    "memory      [0-9]+ MB at most\n"));
  EXPECT_THAT(bench({"--streams", "2"}).out,
              HasSubstr("\ncomputes    bf16 by a stand-in on cuda:0, 2 streams\n"));
  EXPECT_THAT(bench({"--precision", "fp16"}).out,
              HasSubstr("\ncomputes    f16 by a stand-in on cuda:0, 1 stream\n"));
  const Finished profile = bench({"--profile", "p.json"});
  EXPECT_EQ(profile.exit_code, 2);
  EXPECT_EQ(profile.err, "sam2unet: --profile: only the device cpu tells of its operations\n");
  EXPECT_FALSE(exists("p.json"));
  const Json j = Json::parse(bench({"--json", "-"}).out);
  EXPECT_EQ(j.at("floor_ms"), 0.0);
  EXPECT_EQ(j.at("ratio_to_floor"), 0.0);
  EXPECT_EQ(j.at("stages"), Json::array());
}

}  // namespace
}  // namespace sam2unet::test
