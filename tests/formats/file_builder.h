// Builds files byte by byte for the tests, sound and spoiled ones alike. Shares nothing with the writers
// under test.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/effort.h"
#include "support/message.h"

namespace sam2unet::test {

inline std::span<const std::byte> as_span(std::string_view s) {
  return std::as_bytes(std::span(s));
}

inline std::string le(std::uint64_t v, int bytes) {
  std::string s;
  for (int i = 0; i < bytes; ++i) s += static_cast<char>((v >> (8 * i)) & 0xFFu);
  return s;
}

/// Bit by bit, as the standard defines it.
inline std::uint32_t plain_crc32(std::string_view data) {
  std::uint32_t c = 0xFFFFFFFF;
  for (const char ch : data) {
    c ^= static_cast<std::uint8_t>(ch);
    for (int bit = 0; bit < 8; ++bit) c = (c & 1u) != 0 ? (c >> 1) ^ 0xEDB88320u : c >> 1;
  }
  return ~c;
}

/// A zip entry; fields left alone are derived from `data`.
struct ZipPart {
  std::string name = {}, data = {};
  std::uint16_t method = 0, flags = 0;
  std::string extra = {};       // of the directory
  std::string local_name = {};  // "" means as `name`
  std::string comment = {};     // of the directory
  std::int64_t local_method = -1, crc = -1, compressed = -1, uncompressed = -1, offset = -1;
};

/// What the end of the zip says; -1 means the truth.
struct ZipEnd {
  std::int64_t entries = -1, size = -1, offset = -1;
  std::string before = {};  // put between directory and end record: zip64 records
  std::string comment = {};
};

inline std::string build_zip(const std::vector<ZipPart>& parts, const ZipEnd& end = {}) {
  std::string out, directory;
  const auto pick = [](std::int64_t given, std::size_t truth) {
    return given >= 0 ? static_cast<std::uint64_t>(given) : static_cast<std::uint64_t>(truth);
  };
  for (const auto& p : parts) {
    const std::uint64_t offset = pick(p.offset, out.size());
    const std::uint64_t crc = pick(p.crc, plain_crc32(p.data));
    const std::string sizes =
        le(pick(p.compressed, p.data.size()), 4) + le(pick(p.uncompressed, p.data.size()), 4);
    const std::string& local = p.local_name.empty() ? p.name : p.local_name;
    out += "PK\x03\x04" + le(20, 2) + le(p.flags, 2) + le(pick(p.local_method, p.method), 2) + le(0, 4) +
           le(crc, 4) + sizes;
    out += le(local.size(), 2) + le(0, 2) + local + p.data;
    directory += "PK\x01\x02" + le(20, 2) + le(20, 2) + le(p.flags, 2) + le(p.method, 2) + le(0, 4) +
                 le(crc, 4) + sizes;
    directory += le(p.name.size(), 2) + le(p.extra.size(), 2) + le(p.comment.size(), 2) + le(0, 2) +
                 le(0, 2) + le(0, 4) + le(offset, 4);
    directory += p.name + p.extra + p.comment;
  }
  const std::uint64_t count = pick(end.entries, parts.size());
  const std::string tail = le(count, 2) + le(count, 2) + le(pick(end.size, directory.size()), 4) +
                           le(pick(end.offset, out.size()), 4) + le(end.comment.size(), 2) + end.comment;
  return out + directory + end.before + "PK\x05\x06" + le(0, 4) + tail;
}

/// Pickle opcodes as Python's pickletools names them.
namespace op {
inline std::string proto(int n = 2) {
  return "\x80" + le(static_cast<std::uint64_t>(n), 1);
}
inline std::string text(std::string_view s) {
  return "X" + le(s.size(), 4) + std::string(s);
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string integer(std::int64_t v) {
  return std::string("\x8a\x08") + le(static_cast<std::uint64_t>(v), 8);
}
inline std::string ints(const std::vector<std::int64_t>& v) {
  std::string s = "(";
  for (const auto i : v) s += integer(i);
  return s + "t";
}
inline std::string put(int index) {
  return "q" + le(static_cast<std::uint64_t>(index), 1);
}
inline std::string get(int index) {
  return "h" + le(static_cast<std::uint64_t>(index), 1);
}
inline std::string storage(std::string_view type, std::string_view key, std::int64_t numel) {
  return "((" + std::string() + text("storage") + global("torch", type) + text(key) + text("cpu") +
         integer(numel) + "tQ";
}
/// An entry's value: torch._utils._rebuild_tensor_v2(...) of storage `key`.
inline std::string tensor(std::int64_t numel, std::int64_t offset, const std::vector<std::int64_t>& size,
                          const std::vector<std::int64_t>& stride, std::string_view key = "0",
                          std::string_view type = "FloatStorage") {
  return global("torch._utils", "_rebuild_tensor_v2") + storage(type, key, numel) + integer(offset) +
         ints(size) + ints(stride) + "\x89" + "NtR";
}
/// A dict with these keys and (pickled) values.
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string s = "}(";
  for (const auto& [key, value] : entries) s += text(key) + value;
  return s + "u";
}
inline std::string pickle(std::string_view body) {
  return proto() + std::string(body) + ".";
}
}  // namespace op

/// A torch zip around a pickle, with one storage "0" of these bytes.
inline std::string torch_zip(std::string_view pickle, std::string_view storage0 = "") {
  return build_zip({{.name = "a/data.pkl", .data = std::string(pickle)},
                    {.name = "a/byteorder", .data = "little"},
                    {.name = "a/data/0", .data = std::string(storage0)},
                    {.name = "a/version", .data = "3\n"}});
}

}  // namespace sam2unet::test
