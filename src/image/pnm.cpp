// PNM: plain and raw bitmaps, graymaps and pixmaps (P1 to P6), and gray float maps (Pf).
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "image/bytes.h"
#include "image/decoders.h"

namespace sam2unet::image {
namespace {

bool is_space(std::uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

class Reader {
 public:
  explicit Reader(const Source& source) : source_(source), at_(2) {}

  std::size_t left() const { return source_.bytes.size() - at_; }
  const std::uint8_t* data() const { return source_.bytes.data() + at_; }

  // The next word; comments run from # to the end of the line. Takes one byte of white space behind the word.
  std::string word() {
    std::string out;
    while (at_ < source_.bytes.size()) {
      const std::uint8_t c = source_.bytes[at_++];
      if (is_space(c)) {
        if (!out.empty()) return out;
      } else if (c == '#') {
        skip_comment();
      } else {
        out += static_cast<char>(c);
        if (out.size() > 10)
          fail(source_, fmt::format("its PNM header or data has the overlong word \"{}...\"", clean(out)));
      }
    }
    if (out.empty()) fail(source_, "the PNM ends early; get a whole copy of it");
    return out;
  }

  int number(int most) {
    const std::string w = word();
    std::int64_t value = 0;  // ten digits at most, so no overflow
    for (const char c : w) {
      if (c < '0' || c > '9')
        fail(source_, fmt::format("\"{}\" stands where the PNM should have a number", clean(w)));
      value = value * 10 + (c - '0');
    }
    if (value > most) fail(source_, fmt::format("the PNM holds {} where at most {} is allowed", w, most));
    return static_cast<int>(value);
  }

  // Plain bitmaps need no space between the digits.
  bool bit() {
    while (at_ < source_.bytes.size()) {
      const std::uint8_t c = source_.bytes[at_++];
      if (c == '0' || c == '1') return c == '1';
      if (c == '#')
        skip_comment();
      else if (!is_space(c))
        fail(source_, "the plain bitmap holds something else than 0 and 1");
    }
    fail(source_, "the PNM ends early; get a whole copy of it");
  }

 private:
  void skip_comment() {
    while (at_ < source_.bytes.size() && source_.bytes[at_] != '\n' && source_.bytes[at_] != '\r') ++at_;
  }
  static std::string clean(std::string text) {
    for (char& c : text) c = c < ' ' || c > '~' ? '?' : c;
    return text;
  }

  const Source& source_;
  std::size_t at_;
};

// Pillow: round(value / maxval * 255), half to even; 16-bit gray becomes mode I of 0..65535 and is then
// clipped.
std::uint8_t scaled(int value, int most, bool wide_gray) {
  if (!wide_gray && most == 255) return static_cast<std::uint8_t>(value);
  const double range = wide_gray ? 65535.0 : 255.0;
  return static_cast<std::uint8_t>(
      std::min(255.0, std::nearbyint(static_cast<double>(value) / most * range)));
}

// Numbers as text, or as bytes.
enum class Coding { plain, raw };

// Nothing is allocated for a picture whose rows, of at least `row_bytes`, are not all there.
void check_left(const Source& source, const Reader& reader, std::uint64_t row_bytes, int height,
                Coding coding) {
  // A plain picture may lack the white space behind its last number.
  const std::uint64_t there = reader.left() + (coding == Coding::plain ? 1 : 0);
  if (there < row_bytes * static_cast<std::uint64_t>(height)) {  // sides are below 2^25
    fail_truncated(source, static_cast<int>(there / row_bytes), height);
  }
}

Decoded read_bits(const Source& source, Reader& reader, int width, int height, Coding coding) {
  const bool plain = coding == Coding::plain;
  const auto w = static_cast<std::size_t>(width);
  const std::size_t row_bytes = plain ? w : (w + 7) / 8;
  check_left(source, reader, row_bytes, height, coding);
  Decoded out{Image(width, height, 1)};
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* packed = plain ? nullptr : reader.data() + static_cast<std::size_t>(y) * row_bytes;
    for (int x = 0; x < width; ++x) {
      const bool black = plain ? reader.bit() : (packed[x / 8] >> (7 - x % 8) & 1) != 0;
      out.image.row(y)[x] = black ? 0 : 255;
    }
  }
  return out;
}

Decoded read_levels(const Source& source, Reader& reader, int width, int height, int channels,
                    Coding coding) {
  const bool plain = coding == Coding::plain;
  const int most = reader.number(65535);
  if (most == 0) fail(source, "the largest value of the PNM is given as 0");
  const bool wide = most > 255;
  const std::size_t samples = static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  // A plain sample takes a digit and a space at least.
  const std::size_t row_bytes = plain ? samples * 2 : samples * (wide ? 2 : 1);
  check_left(source, reader, row_bytes, height, coding);
  Decoded out{Image(width, height, channels)};
  const bool wide_gray = wide && channels == 1;
  out.deep = wide_gray;
  for (int y = 0; y < height; ++y) {
    std::uint8_t* to = out.image.row(y);
    const std::uint8_t* from = plain ? nullptr : reader.data() + static_cast<std::size_t>(y) * row_bytes;
    for (std::size_t i = 0; i < samples; ++i) {
      int value = 0;
      if (plain)
        value = reader.number(most);
      else
        value = std::min(most, wide ? static_cast<int>(be16(from + 2 * i)) : static_cast<int>(from[i]));
      if (source.ids && channels == 1) {  // as it is: a maxval below 255 is no scale of ids
        if (value > 255) fail_large_id(source, value);
        to[i] = static_cast<std::uint8_t>(value);
      } else {
        to[i] = scaled(value, most, wide_gray);
      }
    }
  }
  return out;
}

// Rows from bottom to top; a negative scale means little endian. Values are cut to 0..255, as Pillow's F to
// L.
Decoded read_floats(const Source& source, Reader& reader, int width, int height) {
  const double scale = std::strtod(reader.word().c_str(), nullptr);
  if (scale == 0.0 || !std::isfinite(scale))
    fail(source, "the scale of the float map must be a number other than 0");
  const std::size_t row_bytes = static_cast<std::size_t>(width) * 4;
  check_left(source, reader, row_bytes, height, Coding::raw);
  Decoded out{Image(width, height, 1)};
  out.deep = true;
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = reader.data() + static_cast<std::size_t>(height - 1 - y) * row_bytes;
    for (int x = 0; x < width; ++x, from += 4) {
      const float v = std::bit_cast<float>(scale < 0 ? le32(from) : be32(from));
      if (source.ids)
        out.image.row(y)[x] = id_of(source, v);
      else
        out.image.row(y)[x] = v >= 255.0F ? 255 : v > 0.0F ? static_cast<std::uint8_t>(v) : std::uint8_t{0};
    }
  }
  return out;
}

}  // namespace

Decoded decode_pnm(const Source& source) {
  const char kind = static_cast<char>(source.bytes[1]);
  Reader reader(source);
  constexpr int kMax = 1 << 30;
  const int width = reader.number(kMax);
  const int height = reader.number(kMax);
  check_size(source, width, height);
  switch (kind) {
    case '1':
      return read_bits(source, reader, width, height, Coding::plain);
    case '4':
      return read_bits(source, reader, width, height, Coding::raw);
    case '2':
      return read_levels(source, reader, width, height, 1, Coding::plain);
    case '3':
      return read_levels(source, reader, width, height, 3, Coding::plain);
    case '5':
      return read_levels(source, reader, width, height, 1, Coding::raw);
    case '6':
      return read_levels(source, reader, width, height, 3, Coding::raw);
    default:
      return read_floats(source, reader, width, height);
  }
}

}  // namespace sam2unet::image
