#include "tar/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string_view>

#include "sam2unet/errors.h"
#include "tar/header.h"

namespace sam2unet::tar {
namespace {

constexpr std::size_t kLongestName = 4096;
constexpr std::uint64_t kLongestExtension = 1 << 20;  // of a PAX header

// For messages: whatever a name holds, it is a short text on one line.
std::string shown(std::string_view name) {
  std::string out(name.substr(0, 80));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out + (name.size() > 80 ? "..." : "");
}

class Reader {
 public:
  Reader(std::span<const std::byte> tar, const std::string& what) : tar_(tar), what_(what) {}

  std::vector<Member> read() {
    refuse_compressed();
    while (true) {
      if (remaining() < kBlock) fail("it ends without its end mark: cut off while it was written or copied");
      const auto block = take(kBlock);
      if (is_zero(block)) break;
      header_ = {reinterpret_cast<const char*>(block.data()), block.size()};
      read_member();
    }
    if (!is_zero(tar_.subspan(position_))) {
      fail("bytes follow its end mark, as of tar files put behind each other; members there would be lost");
    }
    if (extended_) fail("it ends after an extended header, without the member it describes");
    return std::move(members_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw FormatError(fmt::format("{}: no sound tar file: {}", what_, why));
  }

  void refuse_compressed() const {
    const auto begins = [&](std::initializer_list<int> magic) {
      return tar_.size() >= magic.size() &&
             std::equal(magic.begin(), magic.end(), tar_.begin(),
                        [](int a, std::byte b) { return static_cast<std::byte>(a) == b; });
    };
    if (begins({0x1F, 0x8B}) || begins({0x28, 0xB5, 0x2F, 0xFD}) || begins({'B', 'Z', 'h'}) ||
        begins({0xFD, '7', 'z'}))
      fail("it is compressed; unpack it first (pictures do not get smaller)");
  }

  std::size_t remaining() const { return tar_.size() - position_; }
  std::span<const std::byte> take(std::size_t n) {
    const auto part = tar_.subspan(position_, n);
    position_ += n;
    return part;
  }
  static bool is_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  }

  std::string_view field(Field f) const { return header_.substr(f.begin, f.size); }
  // Up to the first zero byte.
  std::string_view text(Field f) const { return field(f).substr(0, field(f).find('\0')); }

  // Octal digits between spaces and zero bytes, or GNU's base 256, whose first bit is set.
  std::uint64_t number(Field f, const char* what) const {
    std::string_view digits = field(f);
    if ((static_cast<unsigned char>(digits[0]) & 0x80U) != 0) return binary_number(digits, what);
    digits = digits.substr(std::min(digits.find_first_not_of(' '), digits.size()));
    std::uint64_t out = 0;
    std::size_t i = 0;
    for (; i < digits.size() && digits[i] >= '0' && digits[i] <= '7'; ++i)
      out = out * 8 + static_cast<std::uint64_t>(digits[i] - '0');
    if (digits.find_first_not_of(std::string_view(" \0", 2), i) != std::string_view::npos)
      fail(fmt::format("the {} at byte {} is no octal number", what, position_ - kBlock + f.begin));
    return out;
  }
  std::uint64_t binary_number(std::string_view digits, const char* what) const {
    std::uint64_t out = static_cast<unsigned char>(digits[0]) & 0x7FU;
    for (const char c : digits.substr(1)) {
      if (out > std::numeric_limits<std::uint64_t>::max() >> 9)
        fail(fmt::format("the {} at byte {} is negative or too large", what, position_ - kBlock));
      out = out << 8 | static_cast<unsigned char>(c);
    }
    return out;
  }

  void check_header() const {
    const std::string_view magic = field(kMagic);
    std::uint64_t sum = 0;
    std::int64_t signed_sum = 0;  // as some old programs counted
    for (std::size_t i = 0; i < header_.size(); ++i) {
      const char c = i >= kChecksum.begin && i < kChecksum.begin + kChecksum.size ? ' ' : header_[i];
      sum += static_cast<unsigned char>(c);
      signed_sum += static_cast<signed char>(c);
    }
    const std::uint64_t told = number(kChecksum, "checksum");
    if (told != sum && static_cast<std::int64_t>(told) != signed_sum) {
      fail(fmt::format("the checksum of the header at byte {} does not match: damaged, or no tar file",
                       position_ - kBlock));
    }
    if (magic != std::string_view("ustar\0"
                                  "00",
                                  8) &&
        magic != std::string_view("ustar  \0", 8))
      fail(fmt::format("the header at byte {} is of a form that is not read (not ustar, PAX or GNU)",
                       position_ - kBlock));
  }

  // The contents of a member of that size, and past what fills its last block.
  std::span<const std::byte> contents(std::uint64_t size, std::string_view name) {
    if (size > remaining() || (kBlock - size % kBlock) % kBlock > remaining() - size) {
      fail(
          fmt::format("{} should have {} bytes, but the file ends after {}", shown(name), size, remaining()));
    }
    const auto bytes = take(static_cast<std::size_t>(size));
    take((kBlock - size % kBlock) % kBlock);
    return bytes;
  }

  std::string_view extension(std::uint64_t size) {
    if (size > kLongestExtension) fail(fmt::format("an extended header of {} bytes", size));
    const auto bytes = contents(size, "an extended header");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void read_member() {
    check_header();
    const std::uint64_t size = number(kSize, "size");
    const char type = header_[kType.begin];
    switch (type) {
      case 'x':
        return read_pax(extension(size), Scope::next);
      case 'g':
        return read_pax(extension(size), Scope::all);
      case 'L': {  // GNU's long name
        const std::string_view name = extension(size);
        name_ = name.substr(0, name.find('\0'));
        extended_ = true;
        return;
      }
      case 'K':
        extension(size);
        return;  // of a link, which is refused when it comes
      default:
        break;
    }
    const std::string name = name_.empty() ? own_name() : name_;
    const std::uint64_t length = has_size_ ? size_ : size;
    name_.clear();
    has_size_ = extended_ = false;
    read_file(name, type, length);
  }

  std::string own_name() const {
    // GNU keeps other things where ustar has the first part of a long name.
    const bool is_ustar = field(kMagic)[5] == '\0';
    const std::string prefix(is_ustar ? text(kPrefix) : std::string_view());
    return prefix.empty() ? std::string(text(kName)) : prefix + "/" + std::string(text(kName));
  }

  void read_file(const std::string& name, char type, std::uint64_t size) {
    if (type == '1' || type == '2')
      fail(fmt::format("{} is a link; only plain files are read (tar --dereference --hard-dereference)",
                       shown(name)));
    if (type == '3' || type == '4' || type == '6') fail(fmt::format("{} is a device or pipe", shown(name)));
    const bool is_folder = type == '5' || ((type == '0' || type == '\0') && name.ends_with('/'));
    if (!is_folder && type != '0' && type != '\0' && type != '7')
      fail(fmt::format("{} is of a type that is not read ('{}': sparse, or in several parts)", shown(name),
                       shown({&type, 1})));
    const std::string clean = clean_name(name);
    const auto bytes = contents(size, name);
    if (is_folder) return;
    if (clean.empty()) fail("a member has no name");
    if (!seen_.insert(clean).second) fail(fmt::format("{} is in it twice", shown(clean)));
    members_.push_back({clean, bytes});
  }

  std::string clean_name(const std::string& name) const {
    if (name.size() > kLongestName) fail(fmt::format("a name of {} bytes: {}", name.size(), shown(name)));
    if (name.starts_with('/')) fail(fmt::format("the name {} is absolute", shown(name)));
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
      fail(fmt::format("the name {} has control characters", shown(name)));
    std::string out;
    std::string_view rest = name;
    while (!rest.empty()) {
      const std::size_t n = std::min(rest.find('/'), rest.size());
      const std::string_view part = rest.substr(0, n);
      rest.remove_prefix(std::min(n + 1, rest.size()));
      if (part == "..") fail(fmt::format("the name {} leads out of its folder", shown(name)));
      if (part.empty() || part == ".") continue;
      if (!out.empty()) out += '/';
      out += part;
    }
    return out;
  }

  // The members that an extended header is of.
  enum class Scope { next, all };

  // Records "LENGTH KEY=VALUE\n", where the length is of the whole record.
  void read_pax(std::string_view records, Scope scope) {
    if (scope == Scope::next) extended_ = true;
    while (!records.empty()) {
      const std::size_t space = records.substr(0, 8).find(' ');
      const std::uint64_t length = decimal(records.substr(0, std::min(space, records.size())));
      if (space == std::string_view::npos || length <= space + 1 || length > records.size() ||
          records[length - 1] != '\n')
        fail(fmt::format("a damaged extended header before byte {}", position_));
      const std::string_view record = records.substr(space + 1, length - space - 2);
      records.remove_prefix(length);
      const std::size_t equals = record.find('=');
      if (equals == std::string_view::npos)
        fail(fmt::format("a damaged extended header before byte {}", position_));
      take_record(record.substr(0, equals), record.substr(equals + 1), scope);
    }
  }

  void take_record(std::string_view key, std::string_view value, Scope scope) {
    if (key.starts_with("GNU.sparse."))
      fail("it holds sparse files, which are not read (tar without --sparse)");
    if (key != "path" && key != "size") return;
    if (scope == Scope::all) fail(fmt::format("one {} for all members", key));
    if (key == "path") {
      if (value.empty()) fail("an extended header with an empty name");
      name_ = value;
    } else {
      size_ = decimal(value);
      has_size_ = true;
    }
  }

  std::uint64_t decimal(std::string_view digits) const {
    if (digits.empty() || digits.size() > 18 ||
        digits.find_first_not_of("0123456789") != std::string_view::npos)
      fail(fmt::format("a damaged number in the extended header before byte {}", position_));
    std::uint64_t out = 0;
    for (const char c : digits) out = out * 10 + static_cast<std::uint64_t>(c - '0');
    return out;
  }

  std::span<const std::byte> tar_;
  const std::string& what_;
  std::size_t position_ = 0;
  std::string_view header_;
  std::vector<Member> members_;
  std::set<std::string> seen_;  // not a hash table: names are chosen by whoever made the file
  // From extended headers, of the member that follows.
  bool extended_ = false, has_size_ = false;
  std::string name_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::vector<Member> read_tar(std::span<const std::byte> tar, const std::string& what) {
  return Reader(tar, what).read();
}

}  // namespace sam2unet::tar
