// A run keeps its page up to date, with the same validation pictures after every epoch.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/file.h"
#include "sam2unet/image.h"
#include "sam2unet/runs.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "train/trainer.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RunReport : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    fs::create_directories(dir / "images");
    fs::create_directories(dir / "masks");
    for (int i = 0; i < 12; ++i) {
      Image image(70, 50, 3), mask(70, 50, 1);
      for (int y = 10; y < 30; ++y) {
        std::fill_n(image.row(y) + 3 * (10 + i), 3 * 20, std::uint8_t{220});
        std::fill_n(mask.row(y) + 10 + i, 20, std::uint8_t{255});
      }
      const std::string name = std::string(1, static_cast<char>('a' + i)) + ".png";
      write_png(dir / "images" / name, image);
      write_png(dir / "masks" / name, mask);
    }
    settings.images = settings.val_images = {(dir / "images").string()};
    settings.masks = settings.val_masks = {(dir / "masks").string()};
    settings.network = test::nano_config().to_json();
    settings.size = 64;
    settings.batch = 6;
    settings.epochs = 2;
    settings.threads = 1;
    settings.freeze = "none";
  }

  // The names of the pictures kept by a run of this seed.
  std::set<std::string> kept(std::uint64_t seed) {
    settings.seed = seed;
    settings.out = (dir / ("run" + std::to_string(seed))).string();
    run(settings, /*resume=*/false, listener);
    std::set<std::string> names;
    for (const auto& e : fs::directory_iterator(fs::path(settings.out) / "validation"))
      names.insert(e.path().stem().string());
    return names;
  }

  test::TempDir dir;
  Settings settings;
  Listener listener;
};

TEST_F(RunReport, IsWrittenAndIsWhatTheFolderSays) {
  kept(1);
  const auto bytes = read_file(fs::path(settings.out) / "report.html");
  const std::string html(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_THAT(html, AllOf(HasSubstr("2 of 2 epochs are done"), HasSubstr("Validation pictures"),
                          HasSubstr("best.safetensors"), HasSubstr("embed_dim")));
  const TrainingRun read = read_run(settings.out);
  EXPECT_EQ(html, run_html(read));
  EXPECT_EQ(read.epochs.back().epoch, 2);
  EXPECT_FALSE(read.best_key.empty());
  // The epoch that the page calls best is the one whose weights are best.safetensors.
  const auto weights = [&](const char* name) { return read_file(fs::path(settings.out) / name); };
  EXPECT_EQ(read.epochs[read.best].epoch == 2, weights("best.safetensors") == weights("last.safetensors"));
}

TEST_F(RunReport, PicturesAreTheSameInEveryRunAndNotTheFirst) {
  const std::set<std::string> first = kept(1);
  EXPECT_EQ(first.size(), 8u);  // of twelve, after two epochs: the same ones each time
  EXPECT_EQ(kept(2), first);    // so that runs can be compared
  EXPECT_NE(first, (std::set<std::string>{"a", "b", "c", "d", "e", "f", "g", "h"}));
}

}  // namespace
}  // namespace sam2unet::train
