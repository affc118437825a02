// Pictures in memory, and reading and writing them. 8 bits per channel, interleaved, rows from top to bottom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "sam2unet/export.h"

namespace sam2unet {

/// A picture somebody else owns: `channels` interleaved bytes per pixel, `stride` bytes from row to row.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  int channels = 0;  ///< 1 gray, 3 RGB, 4 RGBA
  std::ptrdiff_t stride = 0;

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
      : width(w), height(h), channels(c), pixels(static_cast<std::size_t>(w) * static_cast<std::size_t>(h) * static_cast<std::size_t>(c)) {}
  std::uint8_t* row(int y) { return pixels.data() + static_cast<std::ptrdiff_t>(y) * width * channels; }
  const std::uint8_t* row(int y) const { return pixels.data() + static_cast<std::ptrdiff_t>(y) * width * channels; }
  // NOLINTNEXTLINE(google-explicit-constructor): a view of an owner is what callers mean
  operator ImageView() const {
    return {pixels.data(), width, height, channels, static_cast<std::ptrdiff_t>(width) * channels};
  }
};

/// What a decoded picture is turned into.
enum class ColorMode {
  rgb,   ///< as Pillow's `Image.open(f).convert("RGB")`
  gray,  ///< as Pillow's `Image.open(f).convert("L")`
};

struct DecodeOptions {
  ColorMode mode = ColorMode::rgb;
  /// Turn the picture as its EXIF orientation says. The reference does not.
  bool apply_exif_orientation = true;
  /// Pictures with more pixels than this are refused before anything is decoded.
  std::int64_t max_pixels = std::int64_t{1} << 28;
};

/// Decodes JPEG, PNG, WebP, TIFF, BMP or PNM bytes; the format is told from the bytes, not from a name.
/// `name` only appears in messages. ImageError if it is none of them, truncated, or out of limits.
SAM2UNET_API Image decode_image(std::span<const std::byte> bytes, const DecodeOptions& options = {},
                                std::string_view name = "picture");
/// Reads and decodes a file. FileError or ImageError.
SAM2UNET_API Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {});

/// PNG bytes of a gray, RGB or RGBA picture.
SAM2UNET_API std::vector<std::byte> encode_png(const ImageView& image);
/// Writes a PNG: whole under its name or not at all. FileError.
SAM2UNET_API void write_png(const std::filesystem::path& path, const ImageView& image);

/// True for the extensions of the formats above, in any case.
SAM2UNET_API bool has_image_extension(const std::filesystem::path& path);

enum class ResizeFilter { bilinear, bicubic };
/// Whose pass order: up to Pillow 12 the horizontal pass is always first; 13 chooses by size.
enum class PillowVersion { v12, v13 };

/// Pillow's antialiased `Image.resize((width, height), filter)` on 8-bit channels, bit for bit.
SAM2UNET_API Image resize_pillow(const ImageView& image, int width, int height, ResizeFilter filter,
                                 PillowVersion version = PillowVersion::v12);

}  // namespace sam2unet
