// What a run tells must not hold a step twice, wherever the run before was killed.
#include "train/log.h"

#include <gmock/gmock.h>

#include <array>
#include <bit>
#include <cmath>

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

// TFRecord: length [8], its masked CRC-32C [4], data, its masked CRC-32C [4]; here bit by bit.
TEST(RunLog, EventsCarryTheChecksumsThatTensorBoardChecks) {
  const auto crc32c = [](std::string_view bytes) {
    std::uint32_t c = 0xFFFFFFFF;
    for (const char b : bytes) {
      c ^= static_cast<unsigned char>(b);
      for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? (c >> 1) ^ 0x82F63B78 : c >> 1;
    }
    return c ^ 0xFFFFFFFF;
  };
  ASSERT_EQ(crc32c("123456789"), 0xE3069283u);  // the catalogue's check value
  const auto number = [](std::string_view bytes) {
    std::uint64_t n = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) n = n << 8 | static_cast<unsigned char>(bytes[i]);
    return n;
  };
  const auto masked = [&](std::string_view bytes) {
    const std::uint32_t c = crc32c(bytes);
    return static_cast<std::uint32_t>(std::rotl(c, 17) + 0xA282EAD8);
  };
  const test::TempDir dir;
  {
    EventWriter writer(dir.path(), 0);
    for (int i = 1; i < 4; ++i) writer.scalar("loss", i, 1.0 / i);
  }
  std::string bytes;
  for (const auto& e : std::filesystem::directory_iterator(dir.path())) bytes = text(e.path());
  std::string_view left = bytes;
  int records = 0;
  for (; !left.empty(); ++records) {
    ASSERT_GE(left.size(), 16U);
    const std::uint64_t length = number(left.substr(0, 8));
    ASSERT_GE(left.size(), 16 + length);
    EXPECT_EQ(number(left.substr(8, 4)), masked(left.substr(0, 8)));
    EXPECT_EQ(number(left.substr(12 + length, 4)), masked(left.substr(12, length)));
    left.remove_prefix(16 + length);
  }
  EXPECT_GE(records, 4);
}

// By the protobufs' fields: tag, value as float32, step; height before width; no value where there is no
// number.
TEST(RunLog, EventsNameTheirValues) {
  const test::TempDir dir;
  {
    RunLog log(dir.path(), -1, 0);
    log.epoch(0, 0, {{"lr", std::nan("")}, {"loss", std::nan("")}}, {{"MAE", 0.5}});
    log.epoch(1, 7, {{"lr", 0.25}, {"loss", 1.5}}, {{"MAE", 0.75}});
    log.step(1, 7, {{"gradient_norm", 2.0}});
    log.picture("a", 7, Image(20, 10, 3));
  }
  std::string bytes;
  for (const auto& e : std::filesystem::directory_iterator(dir.path()))
    if (e.path().filename().string().find("tfevents") != std::string::npos) bytes = text(e.path());
  const auto scalar = [](const std::string& tag, float value) {
    const auto bits = std::bit_cast<std::array<char, 4>>(value);
    return tag + "\x15" + std::string(bits.begin(), bits.end());
  };
  EXPECT_THAT(bytes, HasSubstr(scalar("val/MAE", 0.5F)));
  EXPECT_THAT(bytes, HasSubstr(scalar("val/MAE", 0.75F)));
  EXPECT_THAT(bytes, HasSubstr(scalar("epoch/lr", 0.25F)));
  EXPECT_THAT(bytes, HasSubstr(scalar("epoch/loss", 1.5F)));
  EXPECT_THAT(bytes, HasSubstr(scalar("train/epoch", 1.0F)));
  EXPECT_THAT(bytes, HasSubstr(scalar("train/gradient_norm", 2.0F)));
  EXPECT_EQ(bytes.find("epoch/loss"), bytes.rfind("epoch/loss"));  // the start has no loss
  EXPECT_THAT(bytes, HasSubstr("val/a"));
  EXPECT_THAT(bytes, HasSubstr(std::string("\x08\x0A\x10\x14\x18\x03")));  // 10 high, 20 wide, RGB
}

}  // namespace
}  // namespace sam2unet::train
