#include "sam2unet/class_masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "data/class_colors.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

int packed(const std::uint8_t* rgb) {
  return rgb[0] << 16 | rgb[1] << 8 | rgb[2];
}
int packed(Color c) {
  return c.red << 16 | c.green << 8 | c.blue;
}
Color unpacked(int v) {
  return {static_cast<std::uint8_t>(v >> 16), static_cast<std::uint8_t>(v >> 8),
          static_cast<std::uint8_t>(v)};
}

std::unordered_map<int, int> colors_of(const ClassTable& table) {
  std::unordered_map<int, int> out;
  for (int i = 0; i < table.size(); ++i) out[packed(table.classes[static_cast<std::size_t>(i)].color)] = i;
  out[packed(table.ignore_color)] = table.ignore;
  for (const ColorRemap& r : table.remap_colors) out[packed(r.from)] = r.to;
  return out;
}

void sort(std::vector<UnknownPixels>& unknown) {
  std::sort(unknown.begin(), unknown.end(), [](const UnknownPixels& a, const UnknownPixels& b) {
    if (a.pixels != b.pixels) return a.pixels > b.pixels;
    return a.value != b.value ? a.value < b.value : packed(a.color) < packed(b.color);
  });
}

// Channel 0 of every pixel is an id.
ClassMask from_ids(const ImageView& stored, const ClassTable& table) {
  const auto values = mask_values(table);
  std::array<std::uint8_t, 256> ids{};
  for (std::size_t v = 0; v < 256; ++v) {
    ids[v] = static_cast<std::uint8_t>(values[v] < 0 ? table.ignore : values[v]);
  }
  std::array<std::int64_t, 256> counts{};
  ClassMask out{Image(stored.width, stored.height, 1), {}};
  for (int y = 0; y < stored.height; ++y) {
    const std::uint8_t* from = stored.row(y);
    std::uint8_t* to = out.ids.row(y);
    for (int x = 0; x < stored.width; ++x, from += stored.channels) {
      to[x] = ids[*from];
      ++counts[*from];
    }
  }
  for (std::size_t v = 0; v < 256; ++v) {
    if (values[v] < 0 && counts[v] > 0)
      out.unknown.push_back({.value = static_cast<int>(v), .pixels = counts[v]});
  }
  sort(out.unknown);
  return out;
}

ClassMask from_colors(const ImageView& stored, const ClassTable& table) {
  const auto colors = colors_of(table);
  // Photographs in place of masks have as many colours as pixels; beyond this they are counted together.
  constexpr std::size_t kMaxColors = 4096;
  std::unordered_map<int, std::int64_t> unknown;
  ClassMask out{Image(stored.width, stored.height, 1), {}};
  int color = -1, id = table.ignore;
  bool known = true;
  for (int y = 0; y < stored.height; ++y) {
    const std::uint8_t* from = stored.row(y);
    std::uint8_t* to = out.ids.row(y);
    for (int x = 0; x < stored.width; ++x, from += 3) {
      if (packed(from) != color) {
        color = packed(from);
        const auto found = colors.find(color);
        known = found != colors.end();
        id = known ? found->second : table.ignore;
      }
      to[x] = static_cast<std::uint8_t>(id);
      if (known) continue;
      const auto at = unknown.find(color);
      if (at != unknown.end()) {
        ++at->second;
      } else if (unknown.size() < kMaxColors) {
        unknown[color] = 1;
      } else {
        ++unknown.begin()->second;
      }
    }
  }
  for (const auto& [c, pixels] : unknown)
    out.unknown.push_back({.is_color = true, .color = unpacked(c), .pixels = pixels});
  sort(out.unknown);
  return out;
}

bool is_gray(const ImageView& rgb) {
  for (int y = 0; y < rgb.height; ++y) {
    const std::uint8_t* p = rgb.row(y);
    for (int x = 0; x < rgb.width; ++x, p += 3) {
      if (p[0] != p[1] || p[1] != p[2]) return false;
    }
  }
  return true;
}

}  // namespace

ClassMask to_class_mask(const ImageView& stored, const ClassTable& table) {
  if (stored.channels == 1) return from_ids(stored, table);
  if (stored.channels != 3) {
    throw UsageError(fmt::format("a mask has 1 or 3 channels, not {}", stored.channels));
  }
  ClassMask out = from_colors(stored, table);
  if (!out.unknown.empty() && is_gray(stored)) return from_ids(stored, table);
  return out;
}

std::string describe(const std::vector<UnknownPixels>& unknown) {
  if (unknown.empty()) return {};
  constexpr std::size_t kNamed = 5;
  const bool colors = unknown.front().is_color;
  const bool one = unknown.size() == 1;
  std::string out = colors ? (one ? "the colour " : "the colours ") : (one ? "the id " : "the ids ");
  for (std::size_t i = 0; i < std::min(kNamed, unknown.size()); ++i) {
    const UnknownPixels& u = unknown[i];
    out += fmt::format("{}{} ({} pixel{})", i == 0 ? "" : ", ",
                       colors ? to_string(u.color) : std::to_string(u.value), u.pixels,
                       u.pixels == 1 ? "" : "s");
  }
  if (unknown.size() > kNamed) out += fmt::format(" and {} more", unknown.size() - kNamed);
  return out + (one ? " is no class" : " are no classes");
}

Image read_class_mask(const std::filesystem::path& file, const ClassTable& table) {
  ClassMask mask =
      to_class_mask(read_image(file, {.mode = ColorMode::ids, .apply_exif_orientation = false}), table);
  if (!mask.unknown.empty()) {
    throw ImageError(fmt::format("{}: {}: name what they stand for in the class file, as a class or remapped",
                                 file.string(), describe(mask.unknown)));
  }
  return std::move(mask.ids);
}

Image resize_nearest(const ImageView& image, int width, int height) {
  if (width <= 0 || height <= 0 || image.width <= 0 || image.height <= 0) {
    throw UsageError(fmt::format("a picture cannot be resized to {} x {}", width, height));
  }
  const auto places = [](int to, int from) {
    // Geometry.c, ImagingScaleAffine: the place is added up in double, rounding and all.
    std::vector<std::ptrdiff_t> out;
    const double step = static_cast<double>(from) / to;
    double at = step * 0.5;
    for (int i = 0; i < to; ++i, at += step) out.push_back(std::min(static_cast<int>(at), from - 1));
    return out;
  };
  const auto columns = places(width, image.width), rows = places(height, image.height);
  Image out(width, height, image.channels);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = image.row(static_cast<int>(rows[static_cast<std::size_t>(y)]));
    std::uint8_t* to = out.row(y);
    for (const std::ptrdiff_t x : columns) {
      to = std::copy_n(from + x * image.channels, image.channels, to);
    }
  }
  return out;
}

std::vector<Color> class_palette(const ClassTable& table) {
  std::vector<Color> out;
  out.reserve(256);
  for (int i = 0; i < 256; ++i) {
    out.push_back(i < table.size()    ? table.classes[static_cast<std::size_t>(i)].color
                  : i == table.ignore ? table.ignore_color
                                      : voc_color(i));
  }
  return out;
}

std::vector<std::byte> encode_class_png(const ImageView& ids, const ClassTable& table) {
  return encode_indexed_png(ids, class_palette(table));
}

Image data::class_colors(const Image& ids, const ClassTable& table) {
  const std::vector<Color> palette = class_palette(table);
  Image out(ids.width, ids.height, 3);
  std::uint8_t* to = out.pixels.data();
  for (const std::uint8_t id : ids.pixels) {
    *to++ = palette[id].red;
    *to++ = palette[id].green;
    *to++ = palette[id].blue;
  }
  return out;
}

}  // namespace sam2unet
