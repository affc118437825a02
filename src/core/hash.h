// FNV-1a, 64 bits: a fixed fingerprint of text or bytes, the same on every machine. Not for hostile keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sam2unet {

inline constexpr std::uint64_t kFnvOffset = 0xCBF29CE484222325U;

/// `h` is the hash of what came before, so that parts can be hashed in turn.
inline std::uint64_t fnv1a(std::span<const std::byte> bytes, std::uint64_t h = kFnvOffset) {
  for (const std::byte b : bytes) h = (h ^ static_cast<std::uint64_t>(b)) * 0x100000001B3U;
  return h;
}

inline std::uint64_t fnv1a(std::string_view text, std::uint64_t h = kFnvOffset) {
  return fnv1a(std::as_bytes(std::span(text)), h);
}

}  // namespace sam2unet
