#include "ops/cpu/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace sam2unet::ops {
namespace {

constexpr std::size_t kUnit = 1 << 16;

std::uintptr_t address(const Arena& a, std::size_t block) {
  return reinterpret_cast<std::uintptr_t>(a.data(block));
}

TEST(Arena, WhatIsGivenBackIsJoinedAndTakenAgain) {
  if (!LargePages::kShareChunks) GTEST_SKIP() << "a sanitizer: nothing lies side by side";
  Arena a;
  const auto x = a.take(kUnit), y = a.take(kUnit), z = a.take(kUnit);
  const std::size_t all = a.bytes();
  EXPECT_GE(all, 3 * (kUnit + Arena::kSlack));
  const auto first = address(a, x);
  a.give_back(y);
  a.give_back(x);
  const auto both = a.take(2 * kUnit);  // where x and y were
  EXPECT_EQ(a.bytes(), all);
  EXPECT_EQ(address(a, both), first);
  a.give_back(z);
  a.give_back(both);
  const auto whole = a.take(all - Arena::kSlack);
  EXPECT_EQ(a.bytes(), all);
  a.give_back(whole);
  a.clear();
  EXPECT_EQ(a.bytes(), 0U);
}

TEST(Arena, TakesTheSmallestPlaceAndGrowsByWhatIsMissing) {
  if (!LargePages::kShareChunks) GTEST_SKIP() << "a sanitizer: nothing lies side by side";
  Arena a;
  const auto large = a.take(8 * kUnit), between = a.take(kUnit), small = a.take(2 * kUnit),
             end = a.take(kUnit);
  const auto place = address(a, small);
  a.give_back(large);
  a.give_back(small);
  const auto again = a.take(2 * kUnit);
  EXPECT_EQ(address(a, again), place);
  a.give_back(end);
  const std::size_t before = a.bytes();
  const auto more = a.take(9 * kUnit);  // the free end, and 8 units
  EXPECT_EQ(a.bytes(), before + 8 * kUnit);
  for (const auto b : {between, again, more}) a.give_back(b);
}

TEST(Arena, ABlockIsFreeWhenAllUsersHaveGivenItBack) {
  Arena a;
  const auto x = a.take(kUnit);
  a.share(x);
  EXPECT_EQ(a.users(x), 2);
  a.give_back(x);
  const auto y = a.take(kUnit);
  EXPECT_NE(address(a, x), address(a, y));
  a.give_back(x);
  const auto z = a.take(kUnit);
  a.give_back(y);
  a.give_back(z);
}

TEST(Arena, WhatIsReadPastTheEndIsZero) {
  Arena a;
  auto x = a.take(4 * kUnit);
  std::memset(a.data(x), 0xFF, 4 * kUnit);
  a.give_back(x);
  x = a.take(kUnit);
  const auto* end = reinterpret_cast<const std::byte*>(a.data(x)) + kUnit;
  EXPECT_TRUE(std::all_of(end, end + Arena::kSlack, [](std::byte b) { return b == std::byte{0}; }));
  a.give_back(x);
}

// No two blocks overlap, none is written by another, and the same requests again need nothing new.
TEST(Arena, ManyBlocksInAnyOrder) {
  Arena a;
  std::size_t after_first = 0;
  for (int pass = 0; pass < 3; ++pass) {
    std::mt19937 random(7);
    struct Held {
      std::size_t block, bytes;
      int mark;
    };
    std::vector<Held> held;
    const auto give_back = [&](std::size_t i) {
      const Held h = held[i];
      const auto* p = reinterpret_cast<const std::byte*>(a.data(h.block));
      EXPECT_TRUE(
          std::all_of(p, p + h.bytes, [&](std::byte b) { return b == static_cast<std::byte>(h.mark); }));
      a.give_back(h.block);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
    };
    for (int i = 0; i < 600; ++i) {
      if (held.size() > 20 || (!held.empty() && random() % 2 == 0)) give_back(random() % held.size());
      const std::size_t bytes = 1 + random() % 50'000;
      const int mark = 1 + static_cast<int>(random() % 255);
      const auto block = a.take(bytes);
      EXPECT_EQ(address(a, block) % LargePages::kAlignment, 0U);
      std::memset(a.data(block), mark, bytes);
      held.push_back({block, bytes, mark});
    }
    while (!held.empty()) give_back(held.size() - 1);
    if (pass == 0) after_first = a.bytes();
    EXPECT_EQ(a.bytes(), after_first);
  }
}

}  // namespace
}  // namespace sam2unet::ops
