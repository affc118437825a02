#include "sam2unet/class_draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "image/label_runs.h"
#include "image/overlay_rows.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/errors.h"
#include "sam2unet/overlay_stream.h"
#include "sam2unet/region_stream.h"

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

// The confidence of row `y`'s pixels.
using ConfidenceOf = std::function<const float*(int y)>;

std::vector<ClassRegion> whole_classes(const ImageView& ids, const ConfidenceOf& confidence,
                                       std::span<const int> shown, double tolerance) {
  std::array<SummaryBuilder, 256> all{};
  for (int y = 0; y < ids.height; ++y) {
    const float* values = confidence(y);
    for (int x = 0; x < ids.width; ++x) all[ids.row(y)[x]].add(x, y, values[x]);
  }
  std::vector<ClassRegion> out;
  for (const int id : shown) {
    ClassRegion r{id, all.at(static_cast<std::size_t>(id)).summary(), {}};
    if (r.summary.area > 0) r.polygons = class_polygons(ids, id, tolerance);
    out.push_back(std::move(r));
  }
  return out;
}

std::vector<ClassRegion> connected_parts(const ImageView& ids, const ConfidenceOf& confidence,
                                         std::span<const int> shown, double tolerance) {
  const std::array<bool, 256> wanted = set_of(shown);
  image::LabelRuns runs(ids.width, ids.height, wanted);
  for (int y = 0; y < ids.height; ++y) runs.add(ids.row(y), confidence(y));
  std::vector<ClassRegion> out;
  for (int id = 0; id < 256; ++id) {
    if (!wanted[static_cast<std::size_t>(id)]) continue;
    runs.visit(static_cast<std::uint8_t>(id), tolerance, [&](const MaskSummary& summary, Polygon&& polygon) {
      out.push_back({id, summary, {}});
      out.back().polygons.push_back(std::move(polygon));
    });
  }
  // Reading order of first pixels: the first corner is the right end of the upper edge that begins there.
  std::sort(out.begin(), out.end(), [](const ClassRegion& a, const ClassRegion& b) {
    const Point p = a.polygons[0].outer[0], q = b.polygons[0].outer[0];
    return std::pair(p.y, p.x) < std::pair(q.y, q.x);
  });
  return out;
}

std::vector<ClassRegion> regions(const ImageView& ids, const ConfidenceOf& confidence,
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

image::OverlayRows class_overlay_rows(const ImageView& picture, const ClassTable& table,
                                      std::span<const int> shown, const OverlayOptions& options,
                                      ByteSink sink) {
  OverlayOptions how = options;
  how.outline = image::outline_of(options, picture);
  return {picture, how.outline + 1,
          [how, table, ids = std::vector<int>(shown.begin(), shown.end())](const ImageView& pixels,
                                                                           const ImageView& rows) {
            return draw_class_overlay(pixels, rows, table, ids, how);
          },
          std::move(sink)};
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
  const int thickness = image::outline_of(options, ids);
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
  image::OverlayRows rows = class_overlay_rows(picture, table, shown, options, {});
  rows.add(ids);
  return rows.finish();
}

struct OverlayStream::Impl {
  image::OverlayRows rows;
};

OverlayStream::OverlayStream(const ImageView& picture, const OverlayOptions& options, ByteSink sink)
    : impl_(new Impl{image::overlay_rows(picture, options, std::move(sink))}) {}
OverlayStream::OverlayStream(const ImageView& picture, const ClassTable& table, std::span<const int> shown,
                             const OverlayOptions& options, ByteSink sink)
    : impl_(new Impl{class_overlay_rows(picture, table, shown, options, std::move(sink))}) {}
OverlayStream::~OverlayStream() = default;
OverlayStream::OverlayStream(OverlayStream&&) noexcept = default;
OverlayStream& OverlayStream::operator=(OverlayStream&&) noexcept = default;

void OverlayStream::add(const ImageView& rows) {
  impl_->rows.add(rows);
}

void OverlayStream::finish() {
  impl_->rows.finish();
}

std::vector<Polygon> class_polygons(const ImageView& ids, int id, double tolerance) {
  check_ids(ids);
  image::LabelRuns runs(ids.width, ids.height, set_of(std::span(&id, 1)));
  for (int y = 0; y < ids.height; ++y) runs.add(ids.row(y), nullptr);
  std::vector<Polygon> out;
  runs.visit(static_cast<std::uint8_t>(id), tolerance,
             [&](const MaskSummary&, Polygon&& polygon) { out.push_back(std::move(polygon)); });
  return out;
}

std::vector<ClassRegion> class_regions(const ImageView& ids, std::span<const float> confidence,
                                       std::span<const int> shown, const RegionOptions& options) {
  check_ids(ids);
  set_of(shown);
  if (confidence.size() != static_cast<std::size_t>(ids.width) * static_cast<std::size_t>(ids.height)) {
    throw UsageError(fmt::format("{} values of confidence do not fit ids of {} x {} pixels",
                                 confidence.size(), ids.width, ids.height));
  }
  const auto row = [&](int y) { return confidence.data() + static_cast<std::ptrdiff_t>(y) * ids.width; };
  return regions(ids, row, shown, options);
}

struct RegionStream::Impl {
  Impl(int width, int height, std::span<const int> shown)
      : wanted(set_of(shown)), runs(width, height, wanted) {}
  std::array<bool, 256> wanted;
  image::LabelRuns runs;
};

RegionStream::RegionStream(int width, int height, std::span<const int> shown) {
  if (width < 1 || height < 1) throw UsageError("an empty picture has no regions");
  impl_ = std::make_unique<Impl>(width, height, shown);
}
RegionStream::~RegionStream() = default;
RegionStream::RegionStream(RegionStream&&) noexcept = default;
RegionStream& RegionStream::operator=(RegionStream&&) noexcept = default;

void RegionStream::add(const ImageView& ids, std::span<const float> confidence) {
  image::LabelRuns& runs = impl_->runs;
  check_ids(ids);
  const auto width = static_cast<std::size_t>(runs.width());
  if (ids.width != runs.width() || ids.height > runs.height() - runs.rows() ||
      (!confidence.empty() && confidence.size() != width * static_cast<std::size_t>(ids.height))) {
    throw UsageError(fmt::format("{} rows of {} pixels do not go on these regions, which have {} of {} left",
                                 ids.height, ids.width, runs.height() - runs.rows(), runs.width()));
  }
  for (int y = 0; y < ids.height; ++y) {
    const float* values =
        confidence.empty() ? nullptr : confidence.data() + static_cast<std::size_t>(y) * width;
    runs.add(ids.row(y), values);
  }
}

void RegionStream::visit(int id, double tolerance, const std::function<void(const ClassRegion&)>& use) const {
  const image::LabelRuns& runs = impl_->runs;
  if (runs.rows() != runs.height())
    throw UsageError(fmt::format("{} rows of these regions are missing", runs.height() - runs.rows()));
  if (id < 0 || id > 255) throw UsageError(fmt::format("{} is no id of a class", id));
  if (!impl_->wanted[static_cast<std::size_t>(id)])
    throw UsageError(fmt::format("the parts of {} were not kept; name it among what is shown", id));
  runs.visit(static_cast<std::uint8_t>(id), tolerance, [&](const MaskSummary& summary, Polygon&& polygon) {
    ClassRegion region{id, summary, {}};
    region.polygons.push_back(std::move(polygon));
    use(region);
  });
}

}  // namespace sam2unet
