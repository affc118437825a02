#include "results/canvas.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "sam2unet/class_masks.h"
#include "sam2unet/png_stream.h"

namespace sam2unet::results {
namespace {

// As Segmentation::to_gray of a plain map.
std::uint8_t to_8_bits(float p) {
  return p > 0.0F ? static_cast<std::uint8_t>(std::min(p * 255.0F + 0.5F, 255.0F)) : std::uint8_t{0};
}

// Box, area and mean confidence of pixels that come in reading order.
class Summing {
 public:
  void add(int x, int y, float confidence) {
    left_ = std::min(left_, x);
    right_ = std::max(right_, x);
    if (area_++ == 0) top_ = y;
    bottom_ = y;
    sum_ += confidence;
  }
  MaskSummary summary() const {
    if (area_ == 0) return {};
    return {{left_, top_, right_ - left_ + 1, bottom_ - top_ + 1}, area_, sum_ / static_cast<double>(area_)};
  }

 private:
  int left_ = std::numeric_limits<int>::max(), right_ = -1, top_ = 0, bottom_ = -1;
  std::int64_t area_ = 0;
  double sum_ = 0.0;
};

bool has(const std::vector<Save>& saves, std::initializer_list<Save> any) {
  return std::any_of(any.begin(), any.end(),
                     [&](Save s) { return std::find(saves.begin(), saves.end(), s) != saves.end(); });
}

// Bands of 8 bits on their way to a PNG, if one is wanted.
class Encoded {
 public:
  Encoded(bool wanted, const ImageView& picture, std::span<const Color> palette = {}) {
    if (wanted) stream_.emplace(picture.width, picture.height, 1, palette);
  }
  explicit operator bool() const { return stream_.has_value(); }
  // `value(i)` of each pixel of the band.
  template <class Value>
  void add(const SegmentationBand& band, const Value& value) {
    if (!stream_) return;
    rows_ = Image(band.width, band.rows, 1);
    for (std::size_t i = 0; i < rows_.pixels.size(); ++i) rows_.pixels[i] = value(i);
    stream_->add(rows_);
  }
  std::vector<std::byte> finish() { return stream_ ? stream_->finish() : std::vector<std::byte>(); }

 private:
  std::optional<PngStream> stream_;
  Image rows_;
};

Canvas classes_to_canvas(const Segmenter& segmenter, const ImageView& picture, const SegmentOptions& options,
                         const CanvasOptions& how) {
  Canvas out;
  const bool json = has(how.saves, {Save::json});
  const bool needs_ids = has(how.saves, {Save::overlay, Save::cutout, Save::json});
  if (needs_ids) out.ids = Image(picture.width, picture.height, 1);
  if (json && how.instances) out.confidence = Image(picture.width, picture.height, 1);
  std::vector<Summing> classes(static_cast<std::size_t>(segmenter.info().channels));
  const std::vector<Color> palette = class_palette(*how.table);
  Encoded map(has(how.saves, {Save::map}), picture, palette), mask(has(how.saves, {Save::mask}), picture);
  std::array<bool, 256> is_shown{};
  for (const int id : how.shown) is_shown.at(static_cast<std::size_t>(id)) = true;
  segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& band) {
    map.add(band, [&](std::size_t i) { return band.ids[i]; });
    mask.add(band, [&](std::size_t i) { return static_cast<std::uint8_t>(is_shown[band.ids[i]] ? 255 : 0); });
    if (needs_ids) std::copy(band.ids.begin(), band.ids.end(), out.ids.row(band.first));
    if (!json) return;
    std::size_t i = 0;
    for (int y = band.first; y < band.first + band.rows; ++y)
      for (int x = 0; x < band.width; ++x, ++i) classes[band.ids[i]].add(x, y, band.confidence[i]);
    if (!how.instances) return;
    std::transform(band.confidence.begin(), band.confidence.end(), out.confidence.row(band.first), to_8_bits);
  });
  for (const Summing& s : classes) out.classes.push_back(s.summary());
  out.map_png = map.finish();
  out.mask_png = mask.finish();
  return out;
}

}  // namespace

Canvas segment_to_canvas(const Segmenter& segmenter, const ImageView& picture, const SegmentOptions& options,
                         const CanvasOptions& how) {
  if (options.output == SegmentOutput::ids) return classes_to_canvas(segmenter, picture, options, how);
  Canvas out;
  const bool json = has(how.saves, {Save::json});
  // 0.5 is where the 8 bits begin with 128 too.
  const bool is_half = how.threshold == 0.5;
  const bool needs_inside = has(how.saves, {Save::overlay, Save::json});
  const bool needs_mask = !is_half && needs_inside;
  const bool needs_gray =
      (is_half && needs_inside) || has(how.saves, {Save::cutout}) || (json && how.instances);
  if (needs_gray) out.gray = Image(picture.width, picture.height, 1);
  if (needs_mask) out.mask = Image(picture.width, picture.height, 1);
  Encoded map(has(how.saves, {Save::map}), picture), mask(has(how.saves, {Save::mask}), picture);
  Summing summing;
  segmenter.segment_in_bands(picture, options, [&](const SegmentationBand& band) {
    const auto values = band.probabilities;
    const auto inside = [&](float p) { return static_cast<std::uint8_t>(p >= how.threshold ? 255 : 0); };
    map.add(band, [&](std::size_t i) { return to_8_bits(values[i]); });
    mask.add(band, [&](std::size_t i) { return inside(values[i]); });
    if (needs_gray) std::transform(values.begin(), values.end(), out.gray.row(band.first), to_8_bits);
    if (needs_mask) std::transform(values.begin(), values.end(), out.mask.row(band.first), inside);
    if (!json) return;
    std::size_t i = 0;
    for (int y = band.first; y < band.first + band.rows; ++y) {
      for (int x = 0; x < band.width; ++x, ++i) {
        if (values[i] >= how.threshold) summing.add(x, y, values[i]);
      }
    }
  });
  out.summary = summing.summary();
  out.map_png = map.finish();
  out.mask_png = mask.finish();
  return out;
}

}  // namespace sam2unet::results
