// SHA-256 (FIPS 180-4): which file it was that something was made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace sam2unet {

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  /// 64 hexadecimal digits, in lower case. Nothing may follow.
  std::string finish();

 private:
  void block(const std::byte* bytes);

  std::array<std::uint32_t, 8> state_{0x6A09E667U, 0xBB67AE85U, 0x3C6EF372U, 0xA54FF53AU,
                                      0x510E527FU, 0x9B05688CU, 0x1F83D9ABU, 0x5BE0CD19U};
  std::array<std::byte, 64> pending_{};
  std::uint64_t size_ = 0;  // bytes so far
};

/// Of a whole file, whose pages are released as they are read. FileError.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace sam2unet
