// What a run tells must not hold a step twice, wherever the run before was killed.
#include "train/log.h"

#include <gmock/gmock.h>

#include "core/file.h"
#include "support/temp_dir.h"

namespace sam2unet::train {
namespace {

using ::testing::HasSubstr;

std::string text(const std::filesystem::path& path) {
  const auto b = read_file(path);
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

TEST(RunLog, TakesAwayWhatIsMadeAgain) {
  const test::TempDir dir;
  {
    RunLog log(dir.path(), 0, 0);
    for (int step = 1; step <= 5; ++step) {
      log.step(1 + (step - 1) / 2, step, {{"loss", 0.5 * step}});
      if (step % 2 == 0) log.epoch(step / 2, step, {{"loss", 0.25}}, {{"MAE", 0.1}});
    }
  }
  // Killed in the middle of a line, with the state still at step 3, inside the second epoch.
  const auto torn = [&](const char* name, const char* rest) {
    write_file(dir / name, text(dir / name) + rest);
  };
  torn("steps.csv", "6,3,");
  torn("steps.jsonl", R"({"step": 6, "ep)");
  torn("log.csv", "3");
  {
    RunLog log(dir.path(), 1, 3);
    log.step(2, 4, {{"loss", 2.5}});
    log.epoch(2, 4, {{"loss", 0.75}}, {{"MAE", 0.125}});
  }
  EXPECT_EQ(text(dir / "steps.csv"), "step,epoch,loss\n1,1,0.5\n2,1,1\n3,2,1.5\n4,2,2.5\n");
  EXPECT_EQ(text(dir / "log.csv"), "epoch,step,loss,MAE\n1,2,0.25,0.1\n2,4,0.75,0.125\n");
  EXPECT_EQ(text(dir / "log.jsonl"),
            "{\"epoch\":1,\"step\":2,\"loss\":0.25,\"MAE\":0.1}\n{\"epoch\":2,\"step\":4,\"loss\":0.75,"
            "\"MAE\":0.125}\n");
  EXPECT_THAT(text(dir / "steps.jsonl"), HasSubstr("{\"step\":3,\"epoch\":2,\"loss\":1.5}\n{\"step\":4,"));
}

// From the very beginning: nothing is left, and the header is written again.
TEST(RunLog, BeginsAfresh) {
  const test::TempDir dir;
  for (int run = 0; run < 2; ++run) {
    RunLog log(dir.path(), 0, 0);
    log.step(1, 1, {{"loss", 1.5}});
  }
  EXPECT_EQ(text(dir / "steps.csv"), "step,epoch,loss\n1,1,1.5\n");
}

// SessionLog START tells TensorBoard from which step on what other files hold is void.
TEST(RunLog, TellsTensorBoardWhereItResumes) {
  const test::TempDir dir;
  EventWriter(dir.path(), 300);
  std::string bytes;
  for (const auto& e : std::filesystem::directory_iterator(dir.path())) bytes = text(e.path());
  EXPECT_THAT(bytes,
              HasSubstr(std::string("\x10\xAD\x02\x3A\x02\x08\x01")));  // step 301, field 7 { status 1 }
}

}  // namespace
}  // namespace sam2unet::train
