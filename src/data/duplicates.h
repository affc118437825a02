// Pictures that are alike: the same but for size, compression or small changes of brightness.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::data {

/// A difference hash of 16x16 bits, and the 17x16 gray picture it was made of.
struct Fingerprint {
  std::array<std::uint64_t, 4> bits{};
  std::array<std::uint8_t, 17 * 16> thumbnail{};
  int width = 0, height = 0;  // of the picture
};

Fingerprint fingerprint(const Image& picture);

/// At most 12 of the 256 bits differ, the thumbnails by less than 8 grey levels on average, and the shapes
/// (width to height) by less than 3 %.
bool alike(const Fingerprint& a, const Fingerprint& b);

/// Groups of two and more indices, each index in at most one group, in rising order: pictures that are alike
/// the first of their group, which in a film are neighbours and not all frames of a slow turn.
std::vector<std::vector<std::size_t>> group_duplicates(std::span<const Fingerprint> pictures);

}  // namespace sam2unet::data
