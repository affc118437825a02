// The program and its library where the training component is not installed.
#include <algorithm>

#include "cli/predict_fixture.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// Copies of both alone in a folder.
class WithoutComponent : public PredictTest {
 protected:
  WithoutComponent() {
    fs::create_directories(dir / "lib");
    fs::copy_file(program("sam2unet"), dir / "sam2unet");
    for (const auto& e : fs::directory_iterator(program("sam2unet").parent_path().parent_path() / "lib")) {
      const std::string name = e.path().filename();
      if (name.starts_with("libsam2unet.so")) fs::copy_file(e.path(), dir / "lib" / name);
    }
  }
  Finished alone(const std::vector<std::string>& arguments) {
    RunOptions options;
    options.folder = dir.path();
    options.environment = {"LD_LIBRARY_PATH=" + (dir / "lib").string(), "PATH=/nonexistent"};
    return run(dir / "sam2unet", arguments, options);
  }
  static void expect_missing(const Finished& f, const std::string& begin) {
    EXPECT_EQ(f.exit_code, 1);
    EXPECT_THAT(f.err, StartsWith("sam2unet: " + begin));
    EXPECT_THAT(f.err, HasSubstr("is not installed"));
    EXPECT_THAT(f.err, HasSubstr("scripts/torch.sh"));
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
  expect_missing(alone({"train", "--images", "x"}), "the training component");
}

TEST_F(WithoutComponent, DevicesSaySo) {
  put_picture("a.png", 40, 30);
  for (const std::string device : {"cuda", "cuda:1", "torch-cpu"}) {
    expect_missing(
        alone({"predict", "a.png", "-o", "out", "--weights", "tiny.safetensors", "--device", device}),
        "device " + device + " needs the training component");
  }
}

TEST_F(WithoutComponent, VerifySaysSoAndGoesOn) {
  const auto golden = repository_data() / "golden";
  const std::string train = golden / "train_nano_3x96x96_t.safetensors",
                    forward = golden / "forward_nano_1x64x160_c.safetensors";
  const auto f = alone({"verify", train, forward});
  expect_missing(f, train + ": golden values of training: checking them needs the training component");
  EXPECT_THAT(f.out, HasSubstr(train + ": FAILED"));
  EXPECT_THAT(f.out, HasSubstr(forward + ": ok"));
}

}  // namespace
}  // namespace sam2unet::test
