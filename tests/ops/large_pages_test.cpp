#include "ops/cpu/large_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace sam2unet::ops {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(LargePages, PiecesAreAlignedZeroAndApart) {
  LargePages pages;
  std::vector<std::pair<std::shared_ptr<std::byte>, std::size_t>> pieces;
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{64}, std::size_t{65}, 5 * kMiB, 30 * kMiB, 70 * kMiB, std::size_t{100}}) {
    auto p = pages.take(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p.get()) % LargePages::kAlignment, 0U);
    EXPECT_TRUE(std::all_of(p.get(), p.get() + bytes, [](std::byte b) { return b == std::byte{0}; }))
        << bytes;
    std::memset(p.get(), static_cast<int>(pieces.size()) + 1, bytes);
    pieces.emplace_back(std::move(p), bytes);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto& [p, bytes] = pieces[i];
    EXPECT_TRUE(std::all_of(p.get(), p.get() + bytes, [&](std::byte b) {
      return b == static_cast<std::byte>(i + 1);
    })) << i;
  }
}

TEST(LargePages, PiecesOutliveWhereTheyCameFrom) {
  std::shared_ptr<std::byte> first, second;
  {
    LargePages pages;
    first = pages.take(kMiB);
    second = pages.take(kMiB);
  }
  std::memset(first.get(), 1, kMiB);
  first.reset();
  std::memset(second.get(), 2, kMiB);
  EXPECT_EQ(second.get()[kMiB - 1], std::byte{2});
}

// The flags of the mapping that an address lies in, as the kernel tells them.
std::string flags_of(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  bool is_inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2)
      is_inside = first <= wanted && wanted < last;
    if (is_inside && line.starts_with("VmFlags:")) return line;
  }
  return "";
}

TEST(LargePages, TheSystemIsAskedForThem) {
  LargePages pages;
  const auto p = pages.take(4 * kMiB);
  if (!LargePages::kShareChunks) GTEST_SKIP() << "a sanitizer: each piece stands alone";
  const std::string flags = flags_of(p.get());
  if (flags.empty()) GTEST_SKIP() << "this system does not tell";
  EXPECT_NE(flags.find(" hg"), std::string::npos) << flags;
}

}  // namespace
}  // namespace sam2unet::ops
