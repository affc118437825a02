#include "data/duplicates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

namespace sam2unet::data {

namespace {

constexpr int kColumns = 17, kRows = 16;
constexpr int kBits = 12;
constexpr int kLevels = 8;
constexpr double kShape = 0.03;

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
  f.width = picture.width;
  f.height = picture.height;
  std::copy(small.pixels.begin(), small.pixels.end(), f.thumbnail.begin());
  std::size_t bit = 0;
  for (int y = 0; y < kRows; ++y) {
    for (int x = 0; x + 1 < kColumns; ++x, ++bit) {
      if (small.row(y)[x + 1] > small.row(y)[x]) f.bits[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
  }
  return f;
}

bool alike(const Fingerprint& a, const Fingerprint& b) {
  if (differing_bits(a, b) > kBits) return false;
  // a.width / a.height against b.width / b.height, without dividing
  const double left = static_cast<double>(a.width) * b.height,
               right = static_cast<double>(b.width) * a.height;
  if (std::abs(left - right) > kShape * std::max(left, right)) return false;
  int difference = 0;
  for (std::size_t i = 0; i < a.thumbnail.size(); ++i)
    difference += std::abs(a.thumbnail[i] - b.thumbnail[i]);
  return difference < kLevels * kColumns * kRows;
}

std::vector<std::vector<std::size_t>> group_duplicates(std::span<const Fingerprint> pictures) {
  std::vector<bool> grouped(pictures.size());
  std::vector<std::vector<std::size_t>> out;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (grouped[i]) continue;
    std::vector<std::size_t> group{i};
    for (std::size_t k = i + 1; k < pictures.size(); ++k) {
      if (grouped[k] || !alike(pictures[i], pictures[k])) continue;
      grouped[k] = true;
      group.push_back(k);
    }
    if (group.size() > 1) out.push_back(std::move(group));
  }
  return out;
}

}  // namespace sam2unet::data
