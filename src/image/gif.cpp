// The first frame of a GIF through giflib, as Pillow's GifImagePlugin shows it.
#include <fmt/format.h>
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "image/decoders.h"

namespace sam2unet::image {
namespace {

struct Input {
  Bytes left;
};

int read_input(GifFileType* gif, GifByteType* to, int count) {
  Bytes& left = static_cast<Input*>(gif->UserData)->left;
  const std::size_t n = std::min(left.size(), static_cast<std::size_t>(std::max(count, 0)));
  std::memcpy(to, left.data(), n);
  left = left.subspan(n);
  return static_cast<int>(n);
}

struct CloseGif {
  void operator()(GifFileType* g) const { DGifCloseFile(g, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, CloseGif>;

[[noreturn]] void damaged(const Source& source, int error) {
  if (error == D_GIF_ERR_NOT_ENOUGH_MEM) throw std::bad_alloc();
  const char* text = GifErrorString(error);
  fail(source, fmt::format("the GIF is damaged or cut off ({})", text == nullptr ? "no frame in it" : text));
}

// Passes over the extensions before the first frame, and enters that; its transparent index, if it has one.
std::optional<std::uint8_t> enter_frame(const Source& source, GifFileType* gif) {
  constexpr std::uint8_t kHasTransparency = 1;
  std::optional<std::uint8_t> transparent;
  while (true) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &type) == GIF_ERROR) damaged(source, gif->Error);
    if (type == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) == GIF_ERROR) damaged(source, gif->Error);
      return transparent;
    }
    if (type != EXTENSION_RECORD_TYPE) damaged(source, 0);
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) damaged(source, gif->Error);
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && block[0] >= 4 &&
        (block[1] & kHasTransparency) != 0)
      transparent = block[4];
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) damaged(source, gif->Error);
    }
  }
}

// Pillow drops a palette whose every entry is its own index: the picture is gray then.
bool is_gray_ramp(const ColorMapObject* map) {
  if (map == nullptr) return true;
  for (int i = 0; i < map->ColorCount; ++i) {
    const GifColorType& c = map->Colors[i];
    if (c.Red != i || c.Green != i || c.Blue != i) return false;
  }
  return true;
}

// Rows in the order in which an interlaced GIF stores them.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  if (!interlaced) {
    for (int y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr std::array<std::array<int, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& [first, step] : kPasses) {
    for (int y = first; y < height; y += step) rows.push_back(y);
  }
  return rows;
}

}  // namespace

Decoded decode_gif(const Source& source) {
  Input input{source.bytes};
  int error = 0;
  const Gif gif(DGifOpen(&input, read_input, &error));
  if (!gif) damaged(source, error);
  const std::optional<std::uint8_t> transparent = enter_frame(source, gif.get());
  const GifImageDesc& frame = gif->Image;
  if (frame.Left < 0 || frame.Top < 0 || frame.Width <= 0 || frame.Height <= 0) damaged(source, 0);
  // A frame that is larger than the screen makes it larger.
  const int width = std::max(gif->SWidth, frame.Left + frame.Width);
  const int height = std::max(gif->SHeight, frame.Top + frame.Height);
  check_size(source, width, height);
  // A byte of LZW codes stands for at most 4096 x 8 / 9 pixels: a small file is not worth a large picture.
  constexpr std::int64_t kMaxPerByte = 3641;
  if (static_cast<std::int64_t>(frame.Width) * frame.Height >
      static_cast<std::int64_t>(input.left.size()) * kMaxPerByte) {
    fail_truncated(source, 0, frame.Height);
  }
  const ColorMapObject* map = frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap;
  const bool gray = is_gray_ramp(map);
  const bool keep_alpha = source.wants_alpha && transparent.has_value();
  const int channels = keep_alpha ? 4 : gray || source.ids ? 1 : 3;
  // What the frame does not cover has the transparent index, else 0.
  std::vector<std::uint8_t> indices(static_cast<std::size_t>(width) * static_cast<std::size_t>(height),
                                    transparent.value_or(0));
  int done = 0;
  for (const int y : row_order(frame.Height, frame.Interlace)) {
    std::uint8_t* row = indices.data() + static_cast<std::ptrdiff_t>(frame.Top + y) * width + frame.Left;
    if (DGifGetLine(gif.get(), row, frame.Width) == GIF_ERROR) fail_truncated(source, done, frame.Height);
    ++done;
  }
  Decoded out{Image(width, height, channels), 1, !gray, transparent.has_value()};
  out.gray = gray;
  std::uint8_t* to = out.image.pixels.data();
  for (const std::uint8_t index : indices) {
    GifColorType color{index, index, index};
    if (!gray && !source.ids) color = index < map->ColorCount ? map->Colors[index] : GifColorType{0, 0, 0};
    *to++ = color.Red;
    if (channels == 1) continue;
    *to++ = color.Green;
    *to++ = color.Blue;
    if (channels == 4) *to++ = index == *transparent ? 0 : 255;
  }
  return out;
}

}  // namespace sam2unet::image
