// Pictures that are the same but for size, compression or small changes of brightness.
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
};

Fingerprint fingerprint(const Image& picture);

/// At most 12 of the 256 bits differ, and the thumbnails by less than 8 grey levels on average.
bool same_picture(const Fingerprint& a, const Fingerprint& b);

/// Groups of two and more indices whose pictures are the same, each index in at most one group, in rising
/// order.
std::vector<std::vector<std::size_t>> group_duplicates(std::span<const Fingerprint> pictures);

}  // namespace sam2unet::data
