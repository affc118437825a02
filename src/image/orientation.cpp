#include "image/orientation.h"

#include <algorithm>

#include "image/bytes.h"

namespace sam2unet::image {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;

// The first value of an integer field of a TIFF directory at `at`. Pillow reads these types as numbers, not
// BYTE.
std::optional<int> integer_field(Bytes exif, std::size_t at, bool little) {
  const auto u16 = little ? le16 : be16;
  const auto u32 = little ? le32 : be32;
  const std::uint32_t type = u16(exif.data() + at + 2);
  const std::uint64_t count = u32(exif.data() + at + 4);
  const std::size_t size = type == 3 || type == 8   ? 2
                           : type == 4 || type == 9 ? 4
                                                    : 0;  // SHORT, LONG, signed too
  if (size == 0 || count == 0) return std::nullopt;
  std::size_t value = at + 8;
  if (count * size > 4) {  // then the values lie elsewhere
    value = u32(exif.data() + value);
    if (value > exif.size() || exif.size() - value < count * size) return std::nullopt;
  }
  if (size == 2) return static_cast<int>(u16(exif.data() + value));
  return static_cast<int>(std::min<std::uint32_t>(u32(exif.data() + value), 0xFFFF));
}

}  // namespace

std::optional<int> exif_orientation(Bytes exif) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  while (exif.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin())) {
    exif = exif.subspan(kPrefix.size());
  }
  if (exif.size() < 8) return std::nullopt;
  const bool little = exif[0] == 'I';
  if (exif[0] != exif[1] || (!little && exif[0] != 'M')) return std::nullopt;
  const auto u16 = little ? le16 : be16;
  const auto u32 = little ? le32 : be32;
  if (u16(exif.data() + 2) != 42) return std::nullopt;
  const std::size_t directory = u32(exif.data() + 4);
  if (directory > exif.size() - 2) return std::nullopt;
  const std::size_t count = u16(exif.data() + directory);
  std::optional<int> found;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = directory + 2 + 12 * i;
    if (at + 12 > exif.size()) break;
    if (u16(exif.data() + at) == kOrientationTag) found = integer_field(exif, at, little);
  }
  return found;
}

std::optional<int> xmp_orientation(std::string_view xmp) {
  // Pillow: re.search(r'tiff:Orientation(="|>)([0-9])', xmp)
  constexpr std::string_view kKey = "tiff:Orientation";
  for (auto at = xmp.find(kKey); at != std::string_view::npos; at = xmp.find(kKey, at + 1)) {
    std::string_view rest = xmp.substr(at + kKey.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return std::nullopt;
}

int orientation_of(Bytes exif, std::string_view xmp) {
  const std::optional<int> value = exif_orientation(exif);
  const int o = value ? *value : xmp_orientation(xmp).value_or(1);
  return o >= 1 && o <= 8 ? o : 1;
}

}  // namespace sam2unet::image

namespace sam2unet {
namespace {

// out(x, y) = in(x0 + x * dxx + y * dxy, ...), written as a start and two steps in pixels of the input.
void gather(const Image& in, Image& out, std::ptrdiff_t start, std::ptrdiff_t step_x, std::ptrdiff_t step_y) {
  const int c = in.channels;
  for (int y = 0; y < out.height; ++y) {
    const std::uint8_t* from = in.pixels.data() + (start + y * step_y) * c;
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, from += step_x * c, to += c) {
      for (int i = 0; i < c; ++i) to[i] = from[i];
    }
  }
}

}  // namespace

Image apply_orientation(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const std::ptrdiff_t w = image.width;
  const std::ptrdiff_t h = image.height;
  const bool swaps = orientation >= 5;
  Image out(swaps ? image.height : image.width, swaps ? image.width : image.height, image.channels);
  switch (orientation) {
    case 2:
      gather(image, out, w - 1, -1, w);
      break;  // mirrored left to right
    case 3:
      gather(image, out, w * h - 1, -1, -w);
      break;  // turned by 180 degrees
    case 4:
      gather(image, out, (h - 1) * w, 1, -w);
      break;  // mirrored top to bottom
    case 5:
      gather(image, out, 0, w, 1);
      break;  // transposed
    case 6:
      gather(image, out, (h - 1) * w, -w, 1);
      break;  // turned clockwise
    case 7:
      gather(image, out, w * h - 1, -w, -1);
      break;  // transposed along the other diagonal
    case 8:
      gather(image, out, w - 1, w, -1);
      break;  // turned counterclockwise
    default:
      break;
  }
  return out;
}

}  // namespace sam2unet
