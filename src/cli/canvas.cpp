#include "canvas.h"

#include <algorithm>

namespace sam2unet::cli {
namespace {

// As Segmentation::to_gray of a plain map.
std::uint8_t to_8_bits(float p) {
  return p > 0.0F ? static_cast<std::uint8_t>(std::min(p * 255.0F + 0.5F, 255.0F)) : std::uint8_t{0};
}

// summarize_map, of a map that comes in bands.
class Summing {
 public:
  Summing(int width, double threshold) : width_(width), threshold_(threshold), left_(width) {}

  void add(const SegmentationBand& band) {
    const float* p = band.probabilities.data();
    for (int y = band.first; y < band.first + band.rows; ++y) {
      for (int x = 0; x < width_; ++x, ++p) {
        if (!(*p >= threshold_)) continue;
        left_ = std::min(left_, x);
        right_ = std::max(right_, x);
        if (area_++ == 0) top_ = y;
        bottom_ = y;
        sum_ += *p;
      }
    }
  }
  MaskSummary summary() const {
    if (area_ == 0) return {};
    return {{left_, top_, right_ - left_ + 1, bottom_ - top_ + 1}, area_, sum_ / static_cast<double>(area_)};
  }

 private:
  int width_;
  double threshold_;
  int left_, right_ = -1, top_ = 0, bottom_ = -1;
  std::int64_t area_ = 0;
  double sum_ = 0.0;
};

bool has(const std::vector<Save>& saves, std::initializer_list<Save> any) {
  return std::any_of(any.begin(), any.end(), [&](Save s) {
    return std::find(saves.begin(), saves.end(), s) != saves.end();
  });
}

}  // namespace

Canvas segment_to_canvas(const Segmenter& segmenter, const ImageView& picture, const SegmentOptions& options,
                         const CanvasOptions& how) {
  Canvas out;
  const int w = picture.width, h = picture.height;
  const bool json = has(how.saves, {Save::json});
  if (options.output == SegmentOutput::ids) {
    out.ids = Image(w, h, 1);
    if (json) out.confidence = Image(w, h, 1);
    segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& band) {
      std::copy(band.ids.begin(), band.ids.end(), out.ids.row(band.first));
      if (json)
        std::transform(band.confidence.begin(), band.confidence.end(), out.confidence.row(band.first), to_8_bits);
    });
    return out;
  }
  const bool needs_gray = has(how.saves, {Save::map, Save::cutout}) || (json && how.instances);
  const bool needs_mask = json || has(how.saves, {Save::mask, Save::overlay});
  if (needs_gray) out.gray = Image(w, h, 1);
  if (needs_mask) out.mask = Image(w, h, 1);
  Summing summing(w, how.threshold);
  segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& band) {
    const auto values = band.probabilities;
    if (needs_gray) std::transform(values.begin(), values.end(), out.gray.row(band.first), to_8_bits);
    if (needs_mask) {
      std::transform(values.begin(), values.end(), out.mask.row(band.first), [&](float p) {
        return static_cast<std::uint8_t>(p >= how.threshold ? 255 : 0);
      });
    }
    if (json) summing.add(band);
  });
  out.summary = summing.summary();
  return out;
}

}  // namespace sam2unet::cli
