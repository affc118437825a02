// PNG through libpng, reading and writing.
#include <fmt/format.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "core/file.h"
#include "image/bytes.h"
#include "image/decoders.h"
#include "image/guarded.h"
#include "image/orientation.h"
#include "image/row_writer.h"
#include "sam2unet/draw.h"
#include "sam2unet/errors.h"
#include "sam2unet/png_stream.h"

namespace sam2unet {
namespace image {
namespace {

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes left;
  Behind* behind = nullptr;
  std::jmp_buf on_error = {};
  std::array<char, 160> message = {};

  explicit Reader(const Source& source) : left(source.bytes), behind(source.behind) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error_message,
                                 [](png_structp, png_const_charp) {});
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) throw std::bad_alloc();
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[noreturn]] static void on_error_message(png_structp png, png_const_charp text) {
    Reader& reader = *static_cast<Reader*>(png_get_error_ptr(png));
    std::snprintf(reader.message.data(), reader.message.size(), "%s", text);
    std::longjmp(reader.on_error, 1);  // NOLINT(modernize-avoid-setjmp-longjmp,cert-err52-cpp)
  }
  static void read(png_structp png, png_bytep to, std::size_t count) {
    Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader.left.size()) png_error(png, "the file ends early; get a whole copy of it");
    std::memcpy(to, reader.left.data(), count);
    reader.left = reader.left.subspan(count);
    if (reader.behind != nullptr) reader.behind->reach(reader.left.data());
  }
};

// Decompresses at most 1 MiB: metadata is small, and a small chunk may claim to be large.
std::string inflate_text(std::string_view packed) {
  std::string out(std::size_t{1} << 20, '\0');
  uLongf size = out.size();
  // Z_BUF_ERROR: longer than that; what fits is kept.
  const int status = uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                                reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  out.resize(status == Z_OK || status == Z_BUF_ERROR ? size : 0);
  return out;
}

// Cuts `text` at the first zero byte and returns what was before it.
std::optional<std::string_view> take_until_zero(std::string_view& text) {
  const auto end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(end + 1);
  return head;
}

// "Raw profile type exif", as ImageMagick writes it: newline, "exif", newline, length, newline, hexadecimal
// digits.
std::vector<std::uint8_t> from_raw_profile(std::string_view text) {
  std::vector<std::uint8_t> out;
  for (int line = 0; line < 3; ++line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
  int high = -1;
  for (const char c : text) {
    int digit = 0;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if (c >= 'a' && c <= 'f')
      digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      digit = c - 'A' + 10;
    else
      continue;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

struct Metadata {
  std::vector<std::uint8_t> exif;         // of an eXIf chunk
  std::vector<std::uint8_t> raw_profile;  // of a text chunk; counts where there is no eXIf
  std::string xmp;
  std::vector<std::uint8_t> profile;
};

void read_text(std::string_view type, std::string_view text, Metadata& out) {
  const auto key = take_until_zero(text);
  if (!key) return;
  const bool profile = *key == "Raw profile type exif";
  if (type == "tEXt" && profile) out.raw_profile = from_raw_profile(text);
  if (type == "zTXt" && profile && text.size() > 1)
    out.raw_profile = from_raw_profile(inflate_text(text.substr(1)));
  if (type == "iTXt" && (profile || *key == "XML:com.adobe.xmp") && text.size() > 2) {
    const bool packed = text[0] != 0;
    text.remove_prefix(2);
    if (!take_until_zero(text) || !take_until_zero(text)) return;  // language, translated key
    const std::string value = packed ? inflate_text(text) : std::string(text);
    if (profile)
      out.raw_profile = from_raw_profile(value);
    else
      out.xmp = value;
  }
}

// iCCP: a name, the method (0), and the profile, packed.
std::vector<std::uint8_t> read_profile(std::string_view text) {
  if (!take_until_zero(text) || text.empty()) return {};
  const std::string profile = inflate_text(text.substr(1));
  return {profile.begin(), profile.end()};
}

// Own walk over the chunks: the ones wanted may also stand after the picture, where libpng need not go.
Metadata read_metadata(const Source& source) {
  const Bytes file = source.bytes;
  Metadata found;
  std::size_t at = 8;
  while (file.size() - at >= 12) {
    const std::size_t length = be32(file.data() + at);
    if (length > file.size() - at - 12) break;
    const auto* data = reinterpret_cast<const char*>(file.data() + at);
    const std::string_view type(data + 4, 4);
    if (type == "eXIf")
      found.exif.assign(data + 8, data + 8 + length);
    else if (type.ends_with("Xt") || type.ends_with("XT"))
      read_text(type, {data + 8, length}, found);
    else if (type == "iCCP" && source.wants_profile)
      found.profile = read_profile({data + 8, length});
    at += length + 12;
    if (source.behind != nullptr) source.behind->reach(file.data() + at);
  }
  return found;
}

int orientation(const Metadata& found) {
  return orientation_of(found.exif.empty() ? found.raw_profile : found.exif, found.xmp);
}

// What Pillow's convert leaves of each colour type: no alpha, 16 bits cut to the high byte (gray is clipped
// instead, by the caller), fewer than 8 bits of gray widened, palettes looked up (for ids: a byte per index).
void set_transforms(png_structp png, int color, int depth, const Source& source, bool keep_alpha) {
  if (color == PNG_COLOR_TYPE_PALETTE && source.ids) {
    png_set_packing(png);
    return;
  }
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (color != PNG_COLOR_TYPE_GRAY && depth == 16) png_set_strip_16(png);
  if (keep_alpha) {
    png_set_tRNS_to_alpha(png);
    png_set_gray_to_rgb(png);
  } else {
    png_set_strip_alpha(png);
  }
}

[[noreturn]] void fail_damaged(const Source& source, const Reader& reader) {
  fail(source, fmt::format("the PNG is damaged ({})", reader.message.data()));
}

struct RowLayout {
  int width = 0, height = 0;
  int passes = 1;
  std::size_t row_bytes = 0;
  bool gray16 = false;
};

// Pillow's I;16 to L: values above 255 are 255.
void clip16(const Source& source, const std::uint8_t* wide, int width, std::uint8_t* row) {
  for (int x = 0; x < width; ++x, wide += 2) {
    if (source.ids && wide[0] != 0) fail_large_id(source, wide[0] << 8 | wide[1]);
    row[x] = wide[0] != 0 ? 255 : wide[1];
  }
}

void read_rows(Reader& reader, const Source& source, const RowLayout& rows, RowWriter& writer) {
  // Interlaced rows are filled in over several passes, so all of them stay until the end.
  const bool in_place = !rows.gray16 && (rows.passes == 1 || writer.is_direct());
  const bool keeps_all = !in_place && rows.passes > 1;
  std::vector<std::uint8_t> kept(
      in_place ? 0 : rows.row_bytes * (keeps_all ? static_cast<std::size_t>(rows.height) : 1));
  const auto kept_row = [&](int y) {
    return kept.data() + (keeps_all ? static_cast<std::size_t>(y) * rows.row_bytes : 0);
  };
  for (int pass = 0; pass < rows.passes; ++pass) {
    const bool is_last = pass + 1 == rows.passes;
    for (int y = 0; y < rows.height; ++y) {
      std::uint8_t* to = in_place ? writer.row(y) : kept_row(y);
      if (!guarded(reader.on_error, [&] { png_read_row(reader.png, to, nullptr); }))
        fail_damaged(source, reader);
      if (!is_last) continue;
      if (rows.gray16)
        clip16(source, to, rows.width, writer.row(y));
      else if (!in_place)
        std::copy_n(to, rows.row_bytes, writer.row(y));
      writer.done(y);
    }
  }
}

}  // namespace

Decoded decode_png(const Source& source) {
  Metadata metadata = read_metadata(source);
  if (source.behind != nullptr) source.behind->rewind();
  Reader reader(source);
  png_structp png = reader.png;
  const auto damaged = [&] { fail_damaged(source, reader); };
  const bool header_read = guarded(reader.on_error, [&] {
    png_set_read_fn(png, &reader, Reader::read);
    // Sizes are checked below, with a better message. Colour profiles and texts do not matter here: Pillow
    // ignores them, and skipping them is safest.
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png, reader.info);
  });
  if (!header_read) damaged();
  check_size(source, png_get_image_width(png, reader.info), png_get_image_height(png, reader.info));
  const int width = static_cast<int>(png_get_image_width(png, reader.info));
  const int height = static_cast<int>(png_get_image_height(png, reader.info));
  const int color = png_get_color_type(png, reader.info);
  const int depth = png_get_bit_depth(png, reader.info);
  const bool gray16 = color == PNG_COLOR_TYPE_GRAY && depth == 16;
  const bool alpha =
      (color & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, reader.info, PNG_INFO_tRNS) != 0;
  const bool keep_alpha = alpha && source.wants_alpha && !gray16;

  int channels = 0;
  std::size_t row_bytes = 0;
  int passes = 1;
  const bool ready = guarded(reader.on_error, [&] {
    set_transforms(png, color, depth, source, keep_alpha);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader.info);
    channels = png_get_channels(png, reader.info);
    row_bytes = png_get_rowbytes(png, reader.info);
  });
  if (!ready) damaged();
  const auto pixel_bytes = static_cast<std::size_t>(channels) * (gray16 ? 2 : 1);
  if ((channels != 1 && channels != 3 && !(keep_alpha && channels == 4)) ||
      row_bytes != pixel_bytes * static_cast<std::size_t>(width)) {
    fail(source, "the PNG is of a kind that is not supported; convert it to 8-bit RGB");
  }

  Decoded out{{},     orientation(metadata),      color == PNG_COLOR_TYPE_PALETTE, alpha,
              gray16, std::move(metadata.profile)};
  RowWriter writer(source, width, height, channels, out.orientation);
  read_rows(reader, source, {width, height, passes, row_bytes, gray16}, writer);
  out.image = writer.take();
  out.placed = channels;
  out.gray = (color & PNG_COLOR_MASK_COLOR) == 0;
  return out;
}

namespace {

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf on_error = {};
  std::vector<std::byte> out;
  std::size_t row = 0;  // that is being written, of so many
  int height = 0;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error_message,
                                  [](png_structp, png_const_charp) {});
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) throw std::bad_alloc();
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[noreturn]] static void on_error_message(png_structp png, png_const_charp) {
    std::longjmp(static_cast<Writer*>(png_get_error_ptr(png))->on_error, 1);  // NOLINT(cert-err52-cpp)
  }
  static void write(png_structp png, png_bytep bytes, std::size_t count) {
    auto& w = *static_cast<Writer*>(png_get_io_ptr(png));
    auto& out = w.out;
    try {
      const auto* from = reinterpret_cast<const std::byte*>(bytes);
      // Not doubled, which of a picture of 100 megapixels would be memory for more than is written: as much
      // as the rows so far need for all.
      if (out.capacity() - out.size() < count) {
        const std::size_t all =
            out.size() * static_cast<std::size_t>(w.height) / std::max<std::size_t>(1, w.row);
        out.reserve(out.size() +
                    std::max({count, std::size_t{1} << 16, all - std::min(all, out.size()) + all / 16}));
      }
      out.insert(out.end(), from, from + count);
    } catch (const std::bad_alloc&) {
      png_error(png, "no memory");
    }
  }
};

}  // namespace
}  // namespace image

namespace {

struct Rows {
  int width = 0, height = 0;
  std::function<const std::uint8_t*(int y)> row;
};

// Writes a PNG of 8 bits row by row; `palette` is empty where the rows are no indices.
class Encoder {
 public:
  Encoder(int width, int height, int color, std::span<const png_color> palette,
          std::span<const std::byte> color_profile, ByteSink sink = {})
      : width_(width), height_(height), sink_(std::move(sink)) {
    const image::Bytes profile = image::rgb_profile(
        {reinterpret_cast<const std::uint8_t*>(color_profile.data()), color_profile.size()});
    writer_.height = sink_ ? 0 : height;  // of which what is written is guessed
    check(image::guarded(writer_.on_error, [&] { begin(color, palette, profile); }));
  }
  void write(const std::uint8_t* row) {
    check(image::guarded(writer_.on_error, [&] { png_write_row(writer_.png, row); }));
    ++writer_.row;
    pass_on(kPassedOn);
  }
  bool is_whole() const { return writer_.row == static_cast<std::size_t>(height_); }
  std::vector<std::byte> finish() {
    check(image::guarded(writer_.on_error, [&] { png_write_end(writer_.png, nullptr); }));
    pass_on(1);
    return std::move(writer_.out);
  }
  int width() const { return width_; }
  int rows_left() const { return height_ - static_cast<int>(writer_.row); }

 private:
  static constexpr std::size_t kPassedOn = std::size_t{1} << 18;

  // Here, and not where libpng writes: what a sink throws must not pass through C.
  void pass_on(std::size_t least) {
    if (!sink_ || writer_.out.size() < least) return;
    sink_(writer_.out);
    writer_.out.clear();
  }
  void begin(int color, std::span<const png_color> palette, const image::Bytes& profile) {
    png_structp png = writer_.png;
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_write_fn(png, &writer_, image::Writer::write, [](png_structp) {});
    // Level 1 with one fixed filter: several times faster than the default, about a tenth larger. Differences
    // of indices mean nothing.
    png_set_compression_level(png, 1);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, palette.empty() ? PNG_FILTER_UP : PNG_FILTER_NONE);
    png_set_IHDR(png, writer_.info, static_cast<png_uint_32>(width_), static_cast<png_uint_32>(height_), 8,
                 color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!palette.empty()) png_set_PLTE(png, writer_.info, palette.data(), static_cast<int>(palette.size()));
    if (!profile.empty()) {
      png_set_benign_errors(png, 1);  // a profile that libpng finds odd is left out
      png_set_iCCP(png, writer_.info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, profile.data(),
                   static_cast<png_uint_32>(profile.size()));
    }
    png_write_info(png, writer_.info);
  }
  void check(bool went_well) const {
    if (!went_well) throw ImageError(fmt::format("cannot encode a PNG of {} x {} pixels", width_, height_));
  }

  int width_, height_;
  ByteSink sink_;
  image::Writer writer_;
};

std::vector<std::byte> encode(const Rows& image, int color, std::span<const png_color> palette,
                              std::span<const std::byte> color_profile) {
  Encoder encoder(image.width, image.height, color, palette, color_profile);
  for (int y = 0; y < image.height; ++y) encoder.write(image.row(y));
  return encoder.finish();
}

int color_type_of(int channels) {
  switch (channels) {
    case 1:
      return PNG_COLOR_TYPE_GRAY;
    case 3:
      return PNG_COLOR_TYPE_RGB;
    case 4:
      return PNG_COLOR_TYPE_RGB_ALPHA;
    default:
      throw UsageError(fmt::format("a PNG has 1, 3 or 4 channels, not {}", channels));
  }
}

std::vector<png_color> checked_palette(std::span<const Color> palette) {
  if (palette.empty() || palette.size() > 256) {
    throw UsageError(fmt::format("a palette has 1 to 256 colours, not {}", palette.size()));
  }
  std::vector<png_color> colors;
  for (const Color c : palette) colors.push_back({c.red, c.green, c.blue});
  return colors;
}

void check_indices(const ImageView& indices, std::size_t colors) {
  for (int y = 0; y < indices.height; ++y) {
    const std::uint8_t* row = indices.row(y);
    const std::uint8_t most = *std::max_element(row, row + indices.width);
    if (most >= colors)
      throw UsageError(fmt::format("the index {} has no colour in a palette of {}", most, colors));
  }
}

Rows rows_of(const ImageView& image) {
  if (image.width <= 0 || image.height <= 0 || image.data == nullptr)
    throw UsageError("an empty picture has no PNG");
  return {image.width, image.height, [image](int y) { return image.row(y); }};
}

}  // namespace

std::vector<std::byte> encode_mask_png(const ImageView& mask) {
  if (mask.channels != 1) throw UsageError(fmt::format("a mask has 1 channel, not {}", mask.channels));
  Rows rows = rows_of(mask);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(mask.width));
  rows.row = [&](int y) {
    std::transform(mask.row(y), mask.row(y) + mask.width, row.begin(),
                   [](std::uint8_t v) { return static_cast<std::uint8_t>(v >= 128 ? 255 : 0); });
    return static_cast<const std::uint8_t*>(row.data());
  };
  return encode(rows, PNG_COLOR_TYPE_GRAY, {}, {});
}

std::vector<std::byte> encode_png(const ImageView& image, std::span<const std::byte> color_profile) {
  const int color = color_type_of(image.channels);
  return encode(rows_of(image), color, {},
                image.channels == 1 ? std::span<const std::byte>() : color_profile);
}

std::vector<std::byte> encode_indexed_png(const ImageView& indices, std::span<const Color> palette) {
  if (indices.channels != 1) {
    throw UsageError(fmt::format("a picture of indices has 1 channel, not {}", indices.channels));
  }
  const auto colors = checked_palette(palette);
  check_indices(indices, colors.size());
  return encode(rows_of(indices), PNG_COLOR_TYPE_PALETTE, colors, {});
}

struct PngStream::Impl {
  Impl(int width, int height, int of_channels, std::span<const png_color> palette,
       std::span<const std::byte> profile, const ByteSink& sink)
      : encoder(width, height, palette.empty() ? color_type_of(of_channels) : PNG_COLOR_TYPE_PALETTE, palette,
                profile, sink),
        channels(of_channels),
        colors(palette.size()) {}
  Encoder encoder;
  int channels;
  std::size_t colors;  // of the palette
};

PngStream::PngStream(int width, int height, int channels, const PngStreamOptions& options) {
  if (width <= 0 || height <= 0) throw UsageError("an empty picture has no PNG");
  const auto profile = channels == 1 ? std::span<const std::byte>() : options.color_profile;
  std::vector<png_color> palette;
  if (!options.palette.empty()) {
    if (channels != 1) throw UsageError(fmt::format("a picture of indices has 1 channel, not {}", channels));
    palette = checked_palette(options.palette);
  }
  impl_ = std::make_unique<Impl>(width, height, channels, palette, profile, options.sink);
}
PngStream::~PngStream() = default;
PngStream::PngStream(PngStream&&) noexcept = default;
PngStream& PngStream::operator=(PngStream&&) noexcept = default;

void PngStream::add(const ImageView& rows) {
  if (rows.width != impl_->encoder.width() || rows.channels != impl_->channels ||
      rows.height > impl_->encoder.rows_left()) {
    throw UsageError(
        fmt::format("{} rows of {} pixels and {} channels do not go on this PNG, which has {} left",
                    rows.height, rows.width, rows.channels, impl_->encoder.rows_left()));
  }
  if (impl_->colors > 0) check_indices(rows, impl_->colors);
  for (int y = 0; y < rows.height; ++y) impl_->encoder.write(rows.row(y));
}

std::vector<std::byte> PngStream::finish() {
  if (!impl_->encoder.is_whole())
    throw UsageError(fmt::format("{} rows are missing in this PNG", impl_->encoder.rows_left()));
  return impl_->encoder.finish();
}

void write_png(const std::filesystem::path& path, const ImageView& image) {
  write_file(path, encode_png(image));
}

}  // namespace sam2unet
