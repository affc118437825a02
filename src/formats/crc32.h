// CRC-32 as zip has it (IEEE 802.3, reflected polynomial 0xEDB88320).
#pragma once

#include <cstdint>
#include <span>

namespace sam2unet::formats {

/// `before` is the result for the bytes in front of these, to go on from.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace sam2unet::formats
