// The 512 bytes before each member of a tar file (POSIX.1-1988 "ustar"): where its fields lie.
#pragma once

#include <cstddef>

namespace sam2unet::tar {

inline constexpr std::size_t kBlock = 512;  // headers are this long, and contents are filled up to it

struct Field {
  std::size_t begin, size;
};
inline constexpr Field kName{0, 100}, kMode{100, 8}, kUser{108, 8}, kGroup{116, 8}, kSize{124, 12},
    kTime{136, 12}, kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8}, kPrefix{345, 155};

}  // namespace sam2unet::tar
