// BMP: uncompressed with 1, 4, 8, 16, 24 and 32 bits, bit fields, and run lengths of 4 and 8 bits.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "image/bytes.h"
#include "image/decoders.h"

namespace sam2unet::image {
namespace {

constexpr std::uint32_t kRaw = 0;
constexpr std::uint32_t kRle8 = 1;
constexpr std::uint32_t kRle4 = 2;
constexpr std::uint32_t kBitfields = 3;
constexpr std::size_t kFileHeader = 14;

struct Header {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool top_down = false;
  int bits = 0;
  std::uint32_t compression = kRaw;
  std::array<std::uint32_t, 3> masks = {};  // red, green, blue
  std::array<std::array<std::uint8_t, 3>, 256> palette = {};
  std::size_t data = 0;  // where the rows begin
  bool ids = false;      // indices are wanted instead of colours
};

void read_masks(const Source& source, const std::uint8_t* at, Header& h) {
  for (std::size_t i = 0; i < 3; ++i) h.masks[i] = le32(at + 4 * i);
  if (h.masks == std::array<std::uint32_t, 3>{}) h.masks = {0xFF0000, 0xFF00, 0xFF};
  for (const std::uint32_t m : h.masks) {
    const std::uint32_t ones = m == 0 ? 0 : m >> std::countr_zero(m);
    if (ones == 0 || (ones & (ones + 1)) != 0 || ones > 0xFF)
      fail(source, "its BMP bit fields are not supported");
  }
}

void check_kind(const Source& source, const Header& h) {
  const bool fits = [&] {
    switch (h.compression) {
      case kRaw:
        return h.bits == 1 || h.bits == 4 || h.bits == 8 || h.bits == 16 || h.bits == 24 || h.bits == 32;
      case kRle8:
        return h.bits == 8;
      case kRle4:
        return h.bits == 4;
      case kBitfields:
        return h.bits == 16 || h.bits == 24 || h.bits == 32;
      default:
        return false;
    }
  }();
  if (!fits) {
    fail(source, fmt::format("a BMP with {} bits and compression {} is not supported; convert it to PNG",
                             h.bits, h.compression));
  }
}

Header read_header(const Source& source) {
  const Bytes b = source.bytes;
  const auto need = [&](std::size_t end) {
    if (end > b.size()) fail(source, "the BMP ends before the picture begins; get a whole copy of it");
  };
  need(kFileHeader + 12);
  const std::uint8_t* const info = b.data() + kFileHeader;
  const std::size_t size = le32(info);
  Header h;
  h.data = le32(b.data() + 10);
  std::size_t entry_bytes = 4;
  std::size_t colors = 0;
  std::size_t at = kFileHeader + size;
  if (size == 12) {
    h.width = le16(info + 4);
    h.height = le16(info + 6);
    h.bits = static_cast<int>(le16(info + 10));
    entry_bytes = 3;
  } else if (size == 40 || size == 52 || size == 56 || size == 64 || size == 108 || size == 124) {
    need(at);
    h.width = le32(info + 4);
    h.top_down = info[11] == 0xFF;  // a negative height
    h.height = h.top_down ? (std::int64_t{1} << 32) - le32(info + 8) : le32(info + 8);
    h.bits = static_cast<int>(le16(info + 14));
    h.compression = le32(info + 16);
    colors = le32(info + 32);
  } else {
    fail(source, fmt::format("a BMP header of {} bytes is not known", size));
  }
  check_size(source, h.width, h.height);
  check_kind(source, h);
  if (h.bits == 16) h.masks = {0x7C00, 0x3E0, 0x1F};
  if (h.bits >= 24) h.masks = {0xFF0000, 0xFF00, 0xFF};
  if (h.compression == kBitfields) {
    if (size == 40) at += 12;  // the masks follow the header instead of being in it
    need(at);
    read_masks(source, info + 40, h);
  }
  if (h.bits <= 8) {
    if (colors == 0) colors = std::size_t{1} << h.bits;
    if (colors > 65536) fail(source, "the table of colours of the BMP is too large");
    // As Pillow: an offset that points at the table of colours means the rows behind it.
    if (h.data == kFileHeader + size) h.data += entry_bytes * colors;
    for (std::size_t i = 0; i < std::min<std::size_t>(colors, 256) && at + (i + 1) * entry_bytes <= b.size();
         ++i) {
      const std::uint8_t* bgr = b.data() + at + i * entry_bytes;
      h.palette[i] = {bgr[2], bgr[1], bgr[0]};
    }
    at += entry_bytes * colors;
  }
  if (h.data == 0) h.data = at;
  return h;
}

bool is_gray(const Header& h) {
  if (h.bits > 8) return false;
  for (std::size_t i = 0; i < std::size_t{1} << h.bits; ++i) {
    if (h.palette[i][0] != h.palette[i][1] || h.palette[i][1] != h.palette[i][2]) return false;
  }
  return true;
}

// Indices of one row into colours, or into gray where all colours are.
void look_up(const Header& h, const std::uint8_t* indices, Image& image, int y) {
  std::uint8_t* to = image.row(y);
  for (int x = 0; x < image.width; ++x) {
    if (h.ids) {
      *to++ = indices[x];
      continue;
    }
    const auto& color = h.palette[indices[x]];
    for (int c = 0; c < image.channels; ++c) *to++ = color[static_cast<std::size_t>(c)];
  }
}

int row_index(const Header& h, int y, int height) {
  return h.top_down ? y : height - 1 - y;
}

void read_packed_row(const Header& h, const std::uint8_t* row, Image& image, int y,
                     std::vector<std::uint8_t>& indices) {
  for (int x = 0; x < image.width; ++x) {
    const int bit = x * h.bits;
    indices[static_cast<std::size_t>(x)] =
        static_cast<std::uint8_t>(row[bit / 8] >> (8 - h.bits - bit % 8) & ((1 << h.bits) - 1));
  }
  look_up(h, indices.data(), image, y);
}

void read_direct_row(const Header& h, const std::uint8_t* row, Image& image, int y) {
  std::uint8_t* to = image.row(y);
  const int bytes = h.bits / 8;
  for (int x = 0; x < image.width; ++x, row += bytes, to += 3) {
    const std::uint32_t v = bytes == 2 ? le16(row)
                                       : le16(row) | static_cast<std::uint32_t>(row[2]) << 16 |
                                             (bytes == 4 ? static_cast<std::uint32_t>(row[3]) << 24 : 0);
    for (std::size_t c = 0; c < 3; ++c) {
      const int shift = std::countr_zero(h.masks[c]);
      const std::uint32_t most = h.masks[c] >> shift;
      to[c] = static_cast<std::uint8_t>((v >> shift & most) * 255 / most);
    }
  }
}

void read_rows(const Source& source, const Header& h, Image& image) {
  const auto used = (static_cast<std::uint64_t>(h.width) * static_cast<std::uint64_t>(h.bits) + 7) / 8;
  const std::uint64_t stride =
      (static_cast<std::uint64_t>(h.width) * static_cast<std::uint64_t>(h.bits) + 31) / 32 * 4;
  std::vector<std::uint8_t> indices(h.bits <= 8 ? static_cast<std::size_t>(image.width) : 0);
  for (int y = 0; y < image.height; ++y) {
    const std::uint64_t at = h.data + static_cast<std::uint64_t>(y) * stride;
    if (at + used > source.bytes.size()) fail_truncated(source, y, image.height);
    const std::uint8_t* row = source.bytes.data() + at;
    if (h.bits <= 8)
      read_packed_row(h, row, image, row_index(h, y, image.height), indices);
    else
      read_direct_row(h, row, image, row_index(h, y, image.height));
  }
}

// Unpacks the run lengths into one index per pixel, rows in file order.
std::vector<std::uint8_t> read_runs(const Source& source, const Header& h) {
  const auto width = static_cast<std::size_t>(h.width);
  const std::size_t total = width * static_cast<std::size_t>(h.height);
  const bool nibbles = h.compression == kRle4;
  const Bytes b = source.bytes;
  std::vector<std::uint8_t> out(total, 0);
  std::size_t x = 0;
  std::size_t y = 0;
  std::size_t at = h.data;
  const auto put = [&](std::uint8_t v) {  // what is beyond the end of a row is dropped
    if (x < width && y < static_cast<std::size_t>(h.height)) out[y * width + x] = v;
    ++x;
  };
  const auto half = [](std::uint8_t v, std::size_t i) {
    return static_cast<std::uint8_t>(i % 2 == 0 ? v >> 4 : v & 15);
  };
  while (y < static_cast<std::size_t>(h.height)) {
    if (at + 2 > b.size()) {
      // The last row may lack its end mark.
      if (y + 1 == static_cast<std::size_t>(h.height) && x >= width) break;
      fail_truncated(source, static_cast<int>(y), static_cast<int>(h.height));
    }
    const std::size_t count = b[at];
    const std::uint8_t value = b[at + 1];
    at += 2;
    if (count > 0) {
      for (std::size_t i = 0; i < count; ++i) put(nibbles ? half(value, i) : value);
    } else if (value == 0) {  // end of the row
      x = 0;
      ++y;
    } else if (value == 1) {  // end of the picture; the rest stays index 0
      break;
    } else if (value == 2) {  // a jump
      if (at + 2 > b.size()) fail_truncated(source, static_cast<int>(y), static_cast<int>(h.height));
      x += b[at];
      y += b[at + 1];
      at += 2;
    } else {  // `value` literal pixels, padded to 16 bits
      const std::size_t bytes = nibbles ? (value + std::size_t{1}) / 2 : value;
      if (at + bytes > b.size()) fail_truncated(source, static_cast<int>(y), static_cast<int>(h.height));
      for (std::size_t i = 0; i < value; ++i) put(nibbles ? half(b[at + i / 2], i) : b[at + i]);
      at += bytes + bytes % 2;
    }
  }
  return out;
}

}  // namespace

Decoded decode_bmp(const Source& source) {
  Header h = read_header(source);
  h.ids = source.ids && h.bits <= 8;
  const bool palette = h.bits <= 8 && !is_gray(h);
  const int channels = h.bits > 8 || (palette && !h.ids) ? 3 : 1;
  const auto width = static_cast<int>(h.width);
  const auto height = static_cast<int>(h.height);
  if (h.compression == kRle8 || h.compression == kRle4) {
    const std::vector<std::uint8_t> indices = read_runs(source, h);
    Decoded out{Image(width, height, channels), 1, palette};
    for (int y = 0; y < height; ++y) {
      look_up(h, indices.data() + static_cast<std::ptrdiff_t>(y) * width, out.image, row_index(h, y, height));
    }
    return out;
  }
  // Nothing is allocated for a picture whose rows are not all there.
  const std::uint64_t stride =
      (static_cast<std::uint64_t>(h.width) * static_cast<std::uint64_t>(h.bits) + 31) / 32 * 4;
  if (h.data > source.bytes.size() ||
      stride * static_cast<std::uint64_t>(h.height - 1) > source.bytes.size() - h.data) {
    const std::uint64_t rows = h.data > source.bytes.size() ? 0 : (source.bytes.size() - h.data) / stride;
    fail_truncated(source, static_cast<int>(rows), height);
  }
  Decoded out{Image(width, height, channels), 1, palette};
  read_rows(source, h, out.image);
  return out;
}

}  // namespace sam2unet::image
