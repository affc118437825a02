#include "tar/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "sam2unet/errors.h"
#include "tar/header.h"

namespace sam2unet::tar {
namespace {

using Block = std::array<char, kBlock>;

void put(Block& block, Field field, std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), field.size),
              block.begin() + static_cast<std::ptrdiff_t>(field.begin));
}

// "LENGTH path=NAME\n": the length counts its own digits.
std::string pax_record(std::string_view name) {
  const std::size_t rest = std::string_view(" path=\n").size() + name.size();
  std::size_t length = rest;
  while (rest + std::to_string(length).size() != length) length = rest + std::to_string(length).size();
  return fmt::format("{} path={}\n", length, name);
}

// Where a name may be cut in two for ustar: at a '/', 155 and 100 bytes. npos if nowhere.
std::size_t cut_of(std::string_view name) {
  for (std::size_t i = std::min(name.size(), kPrefix.size + 1); i-- > 1;) {
    if (name[i] == '/' && i <= kPrefix.size)
      return name.size() - i - 1 <= kName.size && i + 1 < name.size() ? i : std::string_view::npos;
  }
  return std::string_view::npos;
}

}  // namespace

void TarWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  const bool is_ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (is_ascii && name.size() <= kName.size) return add_block(name, {}, bytes, '0');
  const std::size_t cut = is_ascii ? cut_of(name) : std::string_view::npos;
  if (cut != std::string_view::npos) return add_block(name.substr(cut + 1), name.substr(0, cut), bytes, '0');
  const std::string record = pax_record(name);
  add_block("PaxHeaders/name", {}, std::as_bytes(std::span(record)), 'x');
  add_block(name.substr(0, kName.size), {}, bytes, '0');  // readers take the name in the PAX header
}

void TarWriter::add_block(std::string_view name, std::string_view prefix, std::span<const std::byte> bytes,
                          char type) {
  if (bytes.size() >= std::uint64_t{1} << 33)
    throw FileError(
        fmt::format("{}: {} bytes are more than a tar file's member may have", name, bytes.size()));
  Block block{};
  put(block, kName, name);
  put(block, kMode, "0000644");
  put(block, kUser, "0000000");
  put(block, kGroup, "0000000");
  put(block, kSize, fmt::format("{:011o}", bytes.size()));
  put(block, kTime, "00000000000");
  put(block, kChecksum, "        ");
  block[kType.begin] = type;
  put(block, kMagic,
      std::string_view("ustar\0"
                       "00",
                       8));
  put(block, kPrefix, prefix);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, kChecksum, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  file_.write(std::as_bytes(std::span(block)));
  file_.write(bytes);
  static constexpr std::array<std::byte, kBlock> kZeros{};
  file_.write(std::span(kZeros).first((kBlock - bytes.size() % kBlock) % kBlock));
}

void TarWriter::commit() {
  static constexpr std::array<std::byte, 2 * kBlock> kEnd{};
  file_.write(kEnd);
  file_.commit();
}

}  // namespace sam2unet::tar
