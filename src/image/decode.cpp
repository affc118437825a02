#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "core/file.h"
#include "image/bytes.h"
#include "image/decoders.h"
#include "image/picture_reader.h"
#include "image/pixels.h"
#include "sam2unet/errors.h"
#include "sam2unet/picture_limit.h"

namespace sam2unet {

PictureTooLargeError::~PictureTooLargeError() = default;

namespace image {

void Behind::reach(const std::uint8_t* next) {
  constexpr std::size_t kStep = std::size_t{4} << 20;
  if (file_ == nullptr) return;
  const auto at = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(next) - file_->bytes().data());
  if (at < released_ + kStep) return;
  file_->release(file_->bytes().subspan(released_, at - released_));
  released_ = at;
}

void Behind::rewind() {
  if (file_ != nullptr) file_->release(file_->bytes());
  released_ = 0;
}

void fail(const Source& source, std::string_view reason) {
  throw ImageError(fmt::format("cannot decode {}: {}", source.name, reason));
}

void check_size(const Source& source, std::int64_t width, std::int64_t height) {
  if (width <= 0 || height <= 0)
    fail(source, fmt::format("it is {} x {} pixels, an empty picture", width, height));
  constexpr std::int64_t kMaxSide = 1 << 24;  // whole numbers up to here are exact in the resize's arithmetic
  if (width > kMaxSide || height > kMaxSide || width > source.max_pixels / height) {
    throw PictureTooLargeError(
        fmt::format("cannot decode {}: it is {} x {} pixels, more than the {} allowed; make it smaller first",
                    source.name, width, height, source.max_pixels));
  }
}

Image blank(const Source& source, int width, int height, int channels) {
  if (source.spare == nullptr) return Image(width, height, channels);
  Image out = std::move(*source.spare);
  out.width = width;
  out.height = height;
  out.channels = channels;
  out.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                    static_cast<std::size_t>(channels));
  return out;
}

void fail_large_id(const Source& source, std::int64_t id) {
  fail(source, fmt::format("it holds the value {}, but ids of classes are 0 to 255", id));
}

std::uint8_t id_of(const Source& source, double value) {
  if (value >= 0 && value <= 255 && value == std::floor(value)) return static_cast<std::uint8_t>(value);
  fail(source, fmt::format("it holds the value {}, but ids of classes are whole numbers of 0 to 255", value));
}

void fail_truncated(const Source& source, int rows_read, int rows) {
  fail(source, fmt::format("the file is cut off or damaged after {} of {} rows; get a whole copy of it",
                           rows_read, rows));
}

namespace {

bool starts_with(Bytes bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

struct Format {
  ImageFormat format;
  bool (*is)(Bytes);
  Decoded (*decode)(const Source&);
};

constexpr std::array<Format, 7> kFormats = {{
    {ImageFormat::jpeg, [](Bytes b) { return starts_with(b, "\xFF\xD8\xFF"); }, decode_jpeg},
    {ImageFormat::png, [](Bytes b) { return starts_with(b, "\x89PNG\r\n\x1A\n"); }, decode_png},
    {ImageFormat::webp, [](Bytes b) { return starts_with(b, "RIFF") && starts_with(b, "WEBP", 8); },
     decode_webp},
    {ImageFormat::tiff,
     [](Bytes b) {
       using namespace std::string_view_literals;
       return starts_with(b, "II*\0"sv) || starts_with(b, "MM\0*"sv) || starts_with(b, "II+\0"sv) ||
              starts_with(b, "MM\0+"sv);
     },
     decode_tiff},
    {ImageFormat::bmp, [](Bytes b) { return starts_with(b, "BM"); }, decode_bmp},
    {ImageFormat::pnm,
     [](Bytes b) {
       return b.size() >= 3 && b[0] == 'P' && ((b[1] >= '1' && b[1] <= '6') || b[1] == 'f') &&
              (std::isspace(b[2]) != 0 || b[2] == '#');
     },
     decode_pnm},
    {ImageFormat::gif, [](Bytes b) { return starts_with(b, "GIF87a") || starts_with(b, "GIF89a"); },
     decode_gif},
}};

// What is not read, but deserves its name in the message.
std::string_view foreign_format(Bytes b) {
  using namespace std::string_view_literals;
  if (starts_with(b, "ftyp", 4)) {
    for (const std::string_view brand : {"heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"}) {
      if (starts_with(b, brand, 8)) return "HEIC";
    }
    if (starts_with(b, "avif", 8) || starts_with(b, "avis", 8)) return "AVIF";
    return "MP4";
  }
  if (starts_with(b, "\0\0\0\x0CjP  "sv) || starts_with(b, "\xFF\x4F\xFF\x51"sv)) return "JPEG 2000";
  if (starts_with(b, "\0\0\0\x0CJXL "sv) || starts_with(b, "\xFF\x0A"sv)) return "JPEG XL";
  if (starts_with(b, "8BPS")) return "Photoshop";
  if (starts_with(b, "DICM", 128)) return "DICOM";
  if (starts_with(b, "%PDF")) return "PDF";
  if (starts_with(b, "\x76\x2F\x31\x01"sv)) return "OpenEXR";
  if (starts_with(b, "\0\x05\x16\x07"sv)) return "AppleDouble (what macOS keeps beside a file)";
  if (starts_with(b, "<") || starts_with(b, "\xEF\xBB\xBF<")) return "HTML or XML";
  if (starts_with(b, "version https://git-lfs")) return "Git LFS (fetch it with `git lfs pull`)";
  return {};
}

const Format* find_format(Bytes bytes) {
  const auto f = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& x) { return x.is(bytes); });
  return f == kFormats.end() ? nullptr : &*f;
}

}  // namespace
}  // namespace image

std::optional<ImageFormat> detect_image_format(std::span<const std::byte> bytes) {
  const auto* format =
      image::find_format({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return format == nullptr ? std::nullopt : std::optional(format->format);
}

std::string_view name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::pnm:
      return "PNM";
    case ImageFormat::gif:
      return "GIF";
  }
  return "?";
}

int image::channels_of(ColorMode mode, int channels) {
  const bool one_channel = mode == ColorMode::gray || (mode == ColorMode::ids && channels == 1);
  return one_channel ? 1 : mode == ColorMode::rgba ? 4 : 3;
}

void image::convert_pixels(const std::uint8_t* from, std::ptrdiff_t count, int channels, std::uint8_t* to,
                           int wanted) {
  const std::uint8_t* const end = from + count * channels;
  if (wanted == channels) {
    std::copy(from, end, to);
  } else if (wanted == 1) {
    for (; from != end; from += channels) *to++ = luma(from);
  } else {
    for (; from != end; from += channels, to += wanted) {
      to[0] = from[0];
      to[1] = from[channels == 1 ? 0 : 1];
      to[2] = from[channels == 1 ? 0 : 2];
      if (wanted == 4) to[3] = 255;
    }
  }
}

Image convert_color(Image image, ColorMode mode) {
  const int c = image.channels;
  const int wanted = image::channels_of(mode, c);
  if (c == wanted) return image;
  if (c != 1 && c != 3 && c != 4)
    throw UsageError(fmt::format("a picture has 1, 3 or 4 channels, not {}", c));
  Image out(image.width, image.height, wanted);
  const auto pixels = static_cast<std::ptrdiff_t>(image.width) * image.height;
  image::convert_pixels(image.pixels.data(), pixels, c, out.pixels.data(), wanted);
  return out;
}

namespace image {

Bytes rgb_profile(Bytes profile) {
  constexpr std::size_t kHeader = 132;  // with the number of its tags
  if (profile.size() < kHeader) return {};
  const auto text = [&](std::size_t at) {
    return std::string_view(reinterpret_cast<const char*>(&profile[at]), 4);
  };
  const std::size_t size = be32(profile.data());
  if (size < kHeader || size > profile.size() || size % 4 != 0) return {};
  if (text(16) != "RGB " || text(36) != "acsp") return {};
  return profile.first(size);
}

namespace {

Image decode(std::span<const std::byte> bytes, const DecodeOptions& options, std::string_view name,
             ImageInfo* info, Image* spare, Behind* behind = nullptr) {
  const Source source{{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                      name,
                      options.max_pixels,
                      spare,
                      options.mode == ColorMode::ids,
                      options.mode == ColorMode::rgba,
                      options.keep_color_profile,
                      options.mode,
                      options.apply_exif_orientation,
                      behind};
  if (bytes.empty()) fail(source, "the file is empty");
  const Format* format = find_format(source.bytes);
  if (format == nullptr) {
    const std::string_view foreign = foreign_format(source.bytes);
    fail(source,
         fmt::format("it is {}, not a JPEG, PNG, WebP, TIFF, BMP, PNM or GIF picture; convert it to one of "
                     "these",
                     foreign.empty() ? "of an unknown format" : foreign));
  }
  try {
    Decoded decoded = format->decode(source);
    if (info != nullptr) {
      const int stored = decoded.placed != 0 ? decoded.placed : decoded.image.channels;
      *info = {format->format,  decoded.orientation, (stored == 1 || decoded.gray) && !decoded.palette,
               decoded.palette, decoded.alpha,       decoded.deep};
      const auto profile = std::as_bytes(rgb_profile(decoded.profile));
      info->color_profile.assign(profile.begin(), profile.end());
    }
    if (decoded.placed != 0) return std::move(decoded.image);
    // Pillow's TIFF reader turns the picture while loading, asked or not.
    if (options.apply_exif_orientation || format->format == ImageFormat::tiff) {
      decoded.image = apply_orientation(std::move(decoded.image), decoded.orientation);
    }
    return convert_color(std::move(decoded.image), options.mode);
  } catch (const std::bad_alloc&) {
    fail(source, "there is not enough memory for it; make it smaller first");
  }
}

}  // namespace

Image& PictureReader::read(const std::filesystem::path& path, const DecodeOptions& options, ImageInfo* info) {
  read_file(path, file_);
  image_ = decode(file_, options, path.string(), info, &image_);
  return image_;
}

}  // namespace image

Image decode_image(std::span<const std::byte> bytes, const DecodeOptions& options, std::string_view name,
                   ImageInfo* info) {
  return image::decode(bytes, options, name, info, nullptr);
}

Image read_image(const std::filesystem::path& path, const DecodeOptions& options, ImageInfo* info) {
  // A large file is mapped, and leaves memory as it is decoded. One of this size can be no pipe, and a
  // smaller one is read, so that somebody who cuts it off meanwhile makes an error of it and not a signal.
  constexpr std::uintmax_t kMapped = std::uintmax_t{32} << 20;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || std::filesystem::file_size(path, error) < kMapped)
    return decode_image(read_file(path), options, path.string(), info);
  const MappedFile file(path);
  image::Behind behind(file);
  return image::decode(file.bytes(), options, path.string(), info, nullptr, &behind);
}

bool has_image_extension(const std::filesystem::path& path) {
  static constexpr std::array<std::string_view, 15> kExtensions = {".gif", ".jpg",  ".jpeg", ".jpe",  ".jfif",
                                                                   ".png", ".webp", ".tif",  ".tiff", ".bmp",
                                                                   ".pbm", ".pgm",  ".ppm",  ".pnm",  ".pfm"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

}  // namespace sam2unet
