#include "data/duplicates.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <numeric>

namespace sam2unet::data {

namespace {

constexpr int kColumns = 17, kRows = 16;
constexpr int kBits = 12;
constexpr int kLevels = 8;

int differing_bits(const Fingerprint& a, const Fingerprint& b) {
  int n = 0;
  for (std::size_t i = 0; i < a.bits.size(); ++i) n += std::popcount(a.bits[i] ^ b.bits[i]);
  return n;
}

}  // namespace

Fingerprint fingerprint(const Image& picture) {
  const Image small =
      resize_pillow(convert_color(picture, ColorMode::gray), kColumns, kRows, ResizeFilter::bilinear);
  Fingerprint f;
  std::copy(small.pixels.begin(), small.pixels.end(), f.thumbnail.begin());
  std::size_t bit = 0;
  for (int y = 0; y < kRows; ++y) {
    for (int x = 0; x + 1 < kColumns; ++x, ++bit) {
      if (small.row(y)[x + 1] > small.row(y)[x]) f.bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
  }
  return f;
}

bool same_picture(const Fingerprint& a, const Fingerprint& b) {
  if (differing_bits(a, b) > kBits) return false;
  int difference = 0;
  for (std::size_t i = 0; i < a.thumbnail.size(); ++i)
    difference += std::abs(a.thumbnail[i] - b.thumbnail[i]);
  return difference < kLevels * kColumns * kRows;
}

std::vector<std::vector<std::size_t>> group_duplicates(std::span<const Fingerprint> pictures) {
  std::vector<std::size_t> first(pictures.size());
  std::iota(first.begin(), first.end(), std::size_t{0});
  const auto root = [&](std::size_t i) {
    while (first[i] != i) i = first[i] = first[first[i]];
    return i;
  };
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (!same_picture(pictures[i], pictures[k])) continue;
      const std::size_t a = root(i), b = root(k);
      first[std::max(a, b)] = std::min(a, b);
    }
  }
  std::map<std::size_t, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < pictures.size(); ++i) groups[root(i)].push_back(i);
  std::vector<std::vector<std::size_t>> out;
  for (auto& [head, members] : groups) {
    if (members.size() > 1) out.push_back(std::move(members));
  }
  return out;
}

}  // namespace sam2unet::data
