// Pictures and measures made of maps of class ids: overlays, masks, areas, outlines, connected parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/draw.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// The picture in RGB, each pixel of one of `shown` (ids; empty: all but the background) tinted in its
/// class's colour, with a line along every border of such a class. `ids` is gray and of the picture's size.
/// The options' colour does not count. UsageError if sizes or channels do not fit.
SAM2UNET_API Image draw_class_overlay(const ImageView& picture, const ImageView& ids, const ClassTable& table,
                                      std::span<const int> shown = {}, const OverlayOptions& options = {});

/// PNG bytes of that overlay, drawn a few rows at a time: memory for those and for the bytes.
SAM2UNET_API std::vector<std::byte> encode_class_overlay_png(const ImageView& picture, const ImageView& ids,
                                                             const ClassTable& table,
                                                             std::span<const int> shown = {},
                                                             const OverlayOptions& options = {});

/// 255 where the id is one of `shown` (empty: any but 0), else 0.
SAM2UNET_API Image class_mask(const ImageView& ids, std::span<const int> shown = {});

/// The outlines of one class, as mask_polygons.
SAM2UNET_API std::vector<Polygon> class_polygons(const ImageView& ids, int id, double tolerance = 0.0);

/// A class of a picture, or one of its connected parts (pixels that share a side).
struct ClassRegion {
  int id = 0;
  MaskSummary summary;            ///< area, box, mean of the confidence over its pixels
  std::vector<Polygon> polygons;  ///< as mask_polygons; of a connected part one
};

enum class RegionKind {
  classes,    ///< one region for each class, also for those that do not occur
  instances,  ///< one for each connected part, in reading order of their first pixels
};

struct RegionOptions {
  RegionKind kind = RegionKind::classes;
  double tolerance = 0.0;  ///< corners of polygons that lie within this many pixels of the line are left out
};

/// Regions of the classes `shown`, in its order. `confidence` [height, width] belongs to the ids. UsageError
/// if sizes do not fit.
SAM2UNET_API std::vector<ClassRegion> class_regions(const ImageView& ids, std::span<const float> confidence,
                                                    std::span<const int> shown,
                                                    const RegionOptions& options = {});

}  // namespace sam2unet
