// What is behind a decoder in a mapped file leaves memory, so that a large file need not lie there whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <ios>
#include <sstream>
#include <string>
#include <vector>

#include "core/file.h"
#include "image/decoders.h"
#include "image/kinds.h"
#include "sam2unet/image.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet::image {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Kilobytes of this mapping that are in memory, as the system counts them; -1 where it does not.
long resident_kb(const MappedFile& file) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream head;
  head << std::hex << reinterpret_cast<std::uintptr_t>(file.bytes().data()) << '-';
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(head.str())) here = true;
    if (here && line.starts_with("Rss:")) return std::stol(line.substr(4));
  }
  return -1;
}

// Brings all of it into memory; false where the system does not count that.
bool touch(const MappedFile& file) {
  volatile int sum = 0;
  for (std::size_t i = 0; i < file.bytes().size(); i += 4096) sum = sum + static_cast<int>(file.bytes()[i]);
  return resident_kb(file) >= static_cast<long>(file.bytes().size() / 1024);
}

const std::uint8_t* at(const MappedFile& file, std::size_t offset) {
  return reinterpret_cast<const std::uint8_t*>(file.bytes().data()) + offset;
}

Source source_of(const MappedFile& file, Behind& behind) {
  Source source;
  source.bytes = {at(file, 0), file.bytes().size()};
  source.name = "x";
  source.max_pixels = 1000;
  source.behind = &behind;
  return source;
}

// Four MiB at a time, and from the first byte again for a decoder that begins again. Where the system has
// pages of two MiB one that is begun may leave as a whole.
TEST(Behind, WhatIsBehindLeavesMemory) {
  const test::TempDir dir;
  write_file(dir / "a", std::string(16 * kMiB, 'x'));
  const MappedFile file(dir / "a");
  if (!touch(file)) GTEST_SKIP() << "the system does not count pages of files";
  const auto gone = [&] { return 16 * 1024 - resident_kb(file); };
  const auto is_about = [](long mib) {
    return testing::AllOf(testing::Ge(mib * 1024), testing::Le(mib * 1024 + 2048));
  };
  Behind behind(file);
  behind.reach(at(file, 4 * kMiB - 1));
  EXPECT_EQ(gone(), 0);
  behind.reach(at(file, 4 * kMiB));
  EXPECT_THAT(gone(), is_about(4));
  behind.reach(at(file, 8 * kMiB - 1));
  EXPECT_THAT(gone(), is_about(4));
  behind.reach(at(file, 10 * kMiB));
  EXPECT_THAT(gone(), is_about(10));
  behind.rewind();
  EXPECT_EQ(gone(), 16 * 1024);
  ASSERT_TRUE(touch(file));
  behind.reach(at(file, 4 * kMiB));
  EXPECT_THAT(gone(), is_about(4));
  Behind none;  // bytes that are no mapped file
  none.reach(at(file, 16 * kMiB));
  none.rewind();
  EXPECT_THAT(gone(), is_about(4));
}

// A PNG is walked through twice: for what stands about the picture, and for the picture.
TEST(Behind, APngLeavesMemoryAsItIsRead) {
  const Image picture = test::picture(5, 4, 3);
  const std::vector<std::byte> png = encode_png(picture);
  const std::string whole(reinterpret_cast<const char*>(png.data()), png.size());
  std::string chunk = std::string("\0\x10\0\0juNk", 8) + std::string(kMiB, '\0');
  std::uint32_t crc = 0xFFFFFFFFu;
  for (std::size_t i = 4; i < chunk.size(); ++i) {
    crc ^= static_cast<std::uint8_t>(chunk[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
  }
  for (int shift = 24; shift >= 0; shift -= 8) chunk += static_cast<char>(~crc >> shift & 255);
  std::string large = whole.substr(0, 33);  // with the header
  for (int i = 0; i < 13; ++i) large += chunk;
  large += whole.substr(33);
  const test::TempDir dir;
  write_file(dir / "a.png", large);
  const MappedFile file(dir / "a.png");
  const bool counts = touch(file);
  Behind behind(file);
  const Decoded got = decode_png(source_of(file, behind));
  EXPECT_EQ(got.image.pixels, picture.pixels);
  if (!counts) GTEST_SKIP() << "the system does not count pages of files";
  EXPECT_LT(resident_kb(file), 6 * 1024);
}

// Comments of 64 KiB each before the picture.
TEST(Behind, AJpegLeavesMemoryAsItIsRead) {
  const std::vector<std::byte> jpeg = read_file(test::repository_data() / "image" / "files" / "rgb.jpg");
  const std::string whole(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
  std::string large = whole.substr(0, 2);
  for (int i = 0; i < 200; ++i) large += std::string("\xFF\xFE\xFF\xFF", 4) + std::string(0xFFFD, 'c');
  large += whole.substr(2);
  const test::TempDir dir;
  write_file(dir / "a.jpg", large);
  const MappedFile file(dir / "a.jpg");
  const bool counts = touch(file);
  Behind behind(file);
  EXPECT_EQ(decode_jpeg(source_of(file, behind)).image.pixels, decode_image(jpeg).pixels);
  if (!counts) GTEST_SKIP() << "the system does not count pages of files";
  EXPECT_LT(resident_kb(file), 6 * 1024);
}

}  // namespace
}  // namespace sam2unet::image
