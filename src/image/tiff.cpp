// TIFF through libtiff, from memory. libtiff undoes compression and byte order; samples become gray or RGB
// here.
#include <fmt/format.h>
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdarg>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "image/bytes.h"
#include "image/decoders.h"
#include "image/pixels.h"

namespace sam2unet::image {
namespace {

struct Memory {
  Bytes bytes;
  std::uint64_t at = 0;
  std::array<char, 200> message = {};  // the first error libtiff reported
};

tmsize_t read_memory(thandle_t handle, void* to, tmsize_t count) {
  auto& m = *static_cast<Memory*>(handle);
  if (count <= 0 || m.at >= m.bytes.size()) return 0;
  const auto n = std::min(static_cast<std::uint64_t>(count), m.bytes.size() - m.at);
  std::memcpy(to, m.bytes.data() + m.at, n);
  m.at += n;
  return static_cast<tmsize_t>(n);
}

toff_t seek_memory(thandle_t handle, toff_t offset, int whence) {
  auto& m = *static_cast<Memory*>(handle);
  switch (whence) {
    case SEEK_CUR:
      m.at += offset;
      break;
    case SEEK_END:
      m.at = m.bytes.size() + offset;
      break;
    default:
      m.at = offset;
      break;
  }
  return m.at;
}

int map_memory(thandle_t handle, void** base, toff_t* size) {
  const auto& m = *static_cast<Memory*>(handle);
  // libtiff only reads from it: the file is opened for reading.
  *base = const_cast<std::uint8_t*>(m.bytes.data());
  *size = m.bytes.size();
  return 1;
}

int on_error(TIFF*, void* user, const char*, const char* format, va_list args) {
  auto& m = *static_cast<Memory*>(user);
  if (m.message[0] != '\0') return 1;
  std::vsnprintf(m.message.data(), m.message.size(), format, args);
  std::replace(m.message.begin(), m.message.end(), '\n', ' ');
  return 1;
}

struct CloseTiff {
  void operator()(TIFF* t) const { TIFFClose(t); }
};
struct FreeOptions {
  void operator()(TIFFOpenOptions* o) const { TIFFOpenOptionsFree(o); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

Tiff open(const Source& source, Memory& memory) {
  const std::unique_ptr<TIFFOpenOptions, FreeOptions> options(TIFFOpenOptionsAlloc());
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &memory);
  TIFFOpenOptionsSetWarningHandlerExtR(
      options.get(), [](TIFF*, void*, const char*, const char*, va_list) { return 1; }, nullptr);
  // A strip can be claimed to be as large as one likes: never more than the largest picture allowed.
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), std::max<tmsize_t>(source.max_pixels * 8, 1 << 20));
  return Tiff(TIFFClientOpenExt(
      "memory", "r", &memory, read_memory, [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; },
      seek_memory, [](thandle_t) { return 0; },
      [](thandle_t h) -> toff_t { return static_cast<Memory*>(h)->bytes.size(); }, map_memory,
      [](thandle_t, void*, toff_t) {}, options.get()));
}

struct Layout {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint16_t bits = 1;
  std::uint16_t samples = 1;
  std::uint16_t photometric = PHOTOMETRIC_MINISWHITE;
  std::uint16_t planar = PLANARCONFIG_CONTIG;
  std::uint16_t format = SAMPLEFORMAT_UINT;
  std::uint16_t compression = COMPRESSION_NONE;
  std::uint16_t orientation = 1;
  bool premultiplied = false;
  int alpha = -1;                             // the sample that is alpha, if there is one
  bool keep_alpha = false;                    // and is wanted
  std::array<std::uint16_t*, 3> colors = {};  // of a palette, 2^bits each

  std::size_t planes() const { return planar == PLANARCONFIG_SEPARATE ? samples : 1; }
  std::size_t samples_per_plane() const { return planar == PLANARCONFIG_SEPARATE ? 1 : samples; }
};

Layout read_layout(const Source& source, TIFF* tiff) {
  Layout l;
  if (TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &l.width) == 0 ||
      TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &l.height) == 0) {
    fail(source, "the TIFF does not say its size");
  }
  check_size(source, l.width, l.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &l.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &l.samples);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &l.photometric);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &l.planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &l.format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &l.compression);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &l.orientation);
  std::uint16_t extra_count = 0;
  std::uint16_t* extra = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extra) != 0 && extra_count > 0) {
    l.premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
    const int colors = l.photometric == PHOTOMETRIC_RGB ? 3 : 1;
    const bool known = l.photometric == PHOTOMETRIC_RGB || l.photometric == PHOTOMETRIC_MINISBLACK;
    if (known && l.samples > colors && extra[0] != EXTRASAMPLE_UNSPECIFIED && (l.bits == 8 || l.bits == 16))
      l.alpha = colors;
  }
  l.keep_alpha = source.wants_alpha && l.alpha >= 0;
  if (l.photometric == PHOTOMETRIC_PALETTE &&
      TIFFGetField(tiff, TIFFTAG_COLORMAP, &l.colors[0], &l.colors[1], &l.colors[2]) == 0) {
    fail(source, "the TIFF has a palette picture without a palette");
  }
  return l;
}

void check_layout(const Source& source, const Layout& l) {
  const bool integers = l.format == SAMPLEFORMAT_UINT || l.format == SAMPLEFORMAT_VOID;
  constexpr int kMaxSamples = 16;
  const bool ok = l.samples <= kMaxSamples && [&] {
    switch (l.photometric) {
      case PHOTOMETRIC_MINISWHITE:
      case PHOTOMETRIC_MINISBLACK:
        if (l.samples < 1) return false;
        switch (l.bits) {
          case 1:
          case 2:
          case 4:
          case 12:
            return integers && l.samples == 1;
          case 8:
          case 16:
            return integers || l.format == SAMPLEFORMAT_INT;
          case 32:
            return integers || l.format == SAMPLEFORMAT_INT || l.format == SAMPLEFORMAT_IEEEFP;
          default:
            return false;
        }
      case PHOTOMETRIC_RGB:
        return integers && l.samples >= 3 && (l.bits == 8 || l.bits == 16);
      case PHOTOMETRIC_SEPARATED:
        return integers && l.samples >= 4 && (l.bits == 8 || l.bits == 16);
      case PHOTOMETRIC_PALETTE:
        return integers && ((l.samples == 1 && (l.bits == 1 || l.bits == 2 || l.bits == 4)) ||
                            (l.samples >= 1 && l.bits == 8));
      default:
        return false;
    }
  }();
  if (!ok) {
    fail(
        source,
        fmt::format("a TIFF of {} samples of {} bits, colour space {} and sample format {} is not supported; "
                    "convert it to 8-bit RGB",
                    l.samples, l.bits, l.photometric, l.format));
  }
}

std::uint32_t native16(const std::uint8_t* p) {
  std::uint16_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

std::uint32_t native32(const std::uint8_t* p) {
  std::uint32_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <typename T>
std::uint8_t clipped(T v) {  // Pillow's I and F to L
  return v >= T{255} ? 255 : v > T{0} ? static_cast<std::uint8_t>(v) : std::uint8_t{0};
}

// Sample `i` of a packed row of 1, 2, 4, 8 or 12 bits.
unsigned packed_sample(const std::uint8_t* row, std::size_t i, unsigned bits) {
  if (bits == 8) return row[i];
  if (bits == 12) {
    const std::uint8_t* p = row + i / 2 * 3;
    return i % 2 == 0 ? static_cast<unsigned>(p[0] << 4 | p[1] >> 4)
                      : static_cast<unsigned>((p[1] & 15) << 8 | p[2]);
  }
  const std::size_t bit = i * bits;
  return static_cast<unsigned>(row[bit / 8] >> (8 - bits - bit % 8)) & ((1U << bits) - 1);
}

std::uint8_t gray_sample(const Layout& l, const std::uint8_t* row, std::size_t i) {
  // Pillow turns white-is-zero over up to 8 bits, not above.
  const bool inverted = l.photometric == PHOTOMETRIC_MINISWHITE;
  switch (l.bits) {
    case 12:
      return clipped(static_cast<int>(packed_sample(row, i, 12)));
    case 16:
      return l.format == SAMPLEFORMAT_INT
                 ? clipped(static_cast<int>(static_cast<std::int16_t>(native16(row + 2 * i))))
                 : clipped(static_cast<int>(native16(row + 2 * i)));
    case 32: {
      const std::uint32_t v = native32(row + 4 * i);
      if (l.format == SAMPLEFORMAT_IEEEFP) return clipped(std::bit_cast<float>(v));
      return clipped(static_cast<std::int32_t>(v));  // Pillow's mode I is signed
    }
    default: {
      const unsigned most = (1U << l.bits) - 1;
      const unsigned v = packed_sample(row, i, l.bits) * (255 / most);
      return static_cast<std::uint8_t>(inverted ? 255 - v : v);
    }
  }
}

// The value of a gray sample of more than 8 bits.
double wide_sample(const Layout& l, const std::uint8_t* row, std::size_t i) {
  if (l.bits == 12) return packed_sample(row, i, 12);
  const bool is_signed = l.format == SAMPLEFORMAT_INT;
  if (l.bits == 16) {
    const auto v = static_cast<std::uint16_t>(native16(row + 2 * i));
    return is_signed ? static_cast<double>(static_cast<std::int16_t>(v)) : static_cast<double>(v);
  }
  const std::uint32_t v = native32(row + 4 * i);
  if (l.format == SAMPLEFORMAT_IEEEFP) return static_cast<double>(std::bit_cast<float>(v));
  return is_signed ? static_cast<double>(static_cast<std::int32_t>(v)) : static_cast<double>(v);
}

std::uint8_t id_sample(const Source& source, const Layout& l, const std::uint8_t* row, std::size_t i) {
  return l.bits <= 8 ? gray_sample(l, row, i) : id_of(source, wide_sample(l, row, i));
}

// 8 bits of a colour sample: the value, or its high byte.
std::uint8_t color_sample(const Layout& l, const std::uint8_t* row, std::size_t i) {
  return l.bits == 16 ? static_cast<std::uint8_t>(native16(row + 2 * i) >> 8) : row[i];
}

// `count` pixels of decoded samples to gray or RGB; `planes` has a row per plane.
void convert_row(const Source& source, const Layout& l, const std::array<const std::uint8_t*, 4>& planes,
                 std::size_t count, std::uint8_t* to) {
  const std::size_t step = l.samples_per_plane();
  const bool separate = l.planar == PLANARCONFIG_SEPARATE;
  const auto sample = [&](std::size_t x, std::size_t c) {
    return color_sample(l, planes[separate ? c : 0], separate ? x : x * step + c);
  };
  switch (l.photometric) {
    case PHOTOMETRIC_RGB:
      for (std::size_t x = 0; x < count; ++x) {
        const int alpha = l.premultiplied && l.samples >= 4 ? sample(x, 3) : 255;
        for (std::size_t c = 0; c < 3; ++c) *to++ = unpremultiply(sample(x, c), alpha);
        if (l.keep_alpha) *to++ = sample(x, 3);
      }
      break;
    case PHOTOMETRIC_SEPARATED:
      for (std::size_t x = 0; x < count; ++x, to += 3) {
        const std::array<std::uint8_t, 4> cmyk = {sample(x, 0), sample(x, 1), sample(x, 2), sample(x, 3)};
        cmyk_to_rgb(cmyk.data(), to);
      }
      break;
    case PHOTOMETRIC_PALETTE:
      if (source.ids) {
        for (std::size_t x = 0; x < count; ++x) {
          to[x] = static_cast<std::uint8_t>(packed_sample(planes[0], x * step, l.bits));
        }
        break;
      }
      for (std::size_t x = 0; x < count; ++x, to += 3) {
        const unsigned index = packed_sample(planes[0], x * step, l.bits);
        for (std::size_t c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>(l.colors[c][index] / 256);
      }
      break;
    default:
      for (std::size_t x = 0; x < count; ++x) {
        const std::uint8_t v =
            source.ids ? id_sample(source, l, planes[0], x * step) : gray_sample(l, planes[0], x * step);
        *to++ = v;
        if (!l.keep_alpha) continue;
        *to++ = v;
        *to++ = v;
        *to++ = sample(x, 1);
      }
      break;
  }
}

[[noreturn]] void damaged(const Source& source, const Memory& memory, int rows_read, int rows) {
  if (memory.message[0] == '\0') fail_truncated(source, rows_read, rows);
  fail(source, fmt::format("the TIFF is damaged or cut off after {} of {} rows ({})", rows_read, rows,
                           memory.message.data()));
}

// Planes whose values matter: the colours, and alpha that they were multiplied with.
std::size_t planes_needed(const Layout& l) {
  return std::min<std::size_t>(l.planes(), 4);
}

std::size_t bytes_for(const Layout& l, std::uint64_t pixels) {
  return static_cast<std::size_t>((pixels * l.samples_per_plane() * l.bits + 7) / 8);
}

void read_strips(const Source& source, TIFF* tiff, const Memory& memory, const Layout& l, Image& image) {
  const std::size_t row_bytes = bytes_for(l, l.width);
  if (static_cast<std::uint64_t>(TIFFScanlineSize64(tiff)) != row_bytes) {
    fail(source, "the rows of the TIFF are of another size than its header says");
  }
  // Plane by plane, because libtiff reads rows of one strip after the other; gray and colours of one plane at
  // once.
  const std::size_t planes = planes_needed(l);
  if (planes == 1) {
    std::vector<std::uint8_t> row(row_bytes);
    for (std::uint32_t y = 0; y < l.height; ++y) {
      if (TIFFReadScanline(tiff, row.data(), y, 0) != 1)
        damaged(source, memory, static_cast<int>(y), image.height);
      convert_row(source, l, {row.data()}, l.width, image.row(static_cast<int>(y)));
    }
    return;
  }
  std::array<std::vector<std::uint8_t>, 4> whole;
  for (std::size_t p = 0; p < planes; ++p) {
    whole[p].resize(row_bytes * l.height);
    for (std::uint32_t y = 0; y < l.height; ++y) {
      if (TIFFReadScanline(tiff, whole[p].data() + y * row_bytes, y, static_cast<std::uint16_t>(p)) != 1) {
        damaged(source, memory, static_cast<int>(y), image.height);
      }
    }
  }
  for (std::uint32_t y = 0; y < l.height; ++y) {
    std::array<const std::uint8_t*, 4> rows = {};
    for (std::size_t p = 0; p < planes; ++p) rows[p] = whole[p].data() + y * row_bytes;
    convert_row(source, l, rows, l.width, image.row(static_cast<int>(y)));
  }
}

void read_tiles(const Source& source, TIFF* tiff, const Memory& memory, const Layout& l, Image& image) {
  std::uint32_t tile_width = 0;
  std::uint32_t tile_height = 0;
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
  TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
  if (tile_width == 0 || tile_height == 0) fail(source, "the tiles of the TIFF are empty");
  // A tile may stick out of the picture, but not be larger than any picture.
  check_size(source, tile_width, tile_height);
  if (static_cast<std::int64_t>(tile_width) * tile_height >
      std::max<std::int64_t>(source.max_pixels / l.samples, 1 << 20)) {
    fail(source, "the tiles of the TIFF are too large");
  }
  const std::size_t row_bytes = bytes_for(l, tile_width);
  const std::size_t tile_bytes = row_bytes * tile_height;
  if (static_cast<std::uint64_t>(TIFFTileSize64(tiff)) != tile_bytes) {
    fail(source, "the tiles of the TIFF are of another size than its header says");
  }
  const std::size_t planes = planes_needed(l);
  std::vector<std::uint8_t> tiles(tile_bytes * planes);
  for (std::uint32_t y0 = 0; y0 < l.height; y0 += tile_height) {
    for (std::uint32_t x0 = 0; x0 < l.width; x0 += tile_width) {
      for (std::size_t p = 0; p < planes; ++p) {
        if (TIFFReadTile(tiff, tiles.data() + p * tile_bytes, x0, y0, 0, static_cast<std::uint16_t>(p)) < 0) {
          damaged(source, memory, static_cast<int>(y0), image.height);
        }
      }
      const std::size_t columns = std::min(tile_width, l.width - x0);
      for (std::uint32_t y = y0; y < std::min(y0 + tile_height, l.height); ++y) {
        std::array<const std::uint8_t*, 4> rows = {};
        for (std::size_t p = 0; p < planes; ++p)
          rows[p] = tiles.data() + p * tile_bytes + (y - y0) * row_bytes;
        convert_row(source, l, rows, columns,
                    image.row(static_cast<int>(y)) + static_cast<std::ptrdiff_t>(x0) * image.channels);
      }
    }
  }
}

// Subsampled chroma: libtiff's own conversion, as in Pillow.
Image read_as_rgba(const Source& source, TIFF* tiff, const Memory& memory, const Layout& l) {
  std::vector<std::uint32_t> abgr(static_cast<std::size_t>(l.width) * l.height);
  // The picture as it is stored: the caller turns it.
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  if (TIFFReadRGBAImageOriented(tiff, l.width, l.height, abgr.data(), ORIENTATION_TOPLEFT, 1) == 0) {
    damaged(source, memory, 0, static_cast<int>(l.height));
  }
  Image image(static_cast<int>(l.width), static_cast<int>(l.height), 3);
  std::uint8_t* to = image.pixels.data();
  for (const std::uint32_t v : abgr) {
    *to++ = static_cast<std::uint8_t>(TIFFGetR(v));
    *to++ = static_cast<std::uint8_t>(TIFFGetG(v));
    *to++ = static_cast<std::uint8_t>(TIFFGetB(v));
  }
  return image;
}

std::vector<std::uint8_t> color_profile(const Source& source, TIFF* tiff) {
  std::uint32_t size = 0;
  const std::uint8_t* data = nullptr;
  if (!source.wants_profile || TIFFGetField(tiff, TIFFTAG_ICCPROFILE, &size, &data) == 0) return {};
  return {data, data + size};
}

}  // namespace

Decoded decode_tiff(const Source& source) {
  Memory memory{source.bytes};
  const Tiff tiff = open(source, memory);
  if (!tiff) {
    fail(source, fmt::format("the TIFF is damaged or cut off ({})", memory.message.data()));
  }
  Layout l = read_layout(source, tiff.get());
  const int orientation = l.orientation;
  if (l.photometric == PHOTOMETRIC_YCBCR) {
    if (l.compression == COMPRESSION_JPEG && l.planar == PLANARCONFIG_CONTIG) {
      TIFFSetField(tiff.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      l.photometric = PHOTOMETRIC_RGB;
    } else {
      Decoded out{read_as_rgba(source, tiff.get(), memory, l), orientation};
      out.profile = color_profile(source, tiff.get());
      return out;
    }
  }
  check_layout(source, l);
  const bool gray = l.photometric == PHOTOMETRIC_MINISWHITE || l.photometric == PHOTOMETRIC_MINISBLACK;
  const bool one_channel = gray || (source.ids && l.photometric == PHOTOMETRIC_PALETTE);
  const int channels = l.keep_alpha ? 4 : one_channel ? 1 : 3;
  Decoded out{Image(static_cast<int>(l.width), static_cast<int>(l.height), channels), orientation,
              l.photometric == PHOTOMETRIC_PALETTE, l.alpha >= 0, gray && l.bits > 8};
  out.gray = gray;
  out.profile = color_profile(source, tiff.get());
  if (TIFFIsTiled(tiff.get()) != 0)
    read_tiles(source, tiff.get(), memory, l, out.image);
  else
    read_strips(source, tiff.get(), memory, l, out.image);
  return out;
}

}  // namespace sam2unet::image
