// Pictures and outlines made of a result: masks, overlays, cut-outs, polygons, measures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "sam2unet/color.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"

namespace sam2unet {

/// [height, width] map of probabilities to a gray picture: 255 where map >= threshold, else 0.
/// UsageError if `map` has another size than width * height.
SAM2UNET_API Image threshold_map(std::span<const float> map, int width, int height, double threshold = 0.5);

struct OverlayOptions {
  Color color = {240, 0, 255};  ///< rare in nature, so it shows on most things
  /// How much of the colour covers the masked pixels, 0 to 1.
  double opacity = 0.45;
  /// Thickness of the line around the mask in pixels; 0 leaves it out, negative picks one that suits the
  /// size.
  int outline = -1;
};

/// The picture in RGB, tinted where `mask` (gray, same size) is 128 or more, with a line around that.
/// UsageError if sizes or channels do not fit.
SAM2UNET_API Image draw_overlay(const ImageView& picture, const ImageView& mask,
                                const OverlayOptions& options = {});

/// PNG bytes of that overlay, drawn a few rows at a time: memory for those and for the bytes.
SAM2UNET_API std::vector<std::byte> encode_overlay_png(const ImageView& picture, const ImageView& mask,
                                                       const OverlayOptions& options = {});

/// PNG bytes of a mask (gray): 255 where it is 128 or more, else 0.
SAM2UNET_API std::vector<std::byte> encode_mask_png(const ImageView& mask);

struct CutoutOptions {
  /// Where the cut-out is not opaque, estimate the foreground's colours (Forte, "Approximate Fast Foreground
  /// Colour Estimation", ICIP 2021), so that no background shines through at the edges; under alpha 0 nothing
  /// of the background stays in the file. Without it the colours are the picture's.
  bool clean_edges = true;
};

/// RGBA: the picture's colours with `alpha` (gray, same size: a map or a mask), times the picture's own where
/// it is RGBA, as the alpha channel. UsageError if sizes or channels do not fit.
SAM2UNET_API Image cut_out(const ImageView& picture, const ImageView& alpha,
                           const CutoutOptions& options = {});

/// Multiplies the alpha of an RGBA picture's rows from `first` on with `alpha` (gray, as wide): a cut-out
/// whose map comes in bands, in the picture's own memory. UsageError if it does not fit.
SAM2UNET_API void multiply_alpha(Image& rgba, int first, const ImageView& alpha);

/// The PNG of an RGBA picture whose alpha is the cut-out's already, with edges as the options say: the same
/// bytes as of `cut_out`, in memory for some rows. UsageError if it is not RGBA.
SAM2UNET_API void write_cutout_png(const ImageView& cutout, const CutoutOptions& options,
                                   std::span<const std::byte> color_profile, const ByteSink& sink);

/// Pixels x .. x + width - 1, y .. y + height - 1.
struct Box {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

struct MaskSummary {
  Box box;                       ///< around all pixels with map >= threshold; empty if there are none
  std::int64_t area = 0;         ///< how many there are
  double mean_confidence = 0.0;  ///< mean of the map over them; 0 if there are none
};

/// Makes a summary of pixels that come in reading order, each with its confidence.
class SummaryBuilder {
 public:
  void add(int x, int y, float confidence) {
    extend(x, x, y, 1);
    sum_ += confidence;
  }
  /// Pixels first to last - 1 of a row; a confidence of null counts as 0.
  void add_run(int first, int last, int y, const float* confidence) {
    extend(first, last - 1, y, last - first);
    if (confidence != nullptr)
      for (int i = 0; i < last - first; ++i) sum_ += confidence[i];
  }
  /// Pixels that another one was told of, in whatever order.
  void add(const SummaryBuilder& other) {
    left_ = std::min(left_, other.left_);
    right_ = std::max(right_, other.right_);
    top_ = std::min(top_, other.top_);
    bottom_ = std::max(bottom_, other.bottom_);
    area_ += other.area_;
    sum_ += other.sum_;
  }
  MaskSummary summary() const {
    if (area_ == 0) return {};
    return {{left_, top_, right_ - left_ + 1, bottom_ - top_ + 1}, area_, sum_ / static_cast<double>(area_)};
  }

 private:
  void extend(int left, int right, int y, int count) {
    left_ = std::min(left_, left);
    right_ = std::max(right_, right);
    if (area_ == 0) top_ = y;
    bottom_ = y;
    area_ += count;
  }

  int left_ = std::numeric_limits<int>::max(), right_ = -1;
  int top_ = std::numeric_limits<int>::max(), bottom_ = -1;
  std::int64_t area_ = 0;
  double sum_ = 0.0;
};

SAM2UNET_API MaskSummary summarize_map(std::span<const float> map, int width, int height,
                                       double threshold = 0.5);

/// A corner of pixels: (0, 0) is the upper left corner of the picture, (width, height) the lower right one.
struct Point {
  int x = 0;
  int y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

/// A closed line; the last point is joined to the first. On the screen, outer rings run clockwise and holes
/// counterclockwise.
using Ring = std::vector<Point>;

struct Polygon {
  Ring outer;
  std::vector<Ring> holes;
};

/// The outlines of the connected parts (pixels that share a side) of `mask` (gray; inside is 128 or more), in
/// reading order of their first pixels. They run along the edges of pixels, so with a tolerance of 0 they
/// enclose exactly the mask's pixels; with more, corners are left out where the line stays within `tolerance`
/// pixels of them (Douglas-Peucker).
SAM2UNET_API std::vector<Polygon> mask_polygons(const ImageView& mask, double tolerance = 0.0);

}  // namespace sam2unet
