// What can be read out of a Segmentation, and the names of choices.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"

namespace sam2unet {

std::span<const float> Segmentation::map(int channel) const {
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  if (channel < 0 || channel >= channels)
    throw UsageError(fmt::format("class {} of a result with {}", channel, channels));
  if (probabilities.size() != pixels * static_cast<std::size_t>(channels))
    throw UsageError("this result was made without probabilities");
  return std::span(probabilities).subspan(pixels * static_cast<std::size_t>(channel), pixels);
}

Image Segmentation::to_gray(int channel) const {
  const std::span<const float> values = map(channel);
  Image out(width, height, 1);
  // test.py:43 casts to uint8, which truncates; a plain map is rounded.
  const float half = official ? 0.0F : 0.5F;
  std::transform(values.begin(), values.end(), out.pixels.begin(), [half](float p) {
    // Not of NaN, whose cast means nothing: a map that a caller filled may hold it.
    return p > 0.0F ? static_cast<std::uint8_t>(std::min(p * 255.0F + half, 255.0F)) : std::uint8_t{0};
  });
  return out;
}

Image Segmentation::to_ids() const {
  Image out(width, height, 1);
  if (!ids.empty()) {
    out.pixels = ids;
    return out;
  }
  const std::size_t pixels = out.pixels.size();
  const std::span<const float> first = map(0);
  for (std::size_t i = 0; i < pixels; ++i) {
    if (channels == 1) {
      out.pixels[i] = first[i] >= 0.5F ? 1 : 0;
      continue;
    }
    std::size_t best = 0;
    for (std::size_t k = 1; k < static_cast<std::size_t>(channels); ++k)
      if (probabilities[k * pixels + i] > probabilities[best * pixels + i]) best = k;
    out.pixels[i] = static_cast<std::uint8_t>(best);
  }
  return out;
}

std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return "automatic";
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
    case Precision::tf32:
      return "tf32";
    case Precision::f16:
      return "f16";
    case Precision::standard:
      return "standard";
  }
  return "?";
}

std::string_view name_of(Fit fit) {
  return fit == Fit::letterbox ? "letterbox" : "squash";
}

Fit parse_fit(std::string_view name) {
  for (const Fit fit : {Fit::squash, Fit::letterbox}) {
    if (name == name_of(fit)) return fit;
  }
  throw UsageError(fmt::format("unknown fit '{}'; use squash or letterbox", name));
}

}  // namespace sam2unet
