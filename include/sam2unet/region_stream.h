// Connected parts of maps that come in bands, so that the whole map never lies in memory.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "sam2unet/class_draw.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// What `class_regions` tells of connected parts. Keeps 8 bytes for each run of equal ids in a row and about
/// 50 for each part, instead of the map.
class SAM2UNET_API RegionStream {
 public:
  /// Of the classes `shown` (empty: all but 0). UsageError for a size or an id that cannot be.
  RegionStream(int width, int height, std::span<const int> shown);
  ~RegionStream();
  RegionStream(RegionStream&&) noexcept;
  RegionStream& operator=(RegionStream&&) noexcept;
  RegionStream(const RegionStream&) = delete;
  RegionStream& operator=(const RegionStream&) = delete;

  /// The next rows of ids, from top to bottom. `confidence` belongs to them; empty where nobody wants it.
  /// UsageError if they are no such rows, or more than there are.
  void add(const ImageView& ids, std::span<const float> confidence = {});
  /// Calls `use` with each connected part of one class, in reading order of their first pixels, one at a
  /// time. Memory: a bit per pixel, and the part's corners. UsageError if rows are missing, or for a class
  /// that is not among those shown.
  void visit(int id, double tolerance, const std::function<void(const ClassRegion&)>& use) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet
