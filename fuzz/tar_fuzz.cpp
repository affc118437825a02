// Any bytes as a tar file: members within the input and under names that stay in a folder, or FormatError in
// one line. Wrong checksums would be refused before anything is read, so they are set right, unless the first
// byte of the input tells otherwise.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/errors.h"
#include "tar/header.h"
#include "tar/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace sam2unet::tar;

// The sum of every block's bytes is put where a header's would stand, if it says "ustar": blocks of contents
// may change by that, which harms nothing.
void set_checksums(std::vector<std::uint8_t>& tar) {
  for (std::size_t at = 0; at + kBlock <= tar.size(); at += kBlock) {
    std::uint8_t* block = tar.data() + at;
    if (std::memcmp(block + kMagic.begin, "ustar", 5) != 0) continue;
    std::fill_n(block + kChecksum.begin, kChecksum.size, std::uint8_t{' '});
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += block[i];
    char text[16];
    std::snprintf(text, sizeof text, "%06o", sum);
    std::memcpy(block + kChecksum.begin, text, 7);
  }
}

bool stays_in_its_folder(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.back() == '/') return false;
  while (!name.empty()) {
    const auto part = name.substr(0, name.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    name.remove_prefix(std::min(part.size() + 1, name.size()));
  }
  return true;
}

void check(const std::vector<Member>& members, std::span<const std::byte> tar) {
  std::set<std::string_view> names;
  unsigned sum = 0;
  for (const Member& m : members) {
    if (!stays_in_its_folder(m.name) || !names.insert(m.name).second) __builtin_trap();
    if (m.bytes.data() < tar.data() || m.bytes.size() > tar.size() ||
        static_cast<std::size_t>(m.bytes.data() - tar.data()) > tar.size() - m.bytes.size())
      __builtin_trap();
    for (const std::byte b : m.bytes) sum += static_cast<unsigned>(b);
  }
  volatile unsigned read = sum;
  static_cast<void>(read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::uint8_t> tar(data + 1, data + size);
  if (data[0] % 8 != 0) set_checksums(tar);
  const auto bytes = std::as_bytes(std::span(tar));
  try {
    check(read_tar(bytes, "fuzz"), bytes);
  } catch (const sam2unet::FormatError& e) {  // the only way to refuse
    if (std::strchr(e.what(), '\n') != nullptr) __builtin_trap();
  }
  return 0;
}
