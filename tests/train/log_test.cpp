// What a run tells must not hold a step twice, wherever the run before was killed.
#include "train/log.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "support/message.h"
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

// Whole numbers without a point, others by their shortest spelling; what is no number is null in JSON.
TEST(RunLog, NumbersAreSpelledForBothTables) {
  const test::TempDir dir;
  {
    RunLog log(dir.path(), -1, 0);
    log.step(
        2, 128,
        {{"a", -3.0}, {"b", 999999999999999.0}, {"c", 1e15}, {"d", 0.1}, {"e", std::nan("")}, {"f", 1e-7}});
  }
  EXPECT_EQ(text(dir / "steps.csv"),
            "step,epoch,a,b,c,d,e,f\n128,2,-3,999999999999999,1000000000000000,0.1,nan,1e-07\n");
  EXPECT_EQ(text(dir / "steps.jsonl"),
            "{\"step\":128,\"epoch\":2,\"a\":-3,\"b\":999999999999999,\"c\":1e+15,\"d\":0.1,\"e\":null,"
            "\"f\":1e-07}\n");
}

// Lines that are none of a table's are not kept, and a folder in a table's place is told.
TEST(RunLog, WhatIsNoLineOfItsOwnIsTakenAway) {
  const test::TempDir dir;
  write_file(dir / "log.jsonl", std::string_view("[1]\n{\"step\": 1}\n{\"epoch\": \"1\"}\n{\"epoch\": 0}\n"
                                                 "nonsense\n{\"epoch\": 1}\n{\"epoch\": 2}\n"));
  { RunLog log(dir.path(), 1, 0); }
  EXPECT_EQ(text(dir / "log.jsonl"), "{\"epoch\": 0}\n{\"epoch\": 1}\n");
  { RunLog log(dir.path(), -1, 0); }
  EXPECT_EQ(text(dir / "log.jsonl"), "");
  const test::TempDir other;
  std::filesystem::create_directories(other / "steps.jsonl" / "folder");
  EXPECT_ANY_THROW(RunLog(other.path(), -1, 0));
  const test::TempDir nowhere;
  std::filesystem::create_symlink(nowhere / "no" / "folder", nowhere / "steps.csv");
  EXPECT_EQ(test::message_of<FileError>([&] { RunLog(nowhere.path(), -1, 0); }),
            (nowhere / "steps.csv").string() + ": cannot be written");
}

// The protobuf messages of an event file, field by field.
struct Field {
  int number = 0;
  std::string bytes;        // of a length-delimited one
  std::uint64_t whole = 0;  // of a varint
  double fixed = 0;         // of 64 or 32 bits
};
std::vector<Field> fields(std::string_view message) {
  std::vector<Field> out;
  const auto varint = [&] {
    std::uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const auto b = static_cast<unsigned char>(message.at(0));
      message.remove_prefix(1);
      v |= static_cast<std::uint64_t>(b & 0x7F) << shift;
      if (b < 0x80) return v;
    }
  };
  while (!message.empty()) {
    const std::uint64_t key = varint();
    Field f{static_cast<int>(key >> 3), {}, 0, 0};
    const std::size_t asked = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : (key & 7) == 2 ? varint() : 0;
    const std::size_t size = std::min(asked, message.size());
    f.bytes = message.substr(0, size);
    if ((key & 7) == 0) {
      f.whole = varint();
    } else {
      message.remove_prefix(size);
    }
    if ((key & 7) == 1 && size == 8) std::memcpy(&f.fixed, f.bytes.data(), 8);
    if ((key & 7) == 5 && size == 4) {
      float v = 0;
      std::memcpy(&v, f.bytes.data(), 4);
      f.fixed = v;
    }
    out.push_back(f);
  }
  return out;
}
std::vector<std::vector<Field>> events(const std::filesystem::path& folder) {
  std::string bytes;
  for (const auto& e : std::filesystem::directory_iterator(folder)) {
    const std::string name = e.path().filename();
    if (name.starts_with("events.out.tfevents.") && name.ends_with(".sam2unet")) bytes = text(e.path());
  }
  std::vector<std::vector<Field>> out;
  for (std::string_view left = bytes; left.size() >= 16;) {
    std::uint64_t length = 0;
    std::memcpy(&length, left.data(), 8);
    out.push_back(fields(left.substr(12, length)));
    left.remove_prefix(std::min<std::size_t>(16 + length, left.size()));
  }
  return out;
}

// First the version, then a value each; a fresh run says nothing of a session. Steps of one and of two
// varint bytes, and the time in seconds of our age.
TEST(RunLog, EventsAreWhatTensorBoardReads) {
  const test::TempDir dir;
  {
    EventWriter writer(dir.path(), 0);
    for (const int step : {0, 127, 128, 16384}) writer.scalar("a", step, step / 2.0);
    writer.picture("p", 300, 200, 130, std::as_bytes(std::span("png", 3)));
  }
  const auto all = events(dir.path());
  ASSERT_EQ(all.size(), 6u);
  ASSERT_EQ(all[0].size(), 3u);
  EXPECT_EQ(all[0][2].number, 3);
  EXPECT_EQ(all[0][2].bytes, "brain.Event:2");
  const std::vector<std::uint64_t> steps{0, 0, 127, 128, 16384, 300};
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i][0].number, 1);
    EXPECT_GT(all[i][0].fixed, 1.7e9) << i;  // seconds since 1970: after 2023,
    EXPECT_LT(all[i][0].fixed, 5e9) << i;    // before 2128
    EXPECT_EQ(all[i][1].number, 2);
    EXPECT_EQ(all[i][1].whole, steps[i]);
    if (i == 0) continue;
    ASSERT_EQ(all[i][2].number, 5);
    const auto summary = fields(all[i][2].bytes);
    ASSERT_EQ(summary.size(), 1u);
    EXPECT_EQ(summary[0].number, 1);
    const auto value = fields(summary[0].bytes);
    ASSERT_EQ(value.size(), 2u);
    EXPECT_EQ(value[0].number, 1);
    EXPECT_EQ(value[0].bytes, i < 5 ? "a" : "p");
    EXPECT_EQ(value[1].number, i < 5 ? 2 : 4);
    if (i < 5) {
      EXPECT_EQ(value[1].fixed, static_cast<double>(steps[i]) / 2);
      continue;
    }
    const auto image = fields(value[1].bytes);  // height, width, colours, the file
    ASSERT_EQ(image.size(), 4u);
    EXPECT_EQ(image[0].whole, 130u);
    EXPECT_EQ(image[1].whole, 200u);
    EXPECT_EQ(image[2].whole, 3u);
    EXPECT_EQ(image[3].bytes, "png");
    for (int k = 0; k < 4; ++k) EXPECT_EQ(image[static_cast<std::size_t>(k)].number, k + 1);
  }
}

// Curves of training and of validation are drawn over the same steps.
TEST(RunLog, EventsStandAtTheirSteps) {
  const test::TempDir dir;
  {
    RunLog log(dir.path(), -1, 0);
    log.epoch(3, 600, {{"lr", 0.25}, {"loss", 1.5}}, {{"MAE", 0.75}, {"S", 0.5}});
    log.step(3, 600, {{"gradient_norm", 2.0}});
    log.picture("a", 600, Image(20, 10, 3));
  }
  const auto all = events(dir.path());
  ASSERT_EQ(all.size(), 8u);  // what the format is, the epoch, four of the epoch, one of the step, a picture
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(all[i][1].whole, 600u) << i;
}

TEST(RunLog, EventsThatCannotBeWrittenAreAnErrorThatNamesTheFile) {
  const test::TempDir dir;
  EXPECT_THAT(test::message_of<FileError>([&] { EventWriter(dir / "none", 0); }),
              ::testing::StartsWith((dir / "none" / "events.out.tfevents.").string()));
}

}  // namespace
}  // namespace sam2unet::train
