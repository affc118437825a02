#include "image/overlay_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "sam2unet/errors.h"

namespace sam2unet::image {

OverlayRows::OverlayRows(const ImageView& picture, int halo, Draw draw, ByteSink sink)
    : picture_(picture),
      halo_(std::min(halo, picture.height)),
      draw_(std::move(draw)),
      png_(picture.width, picture.height, 3, {.palette = {}, .color_profile = {}, .sink = std::move(sink)}),
      kept_(picture.width, 0, 1) {}

void OverlayRows::add(const ImageView& labels) {
  if (labels.width != picture_.width || labels.channels != 1 || labels.data == nullptr ||
      labels.height > picture_.height - first_ - kept_.height) {
    throw UsageError(fmt::format("{} rows of {} pixels do not go on this overlay, which has {} of {} left",
                                 labels.height, labels.width, picture_.height - first_ - kept_.height,
                                 picture_.width));
  }
  constexpr std::size_t kBandBytes = std::size_t{8} << 20;  // of what is drawn
  const int rows =
      static_cast<int>(std::clamp<std::size_t>(kBandBytes / (static_cast<std::size_t>(picture_.width) * 3), 1,
                                               static_cast<std::size_t>(picture_.height)));
  for (int y = 0; y < labels.height; y += rows)
    take({labels.row(y), labels.width, std::min(rows, labels.height - y), 1, labels.stride});
}

void OverlayRows::take(const ImageView& labels) {
  // Labels above the halo of what comes next are not needed any more.
  const int unneeded = std::clamp(done_ - halo_ - first_, 0, kept_.height);
  const auto width = static_cast<std::size_t>(picture_.width);
  kept_.pixels.erase(
      kept_.pixels.begin(),
      kept_.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(unneeded) * width));
  first_ += unneeded;
  kept_.height += labels.height - unneeded;
  kept_.pixels.resize(width * static_cast<std::size_t>(kept_.height));
  for (int y = 0; y < labels.height; ++y)
    std::copy_n(labels.row(y), width, kept_.row(kept_.height - labels.height + y));
  const int last = first_ + kept_.height;
  const int until = last == picture_.height ? last : std::max(done_, last - halo_);
  if (until == done_) return;
  const ImageView pixels(picture_.row(first_), picture_.width, kept_.height, picture_.channels,
                         picture_.stride);
  const Image drawn = draw_(pixels, kept_);
  png_.add(ImageView(drawn.row(done_ - first_), drawn.width, until - done_, 3));
  done_ = until;
}

}  // namespace sam2unet::image
