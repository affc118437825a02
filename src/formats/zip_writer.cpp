// After PKWARE's APPNOTE.TXT 6.3.10; section numbers are its.
#include "formats/zip_writer.h"

#include <cstring>

#include "formats/crc32.h"

namespace sam2unet::formats {
namespace {

// Little-endian fields, one after the other.
class Record {
 public:
  Record& u16(std::uint64_t v) { return put(v, 2); }
  Record& u32(std::uint64_t v) { return put(v, 4); }
  Record& u64(std::uint64_t v) { return put(v, 8); }
  Record& text(std::string_view v) {
    bytes_ += v;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& put(std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i) bytes_ += static_cast<char>((v >> (8 * i)) & 0xFFu);
    return *this;
  }
  std::string bytes_;
};

constexpr std::uint16_t kVersion = 20, kVersionZip64 = 45;
constexpr std::uint16_t kUtf8Names = 1u << 11;
constexpr std::uint16_t kDosDate = 1 << 5 | 1;  // 1980-01-01: the same tensors give the same file
constexpr std::uint32_t kSaturated = 0xFFFFFFFF;
constexpr std::uint64_t kLocalHeaderSize = 30, kZip64Extra = 1, kPaddingExtra = 0x4246;  // PyTorch's "FB"

}  // namespace

void ZipWriter::emit(std::string_view bytes) {
  sink_(std::as_bytes(std::span(bytes)));
  position_ += bytes.size();
}

// 4.3.7
void ZipWriter::add(std::string_view name, std::span<const std::byte> data) {
  entries_.push_back({std::string(name), crc32(data), data.size(), position_});
  const Entry& e = entries_.back();
  const bool large = is_large(e.size);
  Record extra;
  if (large) extra.u16(kZip64Extra).u16(16).u64(e.size).u64(e.size);
  const std::uint64_t start = position_ + kLocalHeaderSize + name.size() + extra.bytes().size() + 4;
  const std::uint64_t padding = (kAlignment - start % kAlignment) % kAlignment;
  extra.u16(kPaddingExtra).u16(padding).text(std::string(padding, 'Z'));
  Record header;
  header.u32(0x04034b50)
      .u16(large ? kVersionZip64 : kVersion)
      .u16(kUtf8Names)
      .u16(0)
      .u16(0)
      .u16(kDosDate)
      .u32(e.crc);
  header.u32(large ? kSaturated : e.size).u32(large ? kSaturated : e.size);
  header.u16(name.size()).u16(extra.bytes().size()).text(name).text(extra.bytes());
  emit(header.bytes());
  sink_(data);
  position_ += data.size();
}

void ZipWriter::finish() {
  const std::uint64_t directory = position_;
  bool zip64 = is_large(directory) || entries_.size() >= 0xFFFF;
  for (const Entry& e : entries_) {  // 4.3.12
    const bool large = is_large(e.size), far = is_large(e.offset);
    Record fields, extra;
    if (large) fields.u64(e.size).u64(e.size);
    if (far) fields.u64(e.offset);
    if (large || far) extra.u16(kZip64Extra).u16(fields.bytes().size()).text(fields.bytes());
    zip64 = zip64 || large || far;
    const std::uint16_t version = large || far ? kVersionZip64 : kVersion;
    Record r;
    r.u32(0x02014b50).u16(version).u16(version).u16(kUtf8Names).u16(0).u16(0).u16(kDosDate).u32(e.crc);
    r.u32(large ? kSaturated : e.size).u32(large ? kSaturated : e.size);
    r.u16(e.name.size())
        .u16(extra.bytes().size())
        .u16(0)
        .u16(0)
        .u16(0)
        .u32(0)
        .u32(far ? kSaturated : e.offset);
    emit(r.text(e.name).text(extra.bytes()).bytes());
  }
  const std::uint64_t size = position_ - directory, count = entries_.size();
  if (zip64) {  // 4.3.14, 4.3.15
    Record r;
    r.u32(0x06064b50).u64(44).u16(kVersionZip64).u16(kVersionZip64).u32(0).u32(0);
    r.u64(count).u64(count).u64(size).u64(directory);
    r.u32(0x07064b50).u32(0).u64(position_).u32(1);
    emit(r.bytes());
  }
  const std::uint64_t short_count = count < 0xFFFF ? count : 0xFFFF;  // 4.3.16
  Record r;
  r.u32(0x06054b50).u16(0).u16(0).u16(short_count).u16(short_count).u32(size);
  emit(r.u32(is_large(directory) ? kSaturated : directory).u16(0).bytes());
}

}  // namespace sam2unet::formats
