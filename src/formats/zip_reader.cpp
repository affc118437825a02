// After PKWARE's APPNOTE.TXT 6.3.10; section numbers are its.
#include "formats/zip_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "formats/byte_reader.h"
#include "formats/crc32.h"
#include "formats/text.h"

namespace sam2unet::formats {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kZip64End = 0x06064b50;
constexpr std::uint32_t kZip64Locator = 0x07064b50;
constexpr std::size_t kLocalHeaderSize = 30, kCentralHeaderSize = 46, kEndSize = 22, kZip64LocatorSize = 20;
constexpr std::uint16_t kSaturated16 = 0xFFFF;
constexpr std::uint32_t kSaturated32 = 0xFFFFFFFF;

std::uint32_t u32_at(std::span<const std::byte> file, std::size_t at) {
  return ByteReader(file.subspan(at), "zip").u32();
}

// Where the central directory lies.
struct Directory {
  std::uint64_t entries = 0, size = 0, offset = 0;
  std::size_t limit = 0;  // no entry, nor the directory, may reach past this
};

// 4.3.16: the last record of the file, before a comment that reaches exactly to the end.
std::size_t find_end_record(std::span<const std::byte> file) {
  if (file.size() >= kEndSize) {
    const std::size_t last = file.size() - kEndSize;
    const std::size_t first = last > 0xFFFF ? last - 0xFFFF : 0;
    for (std::size_t at = last + 1; at-- > first;) {
      if (u32_at(file, at) == kEnd && ByteReader(file.subspan(at + 20), "zip").u16() == last - at) return at;
    }
  }
  throw FormatError(
      "a zip file without its directory at the end: it is truncated; copy or download it again");
}

// 4.3.14, 4.3.15: present where a number does not fit, but PyTorch always writes them.
void read_zip64_end(std::span<const std::byte> file, std::size_t locator, Directory& directory) {
  ByteReader l(file.subspan(locator + 4), "zip64 locator");
  const std::uint32_t disk = l.u32();
  const std::uint64_t at = l.u64();
  const std::uint32_t disks = l.u32();
  if (disk != 0 || disks > 1) throw FormatError("a zip file in several parts; join them first");
  if (at > locator)
    throw FormatError(fmt::format("zip64 end record at byte {} lies outside of the file", at));
  ByteReader r(file.subspan(static_cast<std::size_t>(at), locator - static_cast<std::size_t>(at)),
               "zip64 end record");
  if (r.u32() != kZip64End)
    throw FormatError("zip64 locator points at something that is no zip64 end record");
  r.u64();  // its own size
  r.u32();  // versions made by, needed
  if (r.u32() != 0 || r.u32() != 0) throw FormatError("a zip file in several parts; join them first");
  const std::uint64_t entries_here = r.u64(), entries = r.u64(), size = r.u64(), offset = r.u64();
  const auto agrees = [](std::uint64_t small, std::uint64_t saturated, std::uint64_t large) {
    return small == saturated || small == large;
  };
  if (entries_here != entries || !agrees(directory.entries, kSaturated16, entries) ||
      !agrees(directory.size, kSaturated32, size) || !agrees(directory.offset, kSaturated32, offset)) {
    throw FormatError("the zip and zip64 end records contradict each other; the file is damaged");
  }
  directory = {entries, size, offset, static_cast<std::size_t>(at)};
}

Directory find_directory(std::span<const std::byte> file) {
  const std::size_t end = find_end_record(file);
  ByteReader r(file.subspan(end + 4), "zip end record");
  const std::uint16_t disk = r.u16(), directory_disk = r.u16(), entries_here = r.u16();
  Directory d;
  d.entries = r.u16();
  d.size = r.u32();
  d.offset = r.u32();
  d.limit = end;
  if (disk != 0 || directory_disk != 0 || entries_here != d.entries) {
    throw FormatError("a zip file in several parts; join them first");
  }
  if (end >= kZip64LocatorSize && u32_at(file, end - kZip64LocatorSize) == kZip64Locator) {
    read_zip64_end(file, end - kZip64LocatorSize, d);
  }
  if (d.offset > d.limit || d.size > d.limit - d.offset) {
    throw FormatError(fmt::format(
        "zip directory of {} bytes at byte {} lies outside of the file; it is damaged", d.size, d.offset));
  }
  if (d.entries > d.size / kCentralHeaderSize) {
    throw FormatError(fmt::format("zip directory of {} bytes cannot hold {} entries; the file is damaged",
                                  d.size, d.entries));
  }
  return d;
}

struct CentralHeader {
  std::string_view name;
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0, uncompressed = 0, offset = 0;
};

// 4.5.3: the zip64 field holds, in this order, those of the sizes and the offset that are saturated in the
// header.
void apply_zip64_extra(std::span<const std::byte> extra, CentralHeader& h) {
  const bool large_u = h.uncompressed == kSaturated32, large_c = h.compressed == kSaturated32,
             large_o = h.offset == kSaturated32;
  if (!large_u && !large_c && !large_o) return;
  ByteReader r(extra, "zip extra field");
  while (r.remaining() >= 4) {
    const std::uint16_t id = r.u16();
    const std::uint16_t size = r.u16();
    ByteReader field(r.take(size), "zip64 extra field");
    if (id != 1) continue;
    if (large_u) h.uncompressed = field.u64();
    if (large_c) h.compressed = field.u64();
    if (large_o) h.offset = field.u64();
    return;
  }
  throw FormatError(
      fmt::format("zip entry '{}' lacks its zip64 sizes; the file is damaged", printable(h.name)));
}

CentralHeader read_central_header(ByteReader& r) {
  if (r.u32() != kCentralHeader)
    throw FormatError("the zip directory is damaged: an entry does not begin where it should");
  CentralHeader h;
  r.u32();  // versions made by, needed
  h.flags = r.u16();
  h.method = r.u16();
  r.u32();  // time, date
  h.crc = r.u32();
  h.compressed = r.u32();
  h.uncompressed = r.u32();
  const std::uint16_t name_size = r.u16(), extra_size = r.u16(), comment_size = r.u16();
  r.take(8);  // disk, attributes
  h.offset = r.u32();
  h.name = r.text(name_size);
  apply_zip64_extra(r.take(extra_size), h);
  r.take(comment_size);
  return h;
}

struct Extent {
  std::uint64_t begin = 0, end = 0;
  std::string_view name;
};

ZipEntry locate(std::span<const std::byte> file, std::uint64_t limit, const CentralHeader& h,
                Extent& extent) {
  const auto name = [&] { return printable(h.name); };
  if (h.method == 0 && h.compressed != h.uncompressed) {
    throw FormatError(fmt::format("zip entry '{}' is stored, yet its sizes differ: {} and {}", name(),
                                  h.compressed, h.uncompressed));
  }
  if (h.offset > limit || limit - h.offset < kLocalHeaderSize) {
    throw FormatError(fmt::format("zip entry '{}' at byte {} lies outside of the file", name(), h.offset));
  }
  // The local header's own sizes are not used: PyTorch leaves them zero and writes them behind the data.
  ByteReader r(file.subspan(static_cast<std::size_t>(h.offset), static_cast<std::size_t>(limit - h.offset)),
               "zip entry");
  if (r.u32() != kLocalHeader)
    throw FormatError(fmt::format("zip entry '{}' does not begin where it should", name()));
  r.u32();  // version, flags
  const std::uint16_t method = r.u16();
  r.take(16);  // time, date, crc, sizes
  const std::uint16_t name_size = r.u16(), extra_size = r.u16();
  const std::string_view local_name = r.text(name_size);
  r.take(extra_size);
  if (local_name != h.name || method != h.method) {
    throw FormatError(
        fmt::format("zip entry '{}' is not the one the directory says; the file is damaged", name()));
  }
  if (h.compressed > r.remaining()) {
    throw FormatError(
        fmt::format("zip entry '{}' of {} bytes reaches past the end of the file, where {} are left", name(),
                    h.compressed, r.remaining()));
  }
  const auto data = r.take(h.compressed);
  extent = {h.offset, h.offset + r.position(), h.name};
  return {h.name, data, h.crc, h.flags, h.method};
}

}  // namespace

std::span<const std::byte> ZipEntry::stored() const {
  if ((flags & 1u) != 0) {
    throw FormatError(fmt::format("zip entry '{}' is encrypted; decrypt the file first", printable(name)));
  }
  if (method != 0) {
    throw FormatError(
        fmt::format("zip entry '{}' is compressed (method {}); PyTorch stores entries uncompressed: unpack "
                    "the file and pack it "
                    "again with `zip -0`",
                    printable(name), method));
  }
  return data;
}

ZipArchive ZipArchive::read(std::span<const std::byte> file) {
  const Directory d = find_directory(file);
  ZipArchive zip;
  std::vector<Extent> extents(static_cast<std::size_t>(d.entries));
  zip.entries_.reserve(extents.size());
  zip.by_name_.reserve(extents.size());
  ByteReader r(file.subspan(static_cast<std::size_t>(d.offset), static_cast<std::size_t>(d.size)),
               "zip directory");
  for (auto& extent : extents) {
    zip.entries_.push_back(locate(file, d.offset, read_central_header(r), extent));
    const std::string_view name = zip.entries_.back().name;
    if (!zip.by_name_.emplace(name, zip.entries_.size() - 1).second) {
      throw FormatError(fmt::format("two zip entries are named '{}'", printable(name)));
    }
  }
  // Entries that share bytes are how small files unpack to huge ones; no writer makes them.
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin < extents[i - 1].end) {
      throw FormatError(fmt::format("zip entries '{}' and '{}' overlap; the file is damaged or hostile",
                                    printable(extents[i - 1].name), printable(extents[i].name)));
    }
  }
  return zip;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &entries_[it->second];
}

void check_crc(const ZipEntry& entry) {
  if (crc32(entry.stored()) != entry.crc) {
    throw FormatError(
        fmt::format("zip entry '{}' does not have its checksum; the file is damaged, download it again",
                    printable(entry.name)));
  }
}

}  // namespace sam2unet::formats
