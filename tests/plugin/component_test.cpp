// The program with the training component beside it.
#include <algorithm>
#include <cmath>

#include "cli/predict_fixture.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

TEST_F(PredictTest, TorchCpuWritesTheSameMaps) {
  put_picture("a.png", 70, 50);
  ASSERT_EQ(predict({"a.png", "-o", "own"}).exit_code, 0);
  const auto f = predict({"a.png", "-o", "torch", "--device", "torch-cpu"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const Image own = gray("own/a.png"), torch = gray("torch/a.png");
  ASSERT_EQ(own.pixels.size(), torch.pixels.size());
  int worst = 0;
  for (std::size_t i = 0; i < own.pixels.size(); ++i)
    worst = std::max(worst, std::abs(own.pixels[i] - torch.pixels[i]));
  EXPECT_LE(worst, 1);
}

TEST_F(PredictTest, DevicesAreNamed) {
  put_picture("a.png", 70, 50);
  const auto unknown = predict({"a.png", "-o", "out", "--device", "tpu"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err,
              HasSubstr("device tpu: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu"));
  EXPECT_EQ(predict({"a.png", "-o", "out", "--precision", "f8"}).exit_code, 2);
  EXPECT_EQ(predict({"a.png", "-o", "out", "--device", "torch-cpu", "--precision", "bf16"}).exit_code, 0);
}

TEST_F(PredictTest, WhatTrainPrintsToAFullDiskIsAFailure) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"train", "--help"},
        {"train", "--plan", "--memory", "12G", "--variant", "t"}}) {
    const auto f = run(program("sam2unet"), arguments, {.out_to = "/dev/full"});
    EXPECT_EQ(f.exit_code, 1);
    EXPECT_THAT(f.err, HasSubstr("cannot write to standard output"));
  }
}

TEST_F(PredictTest, EvalPredictsOnADevice) {
  put_picture("images/a.png", 70, 50);
  put_picture("gt/a.png", 70, 50);
  const auto eval = [&](const std::string& device) {
    return predict_plain({"eval", "--images", "images", "--gt", "gt", "--weights", "tiny.safetensors",
                          "--size", "64", "--device", device});
  };
  const auto torch = eval("torch-cpu");
  EXPECT_EQ(torch.exit_code, 0) << torch.err;
  EXPECT_THAT(torch.out, HasSubstr("MAE"));
  EXPECT_EQ(eval("tpu").exit_code, 2);
}

// Files of both kinds in one list; a failed one does not stop the others.
TEST(VerifyCommand, MixedPaths) {
  const auto golden = repository_data() / "golden";
  const std::string forward = golden / "forward_nano_1x64x160_c.safetensors",
                    train = golden / "train_c2_4x32x64_my_tag.safetensors";
  const auto ok = run(program("sam2unet"), {"verify", "-j", "1", forward, train});
  EXPECT_EQ(ok.exit_code, 0) << ok.err;
  EXPECT_THAT(ok.out, HasSubstr(forward + ": ok"));
  EXPECT_THAT(ok.out, HasSubstr(train + ": ok"));
  EXPECT_THAT(ok.out, HasSubstr("gradients, worst "));
  EXPECT_THAT(ok.out, HasSubstr("(at most 1e-09)  ok"));
  const TempDir dir;
  const std::string other = dir / "train_c2_4x32x64_x.safetensors";
  std::filesystem::copy_file(train, other);
  const auto failed = run(program("sam2unet"), {"verify", "-j", "1", other, forward});
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_THAT(failed.out, HasSubstr(other + ": FAILED"));
  EXPECT_THAT(failed.out, HasSubstr(forward + ": ok"));
}

// `sam2unet train` hands everything behind it to the component beside it, and its exit code back.
TEST(Launcher, HandsArgumentsAndExitCodesOn) {
  const auto help = run(program("sam2unet"), {"train", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("Folder of training pictures"));
  const auto nowhere = run(program("sam2unet"), {"train", "--images", "nowhere", "--masks", "nowhere",
                                                 "--variant", "t", "--freeze", "none"});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("nowhere: no such folder"));
  EXPECT_EQ(run(program("sam2unet"), {"train", "--no-such-option"}).exit_code, 2);
}

TEST(Plan, SaysWhatFits) {
  const auto plan = run(program("sam2unet"), {"train", "--plan", "--memory", "12G", "--variant", "t"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out,
              HasSubstr("\nsam2unet train --images DIR --masks DIR --init sam2_hiera_tiny.pt --variant t\n"));
}

}  // namespace
}  // namespace sam2unet::test
