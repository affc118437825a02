// Outlines of masks, and regions of ids.
#include "api/c/outlines.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "api/c/handles.h"
#include "capi/planes.h"
#include "sam2unet/class_draw.h"
#include "sam2unet/classes.h"
#include "sam2unet/draw.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_polygons {
  std::vector<Polygon> value;
  bool is_lent = false;  // by regions, which free it
};

struct s2u_regions {
  std::vector<ClassRegion> value;
  std::vector<s2u_polygons> polygons;  // of each
  ~s2u_regions() {
    for (const s2u_polygons& p : polygons) strike(&p, &kind_of_handle<s2u_polygons>);
  }
};

namespace {

std::size_t ring_count(const s2u_polygons* polygons, std::size_t polygon) {
  return is_live(polygons) && polygon < polygons->value.size() ? 1 + polygons->value[polygon].holes.size()
                                                               : 0;
}

void check_tolerance(double tolerance) {
  if (!(tolerance >= 0.0)) throw UsageError("the tolerance must be 0 or more pixels");
}

}  // namespace

namespace sam2unet::capi {

void hand_out_regions(const ImageView& ids, std::span<const float> confidence, int channels,
                      std::int32_t kind, double tolerance, s2u_regions** out) {
  check_tolerance(tolerance);
  const RegionKind k = chosen(kind, {RegionKind::classes, RegionKind::instances}, "kind of regions");
  std::vector<int> shown(static_cast<std::size_t>(std::max(channels - 1, 1)));
  std::iota(shown.begin(), shown.end(), 1);
  auto object = std::make_unique<s2u_regions>();
  object->value = class_regions(ids, confidence, shown, RegionOptions{.kind = k, .tolerance = tolerance});
  object->polygons.reserve(object->value.size());
  for (ClassRegion& r : object->value) {
    object->polygons.push_back({.value = std::move(r.polygons), .is_lent = true});
    enlist(&object->polygons.back(), &kind_of_handle<s2u_polygons>);
  }
  hand_out(std::move(object), out);
}

}  // namespace sam2unet::capi

extern "C" {

s2u_status* s2u_mask_polygons(const s2u_plane* mask, double tolerance, s2u_polygons** out) {
  return guarded([&] {
    need(out, "where the polygons go");
    check_tolerance(tolerance);
    Image room;
    const ImageView view = mask_of(mask, "the mask", room);
    hand_out(std::make_unique<s2u_polygons>(s2u_polygons{.value = mask_polygons(view, tolerance)}), out);
  });
}

void s2u_polygons_free(s2u_polygons* polygons) {
  if (is_live(polygons) && polygons->is_lent) return;
  destroy(polygons);
}

size_t s2u_polygons_count(const s2u_polygons* polygons) {
  return is_live(polygons) ? polygons->value.size() : 0;
}

size_t s2u_polygons_ring_count(const s2u_polygons* polygons, size_t polygon) {
  return ring_count(polygons, polygon);
}

s2u_status* s2u_polygons_ring(const s2u_polygons* polygons, size_t polygon, size_t ring, int32_t* xy,
                              size_t* count) {
  return guarded([&] {
    live(polygons, "the polygons");
    if (ring >= ring_count(polygons, polygon)) {
      throw UsageError("there is no ring " + std::to_string(ring) + " of a polygon " +
                       std::to_string(polygon));
    }
    const Polygon& p = polygons->value[polygon];
    const Ring& points = ring == 0 ? p.outer : p.holes[ring - 1];
    if (!is_wanted(2 * points.size(), xy, count)) return;
    for (const Point& point : points) {
      *xy++ = point.x;
      *xy++ = point.y;
    }
  });
}

s2u_status* s2u_ids_regions(const s2u_plane* ids, const float* confidence, int32_t classes, int32_t kind,
                            double tolerance, s2u_regions** out) {
  return guarded([&] {
    Image room;
    const ImageView view = mask_of(ids, "the ids", room);
    need(confidence, "the confidence");
    need(out, "where the regions go");
    if (classes < 1 || classes > ClassTable::kMaxClasses)
      throw UsageError(std::to_string(classes) + " classes: 1 (one foreground) to 255");
    const std::size_t pixels = static_cast<std::size_t>(view.width) * static_cast<std::size_t>(view.height);
    hand_out_regions(view, {confidence, pixels}, classes, kind, tolerance, out);
  });
}

void s2u_regions_free(s2u_regions* regions) {
  destroy(regions);
}

size_t s2u_regions_count(const s2u_regions* regions) {
  return is_live(regions) ? regions->value.size() : 0;
}

s2u_status* s2u_regions_get(const s2u_regions* regions, size_t index, s2u_region* out) {
  return guarded([&] {
    live(regions, "the regions");
    need(out, "the region");
    check_struct(out->struct_size, sizeof(s2u_region), "the region");
    if (index >= regions->value.size()) throw UsageError("there is no region " + std::to_string(index));
    const ClassRegion& r = regions->value[index];
    out->id = r.id;
    out->x = r.summary.box.x;
    out->y = r.summary.box.y;
    out->width = r.summary.box.width;
    out->height = r.summary.box.height;
    out->area = r.summary.area;
    out->confidence = r.summary.mean_confidence;
  });
}

const s2u_polygons* s2u_regions_polygons(const s2u_regions* regions, size_t index) {
  return index < s2u_regions_count(regions) ? &regions->polygons[index] : nullptr;
}
}
