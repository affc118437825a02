#include "data/class_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace sam2unet::data {
namespace {

namespace fs = std::filesystem;

std::string count_of(std::size_t n) {
  return fmt::format("{} mask{}", n, n == 1 ? "" : "s");
}

// Compression leaves many values that few pixels have; a class that the table lacks is one value of many.
bool looks_compressed(const std::vector<UnknownPixels>& unknown, std::int64_t pixels) {
  constexpr std::size_t kMany = 8;
  if (unknown.size() < kMany) return false;
  const auto rare = std::count_if(unknown.begin(), unknown.end(),
                                  [&](const UnknownPixels& u) { return u.pixels * 50 < pixels; });
  return static_cast<std::size_t>(rare) * 4 >= unknown.size() * 3;
}

// A palette whose colours are classes' colours, but under other indices: the tool that wrote it sorted them
// anew.
bool has_other_palette(const Image& indices, const Image& colors, const ClassTable& table) {
  const std::vector<Color> wanted = class_palette(table);
  std::map<std::uint8_t, Color> used;
  for (std::size_t i = 0; i < indices.pixels.size(); ++i) {
    const std::uint8_t* p = colors.pixels.data() + 3 * i;
    used.emplace(indices.pixels[i], Color{p[0], p[1], p[2]});
  }
  bool differs = false;
  for (const auto& [index, stored] : used) {
    const Color color = stored;  // clang 14 captures no structured binding
    const bool is_a_class = std::any_of(table.classes.begin(), table.classes.end(),
                                        [&](const ClassInfo& c) { return c.color == color; });
    if (!is_a_class && !(color == table.ignore_color)) return false;  // colours that mean nothing here
    differs = differs || !(wanted[index] == color);
  }
  return differs;
}

template <class Wanted>
std::vector<fs::path> files_where(const std::vector<CheckedClassMask>& masks, const Wanted& wanted) {
  std::vector<fs::path> out;
  for (const CheckedClassMask& m : masks) {
    if (wanted(m.report)) out.push_back(m.file);
  }
  return out;
}

// The unknown values of all masks, added up; those of masks with other troubles are told there.
std::vector<UnknownPixels> all_unknown(const std::vector<CheckedClassMask>& masks, bool colors) {
  std::map<std::string, UnknownPixels> sums;
  for (const CheckedClassMask& m : masks) {
    if (m.report.jpeg_made) continue;
    for (const UnknownPixels& u : m.report.unknown) {
      if (u.is_color != colors) continue;
      auto [at, added] = sums.emplace(colors ? to_string(u.color) : std::to_string(u.value), u);
      if (!added) at->second.pixels += u.pixels;
    }
  }
  std::vector<UnknownPixels> out;
  out.reserve(sums.size());
  for (const auto& [key, u] : sums) out.push_back(u);
  std::stable_sort(out.begin(), out.end(),
                   [](const UnknownPixels& a, const UnknownPixels& b) { return a.pixels > b.pixels; });
  return out;
}

void add(std::vector<Finding>& out, std::string kind, std::string message, std::string remedy,
         std::vector<fs::path> files) {
  if (!files.empty())
    out.push_back({std::move(kind), std::move(message), std::move(remedy), std::move(files), {}});
}

void add_unknown(const std::vector<CheckedClassMask>& masks, std::vector<Finding>& out) {
  for (const bool colors : {false, true}) {
    const std::vector<UnknownPixels> unknown = all_unknown(masks, colors);
    if (unknown.empty()) continue;
    const auto files = files_where(masks, [&](const ClassMaskReport& r) {
      return !r.jpeg_made && !r.unknown.empty() && r.unknown.front().is_color == colors;
    });
    add(out, colors ? "unknown-colours" : "unknown-ids",
        fmt::format("in {} {}: training and evaluation refuse them", count_of(files.size()),
                    describe(unknown)),
        colors
            ? "Say in the class file what they stand for: the colour of a class, or a line under "
              "[remap.colors]."
            : "Say in the class file what they stand for: a class of that id, or a line under [remap.ids].",
        files);
  }
}

}  // namespace

std::int64_t ClassMaskReport::total() const {
  std::int64_t n = std::accumulate(pixels.begin(), pixels.end(), ignored);
  for (const UnknownPixels& u : unknown) n += u.pixels;
  return n;
}

ClassMaskReport check_class_mask(const Image& stored, const ImageInfo& info, const Image* palette_colors,
                                 const ClassTable& table) {
  ClassMaskReport out;
  ClassMask mask = to_class_mask(stored, table);
  out.pixels.resize(table.classes.size());
  for (const std::uint8_t id : mask.ids.pixels) {
    if (id < out.pixels.size()) {
      ++out.pixels[id];
    } else {
      ++out.ignored;
    }
  }
  out.unknown = std::move(mask.unknown);
  for (const UnknownPixels& u : out.unknown) out.ignored -= u.pixels;
  const auto total = static_cast<std::int64_t>(mask.ids.pixels.size());
  out.jpeg_made = info.format == ImageFormat::jpeg || looks_compressed(out.unknown, total);
  if (stored.channels == 1 && table.ignore == 255) {
    const auto zeros = std::count(stored.pixels.begin(), stored.pixels.end(), std::uint8_t{0});
    const auto full = std::count(stored.pixels.begin(), stored.pixels.end(), std::uint8_t{255});
    out.zero_255 = full > 0 && zeros > 0 && zeros + full == total && mask_values(table)[255] == 255;
  }
  out.other_palette = palette_colors != nullptr && has_other_palette(stored, *palette_colors, table);
  return out;
}

ClassMaskReport check_class_mask(const fs::path& file, const ClassTable& table, ImageInfo* info, int* width,
                                 int* height) {
  const Image stored = read_image(file, {.mode = ColorMode::ids, .apply_exif_orientation = false}, info);
  *width = stored.width;
  *height = stored.height;
  if (!info->palette) return check_class_mask(stored, *info, nullptr, table);
  const Image colors = read_image(file, {.mode = ColorMode::rgb, .apply_exif_orientation = false});
  return check_class_mask(stored, *info, &colors, table);
}

std::vector<Finding> class_findings(const std::vector<CheckedClassMask>& masks, const ClassTable& table) {
  std::vector<Finding> out;
  add_unknown(masks, out);
  const auto jpeg = files_where(masks, [](const ClassMaskReport& r) { return r.jpeg_made; });
  add(out, "jpeg-class-mask",
      fmt::format("{} went through lossy compression, which invents ids along every edge",
                  count_of(jpeg.size())),
      "Get the masks as PNG from their source; rounding to the nearest id mends flat parts, not edges.",
      jpeg);
  // A picture of background alone may have ignored pixels; many of them mean that 255 was a foreground.
  auto binary = files_where(masks, [](const ClassMaskReport& r) { return r.zero_255; });
  if (binary.size() * 2 < masks.size()) binary.clear();
  add(out, "zero-255-mask",
      fmt::format("{} 0 and 255 alone: 255 is ignored, so they teach only background",
                  binary.size() == 1 ? "1 mask holds" : count_of(binary.size()) + " hold"),
      "If 255 is a foreground, write its class's id instead, or set another `ignore` and 255 under "
      "[remap.ids].",
      binary);
  const auto palettes = files_where(masks, [](const ClassMaskReport& r) { return r.other_palette; });
  add(out, "palette-order",
      fmt::format(
          "{} the classes' colours under other indices: palettes are read by index, so classes are exchanged",
          palettes.size() == 1 ? "the palette of 1 mask has"
                               : fmt::format("the palettes of {} have", count_of(palettes.size()))),
      "Save them as RGB, which is read by colour, or with the palette in the order of the ids.", palettes);
  const auto nothing = files_where(masks, [](const ClassMaskReport& r) {
    return !r.zero_255 &&
           std::all_of(r.pixels.begin(), r.pixels.end(), [](std::int64_t n) { return n == 0; });
  });
  add(out, "all-ignored",
      fmt::format("{} no pixel of any class: nothing is learned from their pictures",
                  nothing.size() == 1 ? "1 mask has" : count_of(nothing.size()) + " have"),
      "Remove them with their pictures if that is not meant.", nothing);
  const ClassCensus census = class_census(masks, table);
  if (census.ignored_pixels * 2 > census.pixels && census.pixels > 0) {
    add(out, "mostly-ignored",
        fmt::format("{:.1f} % of all pixels are ignored",
                    100.0 * static_cast<double>(census.ignored_pixels) / static_cast<double>(census.pixels)),
        "Check `ignore` and the remappings of the class file.",
        files_where(masks, [](const ClassMaskReport& r) { return r.ignored * 2 > r.total(); }));
  }
  std::string absent;
  for (std::size_t c = 0; c < census.classes.size(); ++c) {
    if (census.classes[c].pixels > 0) continue;
    absent += fmt::format("{}{} ({})", absent.empty() ? "" : ", ", c, table.classes[c].name);
  }
  if (!absent.empty() && !masks.empty()) {
    out.push_back({"class-never-occurs",
                   fmt::format("no mask has a pixel of class {}: it cannot be learned", absent),
                   "Check the ids of the class file against the masks', or leave the class out.",
                   {},
                   {}});
  }
  return out;
}

ClassCensus class_census(const std::vector<CheckedClassMask>& masks, const ClassTable& table) {
  ClassCensus out;
  for (const ClassInfo& c : table.classes) out.classes.push_back({c.name, 0, 0});
  for (const CheckedClassMask& m : masks) {
    for (std::size_t c = 0; c < m.report.pixels.size(); ++c) {
      out.classes[c].pixels += m.report.pixels[c];
      out.classes[c].masks += m.report.pixels[c] > 0 ? 1 : 0;
    }
    out.ignored_pixels += m.report.ignored;
    out.pixels += m.report.total();
  }
  return out;
}

}  // namespace sam2unet::data
