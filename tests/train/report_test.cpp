// A run keeps its page up to date, with the same validation pictures after every epoch.
#include <set>

#include "sam2unet/runs.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RunReport : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    for (int i = 6; i < 12; ++i) write_pair(i, 255);
    settings.val_images = settings.images;
    settings.val_masks = settings.masks;
    settings.epochs = 2;
  }

  // The names of the pictures kept by a run of this seed.
  std::set<std::string> kept(std::uint64_t seed) {
    settings.seed = seed;
    settings.out = (dir / ("run" + std::to_string(seed))).string();
    train();
    std::set<std::string> names;
    for (const auto& e : fs::directory_iterator(fs::path(settings.out) / "validation"))
      names.insert(e.path().stem().string());
    return names;
  }
};

TEST_F(RunReport, IsWrittenAndIsWhatTheFolderSays) {
  kept(1);
  const std::string html = text("report.html");
  EXPECT_THAT(html,
              AllOf(HasSubstr("2 of 2 epochs are done"), HasSubstr("Validation pictures"),
                    HasSubstr("before training"), HasSubstr("best.safetensors"), HasSubstr("embed_dim")));
  const TrainingRun read = read_run(settings.out);
  EXPECT_EQ(html, run_html(read));
  EXPECT_EQ(read.status, "finished");
  ASSERT_EQ(read.epochs.size(), 3u);  // the start, and two
  EXPECT_EQ(read.best_key, "dice.mean");
  // The epoch that the page calls best is the one whose weights are best.safetensors.
  EXPECT_EQ(read.epochs[read.best].epoch == 2, bytes("best.safetensors") == bytes("last.safetensors"));
}

TEST_F(RunReport, SaysThatTheRunWasStopped) {
  listener.stop = [] { return true; };
  train();
  EXPECT_THAT(text("report.html"), HasSubstr("The run was stopped."));
}

TEST_F(RunReport, PicturesAreTheSameInEveryRunAndNotTheFirst) {
  const std::set<std::string> first = kept(1);
  EXPECT_EQ(first.size(), 8u);  // of twelve, after every epoch: the same ones each time
  EXPECT_EQ(kept(2), first);    // so that runs can be compared
  EXPECT_NE(first, (std::set<std::string>{"0", "1", "10", "11", "2", "3", "4", "5"}));
}

}  // namespace
}  // namespace sam2unet::train
