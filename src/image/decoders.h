// One decoder per file format. Each yields the first picture of the file as Pillow's `convert` would leave
// it: gray where the file has no colour, else RGB. Alpha is dropped unless it is wanted, more than 8 bits are
// brought to 8 as Pillow does.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sam2unet/image.h"

namespace sam2unet::image {

using Bytes = std::span<const std::uint8_t>;

struct Source {
  Bytes bytes;
  std::string_view name;  // only for messages
  std::int64_t max_pixels = 0;
  Image* spare = nullptr;  // whose memory the result may take
  bool ids = false;        // ColorMode::ids
  bool wants_alpha = false;
  bool wants_profile = false;
};

struct Decoded {
  Image image;  // 1 or 3 channels; 4 only where alpha is wanted and there is some
  int orientation = 1;
  bool palette = false;
  bool alpha = false;
  bool deep = false;
  std::vector<std::uint8_t> profile;  // where wanted; not checked
};

/// ImageError "cannot decode NAME: REASON".
[[noreturn]] void fail(const Source& source, std::string_view reason);
/// Refuses empty pictures and more than `max_pixels`, before anything is allocated for them.
void check_size(const Source& source, std::int64_t width, std::int64_t height);
/// A picture to fill; what it holds is not defined.
Image blank(const Source& source, int width, int height, int channels);
/// The reason all formats give for an id that has no room in 8 bits.
[[noreturn]] void fail_large_id(const Source& source, std::int64_t id);
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
