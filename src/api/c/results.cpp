// Results of s2u_segment().
#include "api/c/results.h"

#include <algorithm>
#include <utility>

#include "api/c/handles.h"
#include "api/c/outlines.h"
#include "sam2unet/draw.h"

using namespace sam2unet;
using namespace sam2unet::capi;

namespace sam2unet::capi {

std::int32_t to_c(Fit fit) {
  return fit == Fit::letterbox ? S2U_FIT_LETTERBOX : S2U_FIT_SQUASH;
}

void hand_out_results(std::vector<Segmentation> results, s2u_segmentation** out) {
  std::vector<s2u_segmentation*> given(results.size(), nullptr);
  try {
    for (std::size_t i = 0; i < results.size(); ++i)
      hand_out(std::make_unique<s2u_segmentation>(s2u_segmentation{std::move(results[i])}), &given[i]);
  } catch (...) {
    for (s2u_segmentation* s : given) destroy(s);
    throw;
  }
  std::ranges::copy(given, out);
}

}  // namespace sam2unet::capi

namespace {

const Segmentation& result_of(const s2u_segmentation* segmentation) {
  return live(segmentation, "the result").value;
}

std::size_t pixels_of(const Segmentation& s) {
  return static_cast<std::size_t>(s.width) * static_cast<std::size_t>(s.height);
}

// Of the probabilities, those of what was decided.
std::vector<float> confidence_of(const Segmentation& s) {
  if (!s.confidence.empty()) return s.confidence;
  const std::span<const float> first = s.map(0);
  std::vector<float> out(first.begin(), first.end());
  if (s.channels == 1) {
    for (float& p : out) p = p >= 0.5F ? p : 1.0F - p;
    return out;
  }
  for (int k = 1; k < s.channels; ++k) {
    const std::span<const float> map = s.map(k);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::max(out[i], map[i]);
  }
  return out;
}

}  // namespace

extern "C" {

void s2u_segmentation_free(s2u_segmentation* segmentation) {
  destroy(segmentation);
}

s2u_status* s2u_segmentation_get_info(const s2u_segmentation* segmentation, s2u_segmentation_info* out) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    need(out, "the information");
    check_struct(out->struct_size, sizeof(s2u_segmentation_info), "the information");
    out->width = s.width;
    out->height = s.height;
    out->channels = s.channels;
    out->logits_width = s.logits.empty() ? 0 : s.logits_size.width;
    out->logits_height = s.logits.empty() ? 0 : s.logits_size.height;
    out->official = s.official ? 1 : 0;
    out->output = s.ids.empty() ? S2U_OUTPUT_PROBABILITIES : S2U_OUTPUT_IDS;
    out->fit = to_c(s.fit);
  });
}

s2u_status* s2u_segmentation_probabilities(const s2u_segmentation* segmentation, float* values,
                                           size_t* count) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    s.map(0);  // there are some
    give(std::span<const float>(s.probabilities), values, count);
  });
}

s2u_status* s2u_segmentation_gray(const s2u_segmentation* segmentation, int32_t channel, uint8_t* values,
                                  size_t* count) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    if (!is_wanted(s.map(channel).size(), values, count)) return;
    std::ranges::copy(s.to_gray(channel).pixels, values);
  });
}

s2u_status* s2u_segmentation_mask(const s2u_segmentation* segmentation, int32_t channel, double threshold,
                                  uint8_t* values, size_t* count) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    const std::span<const float> map = s.map(channel);
    if (!(threshold >= 0.0 && threshold <= 1.0)) throw UsageError("the threshold must be 0 to 1");
    if (!is_wanted(map.size(), values, count)) return;
    std::ranges::copy(threshold_map(map, s.width, s.height, threshold).pixels, values);
  });
}

s2u_status* s2u_segmentation_ids(const s2u_segmentation* segmentation, uint8_t* values, size_t* count) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    if (!is_wanted(pixels_of(s), values, count)) return;
    std::ranges::copy(s.to_ids().pixels, values);
  });
}

s2u_status* s2u_segmentation_confidence(const s2u_segmentation* segmentation, float* values, size_t* count) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    if (!is_wanted(pixels_of(s), values, count)) return;
    std::ranges::copy(confidence_of(s), values);
  });
}

s2u_status* s2u_segmentation_logits(const s2u_segmentation* segmentation, float* values, size_t* count) {
  return guarded([&] { give(std::span<const float>(result_of(segmentation).logits), values, count); });
}

s2u_status* s2u_segmentation_regions(const s2u_segmentation* segmentation, int32_t kind, double tolerance,
                                     s2u_regions** out) {
  return guarded([&] {
    const Segmentation& s = result_of(segmentation);
    need(out, "where the regions go");
    hand_out_regions(s.to_ids(), confidence_of(s), s.channels, kind, tolerance, out);
  });
}
}
