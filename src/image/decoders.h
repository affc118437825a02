// One decoder per file format. Each yields the first picture of the file as Pillow's `convert` would leave
// it: gray where the file has no colour, else RGB. Alpha is dropped unless it is wanted, more than 8 bits are
// brought to 8 as Pillow does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"

namespace sam2unet::image {

using Bytes = std::span<const std::uint8_t>;

/// Told how far a decoder has come in the bytes, so that what is behind it need not stay in memory.
class Behind {
 public:
  Behind() = default;
  /// Of a mapped file, all of it.
  explicit Behind(const MappedFile& file) : file_(&file) {}
  /// The decoder is at `next`, and does not go back.
  void reach(const std::uint8_t* next);
  /// It begins again.
  void rewind();

 private:
  const MappedFile* file_ = nullptr;
  std::size_t released_ = 0;
};

struct Source {
  Bytes bytes;
  std::string_view name;  // only for messages
  std::int64_t max_pixels = 0;
  Image* spare = nullptr;  // whose memory the result may take
  bool ids = false;        // ColorMode::ids
  bool wants_alpha = false;
  bool wants_profile = false;
  ColorMode mode = ColorMode::rgb;
  bool turns = false;        // the picture is to be upright
  Behind* behind = nullptr;  // where the bytes are a mapped file
};

struct Decoded {
  Image image;  // as stored: 1 or 3 channels; 4 only where alpha is wanted and there is some
  int orientation = 1;
  bool palette = false;
  bool alpha = false;
  bool deep = false;
  std::vector<std::uint8_t> profile;  // where wanted; not checked
  int placed = 0;  // stored channels of an image that has those of the source's mode, and is upright, already
  bool gray = false;  // stored without colour, though the image has four channels for its alpha
};

/// ImageError "cannot decode NAME: REASON".
[[noreturn]] void fail(const Source& source, std::string_view reason);
/// Refuses empty pictures and more than `max_pixels`, before anything is allocated for them.
void check_size(const Source& source, std::int64_t width, std::int64_t height);
/// A picture to fill; what it holds is not defined.
Image blank(const Source& source, int width, int height, int channels);
/// How many channels a mode makes of a picture of so many.
int channels_of(ColorMode mode, int channels);
/// `count` pixels of 1, 3 or 4 channels to as many of `wanted`, as convert_color.
void convert_pixels(const std::uint8_t* from, std::ptrdiff_t count, int channels, std::uint8_t* to,
                    int wanted);
/// The reason all formats give for an id that has no room in 8 bits.
[[noreturn]] void fail_large_id(const Source& source, std::int64_t id);
/// A value of a map of many bits or of floats as the id that it must be; refuses fractions, signs and what is
/// none.
std::uint8_t id_of(const Source& source, double value);
/// The reason all formats give for data that ends early.
[[noreturn]] void fail_truncated(const Source& source, int rows_read, int rows);

Decoded decode_jpeg(const Source& source);
Decoded decode_png(const Source& source);
Decoded decode_webp(const Source& source);
Decoded decode_tiff(const Source& source);
Decoded decode_bmp(const Source& source);
Decoded decode_pnm(const Source& source);
Decoded decode_gif(const Source& source);

/// The part of `profile` that is an ICC profile of RGB colours; empty if it is none.
Bytes rgb_profile(Bytes profile);

}  // namespace sam2unet::image
