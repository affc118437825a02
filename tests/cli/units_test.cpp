// Sizes and times of the command line, `--max-upload 32M` and `--deadline 2m`.
#include "cli/units.h"

#include <gtest/gtest.h>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

using std::chrono::milliseconds;

TEST(Units, BytesInTheirUnits) {
  EXPECT_EQ(parse_bytes("17", "--x"), 17U);
  EXPECT_EQ(parse_bytes("17B", "--x"), 17U);
  for (const char* k : {"3K", "3k", "3KiB"}) EXPECT_EQ(parse_bytes(k, "--x"), 3072U) << k;
  for (const char* m : {"1.5M", "1.5MiB"}) EXPECT_EQ(parse_bytes(m, "--x"), 1572864U) << m;
  for (const char* g : {"2G", "2GiB"}) EXPECT_EQ(parse_bytes(g, "--x"), 2147483648U) << g;
  EXPECT_EQ(parse_bytes("1024G", "--x"), std::uint64_t{1} << 40);
}

TEST(Units, TimesInTheirUnits) {
  EXPECT_EQ(parse_time("5ms", "--x"), milliseconds(5));
  EXPECT_EQ(parse_time("30", "--x"), milliseconds(30'000));
  EXPECT_EQ(parse_time("0.25s", "--x"), milliseconds(250));
  for (const char* m : {"2m", "2min"}) EXPECT_EQ(parse_time(m, "--x"), milliseconds(120'000)) << m;
  EXPECT_EQ(parse_time("1440m", "--x"), milliseconds(86'400'000));
  EXPECT_EQ(parse_time("0", "--x"), milliseconds(0));
}

TEST(Units, WhatIsNoneIsRefused) {
  for (const char* bytes : {"", "M", "-1", "0", "0.5", "1025G", "3T", "3 K", "1e3", "nan", "inf"})
    EXPECT_THROW(parse_bytes(bytes, "--x"), UsageError) << bytes;
  for (const char* time : {"", "s", "-1s", "1441m", "2h", "5 s", "nan", "1e9"})
    EXPECT_THROW(parse_time(time, "--x"), UsageError) << time;
}

}  // namespace
}  // namespace sam2unet::cli
