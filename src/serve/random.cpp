#include "serve/random.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace sam2unet::serve {

std::string random_hex(std::size_t bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::array<unsigned char, 64> buffer{};
  std::string out;
  while (bytes > 0) {
    const std::size_t n = bytes < buffer.size() ? bytes : buffer.size();
    const ssize_t got = ::getrandom(buffer.data(), n, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw std::runtime_error("the system gives no random bytes");
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      out += kDigits[buffer.at(i) >> 4];
      out += kDigits[buffer.at(i) & 15];
    }
    bytes -= static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace sam2unet::serve
