// Pictures in memory, and reading and writing them. 8 bits per channel, interleaved, rows from top to bottom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sam2unet/color.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// A picture somebody else owns: `channels` interleaved bytes per pixel, `stride` bytes from row to row.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 0;  ///< 1 gray, 3 RGB, 4 RGBA
  std::ptrdiff_t stride = 0;

  ImageView() = default;
  /// Rows without gaps between them.
  ImageView(const std::uint8_t* pixels, int w, int h, int c)
      : ImageView(pixels, w, h, c, static_cast<std::ptrdiff_t>(w) * c) {}
  /// A stride of 0 stands for rows without gaps too, so that no view repeats its first row.
  ImageView(const std::uint8_t* pixels, int w, int h, int c, std::ptrdiff_t row_bytes)
      : data(pixels),
        width(w),
        height(h),
        channels(c),
        stride(row_bytes == 0 ? static_cast<std::ptrdiff_t>(w) * c : row_bytes) {}

  const std::uint8_t* row(int y) const { return data + y * stride; }
};

/// A picture that owns its bytes, without gaps between the rows.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;  ///< 1 gray, 3 RGB, 4 RGBA
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int w, int h, int c)
      : width(w),
        height(h),
        channels(c),
        pixels(static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * static_cast<std::size_t>(c)) {}
  std::uint8_t* row(int y) { return pixels.data() + static_cast<std::ptrdiff_t>(y) * width * channels; }
  const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::ptrdiff_t>(y) * width * channels;
  }
  // NOLINTNEXTLINE(google-explicit-constructor): a view of an owner is what callers mean
  operator ImageView() const {
    return {pixels.data(), width, height, channels, static_cast<std::ptrdiff_t>(width) * channels};
  }
};

/// What a decoded picture is turned into.
enum class ColorMode {
  rgb,   ///< as Pillow's `Image.open(f).convert("RGB")`
  gray,  ///< as Pillow's `Image.open(f).convert("L")`
  /// Masks of class ids: the indices of a palette instead of its colours, gray as it is (values above 255 are
  /// an error), RGB where the file has colours. 1 or 3 channels.
  ids,
  rgba,  ///< as Pillow's `Image.open(f).convert("RGBA")`; opaque where the format, or BMP, has no alpha
};

struct DecodeOptions {
  ColorMode mode = ColorMode::rgb;
  /// Turn the picture as its EXIF (or XMP) orientation says, as Pillow's `ImageOps.exif_transpose`. The
  /// reference does not. TIFF is turned either way, because Pillow turns it while loading.
  bool apply_exif_orientation = true;
  /// Pictures with more pixels than this are refused before anything is decoded.
  std::int64_t max_pixels = std::int64_t{1} << 28;
  /// Fill ImageInfo::color_profile.
  bool keep_color_profile = false;
};

enum class ImageFormat { jpeg, png, webp, tiff, bmp, pnm, gif };
/// "JPEG", "PNG", ...
SAM2UNET_API std::string_view name_of(ImageFormat format);
/// Which format the bytes begin like, if any; they may still be damaged.
SAM2UNET_API std::optional<ImageFormat> detect_image_format(std::span<const std::byte> bytes);

/// What a picture file was before it was turned into RGB or gray.
struct ImageInfo {
  ImageFormat format = ImageFormat::png;
  /// EXIF orientation as stored, 1 (upright) to 8; also where it was not applied.
  int orientation = 1;
  bool gray = false;     ///< stored without colour
  bool palette = false;  ///< stored as indices into a table of colours
  bool alpha = false;    ///< stored with alpha or a transparent colour (not told of BMP)
  /// Gray of more than 8 bits, or floating point: brought to 8 bits by clipping to 0..255, as Pillow does.
  /// Other readers keep the high byte or scale, so what it means is not certain.
  bool deep = false;
  /// ICC profile of an RGB picture, where DecodeOptions asked for it; empty if there is none.
  std::vector<std::byte> color_profile;
};

/// Decodes JPEG, PNG, WebP, TIFF, BMP, PNM or GIF bytes; the format is told from the bytes, not from a name.
/// Of several frames or pages the first. `name` only appears in messages. ImageError if it is none of them,
/// truncated, damaged, or out of limits.
SAM2UNET_API Image decode_image(std::span<const std::byte> bytes, const DecodeOptions& options = {},
                                std::string_view name = "picture", ImageInfo* info = nullptr);
/// Reads and decodes a file. FileError or ImageError.
SAM2UNET_API Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {},
                              ImageInfo* info = nullptr);

/// The picture turned upright from EXIF orientation 1 to 8 (any other: unchanged).
SAM2UNET_API Image apply_orientation(Image image, int orientation);
/// As Pillow's `convert("L")` of RGB, ITU-R 601-2: (19595 r + 38470 g + 7471 b + 32768) >> 16;
/// `convert("RGB")` of gray. Alpha is dropped.
SAM2UNET_API Image convert_color(Image image, ColorMode mode);

/// PNG bytes of a gray, RGB or RGBA picture. `color_profile`: an ICC profile of RGB colours to go with it;
/// one that is none is left out.
SAM2UNET_API std::vector<std::byte> encode_png(const ImageView& image,
                                               std::span<const std::byte> color_profile = {});
/// PNG bytes of one channel of indices into at most 256 colours. UsageError if it has more channels, or an
/// index has no colour.
SAM2UNET_API std::vector<std::byte> encode_indexed_png(const ImageView& indices,
                                                       std::span<const Color> palette);
/// Writes a PNG: whole under its name or not at all. FileError.
SAM2UNET_API void write_png(const std::filesystem::path& path, const ImageView& image);

/// True for the extensions of the formats above, in any case.
SAM2UNET_API bool has_image_extension(const std::filesystem::path& path);

enum class ResizeFilter { bilinear, bicubic };
/// Whose pass order: 12.3 runs the horizontal pass first (but for pictures over 100 times as high as
/// wide), 13.0 the vertical one for w x h -> W x H where h > H and h - H > 2 (w - W).
enum class PillowVersion { v12, v13 };

/// Pillow's antialiased `Image.resize((width, height), filter)` of modes L, RGB and RGBA (whose colours are
/// weighted with alpha, as there), bit for bit. UsageError if a size is not positive or the result would not
/// fit in memory.
SAM2UNET_API Image resize_pillow(const ImageView& image, int width, int height, ResizeFilter filter,
                                 PillowVersion version = PillowVersion::v12);

}  // namespace sam2unet
