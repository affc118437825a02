#include "sam2unet/class_draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "image/outlines.h"
#include "image/png_rows.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

std::array<bool, 256> set_of(std::span<const int> shown) {
  std::array<bool, 256> out{};
  if (shown.empty()) {
    out.fill(true);
    out[0] = false;
  }
  for (const int id : shown) {
    if (id < 0 || id > 255) throw UsageError(fmt::format("{} is no id of a class", id));
    out.at(static_cast<std::size_t>(id)) = true;
  }
  return out;
}

void check_ids(const ImageView& ids) {
  if (ids.data == nullptr || ids.channels != 1 || ids.width < 1 || ids.height < 1) {
    throw UsageError(fmt::format("ids of classes are a gray picture, not one of {} channels and {}x{} pixels",
                                 ids.channels, ids.width, ids.height));
  }
}

// A shown pixel with another id beside it. The edge of the picture is no outline.
bool on_border(const ImageView& ids, int x, int y) {
  const std::uint8_t id = ids.row(y)[x];
  return (x > 0 && ids.row(y)[x - 1] != id) || (x + 1 < ids.width && ids.row(y)[x + 1] != id) ||
         (y > 0 && ids.row(y - 1)[x] != id) || (y + 1 < ids.height && ids.row(y + 1)[x] != id);
}

// Grows while pixels are added.
struct Growing {
  int left = 0, right = -1, top = 0, bottom = -1;
  std::int64_t area = 0;
  double sum = 0;
  void add(int x, int y, float confidence) {
    if (area++ == 0) {
      left = right = x;
      top = bottom = y;
    }
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
    sum += confidence;
  }
  MaskSummary summary() const {
    if (area == 0) return {};
    return {{left, top, right - left + 1, bottom - top + 1}, area, sum / static_cast<double>(area)};
  }
};

// Values that belong to the pixels, in reading order.
struct FloatConfidence {
  std::span<const float> values;
  float operator()(int, int, std::size_t i) const { return values[i]; }
};
struct GrayConfidence {
  const ImageView& values;
  float operator()(int x, int y, std::size_t) const { return static_cast<float>(values.row(y)[x]) / 255.0F; }
};

// The outlines of what `inside(x, y)` says, looked for in the box alone.
template <class Inside>
std::vector<Polygon> polygons_in(const Box& box, double tolerance, const Inside& inside) {
  if (box.width == 0) return {};
  Image mask(box.width, box.height, 1);
  for (int y = 0; y < box.height; ++y) {
    for (int x = 0; x < box.width; ++x) mask.row(y)[x] = inside(box.x + x, box.y + y) ? 255 : 0;
  }
  std::vector<Polygon> out = mask_polygons(mask, tolerance);
  const auto move = [&](Ring& ring) {
    for (Point& p : ring) p = {p.x + box.x, p.y + box.y};
  };
  for (Polygon& polygon : out) {
    move(polygon.outer);
    for (Ring& hole : polygon.holes) move(hole);
  }
  return out;
}

template <class Confidence>
std::vector<ClassRegion> whole_classes(const ImageView& ids, const Confidence& confidence,
                                       std::span<const int> shown, double tolerance) {
  std::array<Growing, 256> all{};
  std::size_t i = 0;
  for (int y = 0; y < ids.height; ++y) {
    for (int x = 0; x < ids.width; ++x) all[ids.row(y)[x]].add(x, y, confidence(x, y, i++));
  }
  std::vector<ClassRegion> out;
  for (const int id : shown) {
    ClassRegion r{id, all.at(static_cast<std::size_t>(id)).summary(), {}};
    if (r.summary.area > 0) r.polygons = class_polygons(ids, id, tolerance);
    out.push_back(std::move(r));
  }
  return out;
}

// Connected parts by filling them one after the other: `part` holds each pixel's number, -1 before.
template <class Confidence>
std::vector<ClassRegion> connected_parts(const ImageView& ids, const Confidence& confidence,
                                         std::span<const int> shown, double tolerance) {
  const std::array<bool, 256> wanted = set_of(shown);
  const auto width = static_cast<std::size_t>(ids.width);
  std::vector<std::int32_t> part(width * static_cast<std::size_t>(ids.height), -1);
  std::vector<std::size_t> waiting;
  std::vector<ClassRegion> out;
  for (std::size_t first = 0; first < part.size(); ++first) {
    const auto id_at = [&](std::size_t i) { return ids.row(static_cast<int>(i / width))[i % width]; };
    const std::uint8_t id = id_at(first);
    if (part[first] >= 0 || !wanted[id]) continue;
    const auto number = static_cast<std::int32_t>(out.size());
    Growing g;
    const auto reach = [&](std::size_t i) {
      if (part[i] >= 0 || id_at(i) != id) return;
      part[i] = number;
      waiting.push_back(i);
    };
    for (reach(first); !waiting.empty();) {
      const std::size_t i = waiting.back();
      waiting.pop_back();
      const std::size_t x = i % width;
      const int px = static_cast<int>(x), py = static_cast<int>(i / width);
      g.add(px, py, confidence(px, py, i));
      if (x > 0) reach(i - 1);
      if (x + 1 < width) reach(i + 1);
      if (i >= width) reach(i - width);
      if (i + width < part.size()) reach(i + width);
    }
    out.push_back({id, g.summary(), {}});
    out.back().polygons = polygons_in(out.back().summary.box, tolerance, [&](int column, int row) {
      return part[static_cast<std::size_t>(row) * width + static_cast<std::size_t>(column)] == number;
    });
  }
  return out;
}

template <class Confidence>
std::vector<ClassRegion> regions(const ImageView& ids, const Confidence& confidence,
                                 std::span<const int> shown, const RegionOptions& options) {
  return options.kind == RegionKind::classes ? whole_classes(ids, confidence, shown, options.tolerance)
                                             : connected_parts(ids, confidence, shown, options.tolerance);
}

void check_overlay(const ImageView& picture, const ImageView& ids, const OverlayOptions& options) {
  check_ids(ids);
  if (picture.width != ids.width || picture.height != ids.height ||
      (picture.channels != 1 && picture.channels != 3 && picture.channels != 4)) {
    throw UsageError(fmt::format("ids of {} x {} pixels do not fit a picture of {} x {} with {} channels",
                                 ids.width, ids.height, picture.width, picture.height, picture.channels));
  }
  if (!(options.opacity >= 0.0 && options.opacity <= 1.0)) {
    throw UsageError(fmt::format("an opacity lies between 0 and 1, not at {}", options.opacity));
  }
}

int outline_of(const OverlayOptions& options, const ImageView& ids) {
  if (options.outline >= 0) return options.outline;
  return std::max(1, (std::min(ids.width, ids.height) + 150) / 300);  // as draw_overlay
}

}  // namespace

Image class_mask(const ImageView& ids, std::span<const int> shown) {
  check_ids(ids);
  const std::array<bool, 256> wanted = set_of(shown);
  Image out(ids.width, ids.height, 1);
  for (int y = 0; y < ids.height; ++y) {
    std::transform(ids.row(y), ids.row(y) + ids.width, out.row(y),
                   [&](std::uint8_t id) { return static_cast<std::uint8_t>(wanted[id] ? 255 : 0); });
  }
  return out;
}

Image draw_class_overlay(const ImageView& picture, const ImageView& ids, const ClassTable& table,
                         std::span<const int> shown, const OverlayOptions& options) {
  check_overlay(picture, ids, options);
  const std::array<bool, 256> wanted = set_of(shown);
  const std::vector<Color> palette = class_palette(table);
  const int weight = static_cast<int>(std::lround(options.opacity * 256));
  Image out(ids.width, ids.height, 3);
  for (int y = 0; y < ids.height; ++y) {
    const std::uint8_t* from = picture.row(y);
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < ids.width; ++x, from += picture.channels, to += 3) {
      const std::uint8_t id = ids.row(y)[x];
      const std::array<int, 3> color{palette[id].red, palette[id].green, palette[id].blue};
      const int w = wanted[id] ? weight : 0;
      for (std::size_t c = 0; c < 3; ++c) {
        const int before = from[picture.channels == 1 ? 0 : c];
        to[c] = static_cast<std::uint8_t>((before * (256 - w) + color[c] * w + 128) >> 8);
      }
    }
  }
  const int thickness = outline_of(options, ids);
  const int before = (thickness - 1) / 2, after = thickness / 2;
  for (int y = 0; y < ids.height && thickness > 0; ++y) {
    for (int x = 0; x < ids.width; ++x) {
      const std::uint8_t id = ids.row(y)[x];
      if (!wanted[id] || !on_border(ids, x, y)) continue;
      for (int j = std::max(y - before, 0); j <= std::min(y + after, ids.height - 1); ++j) {
        for (int i = std::max(x - before, 0); i <= std::min(x + after, ids.width - 1); ++i) {
          std::uint8_t* p = out.row(j) + static_cast<std::ptrdiff_t>(i) * 3;
          p[0] = palette[id].red;
          p[1] = palette[id].green;
          p[2] = palette[id].blue;
        }
      }
    }
  }
  return out;
}

std::vector<std::byte> encode_class_overlay_png(const ImageView& picture, const ImageView& ids,
                                                const ClassTable& table, std::span<const int> shown,
                                                const OverlayOptions& options) {
  check_overlay(picture, ids, options);
  OverlayOptions how = options;
  how.outline = outline_of(options, ids);
  return image::encode_drawn_png(ids.width, ids.height, [&](int first, int last) {
    const image::RowRange rows = image::with_halo(first, last, how.outline + 1, ids.height);
    return image::without_halo(
        draw_class_overlay(image::rows_of(picture, rows), image::rows_of(ids, rows), table, shown, how), rows,
        last - first);
  });
}

std::vector<Polygon> class_polygons(const ImageView& ids, int id, double tolerance) {
  check_ids(ids);
  const std::array<bool, 256> values = set_of(std::span(&id, 1));
  return image::outlines(ids, values, tolerance);
}

std::vector<ClassRegion> class_regions(const ImageView& ids, std::span<const float> confidence,
                                       std::span<const int> shown, const RegionOptions& options) {
  check_ids(ids);
  set_of(shown);
  if (confidence.size() != static_cast<std::size_t>(ids.width) * static_cast<std::size_t>(ids.height)) {
    throw UsageError(fmt::format("{} values of confidence do not fit ids of {} x {} pixels",
                                 confidence.size(), ids.width, ids.height));
  }
  return regions(ids, FloatConfidence{confidence}, shown, options);
}

std::vector<ClassRegion> class_regions(const ImageView& ids, const ImageView& confidence,
                                       std::span<const int> shown, const RegionOptions& options) {
  check_ids(ids);
  check_ids(confidence);
  set_of(shown);
  if (confidence.width != ids.width || confidence.height != ids.height) {
    throw UsageError(fmt::format("a confidence of {} x {} pixels does not fit ids of {} x {}",
                                 confidence.width, confidence.height, ids.width, ids.height));
  }
  return regions(ids, GrayConfidence{confidence}, shown, options);
}

}  // namespace sam2unet
