#include "sam2unet/segmenter.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/make_backend.h"
#include "api/picture.h"
#include "core/default_model.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"

namespace sam2unet {

struct Segmenter::Impl {
  model::Config config;
  std::string variant;
  InputSize size;
  std::unique_ptr<api::Backend> backend;
  std::vector<std::string> notes;
};

Segmenter::Segmenter(const std::filesystem::path& path, const SegmenterOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw UsageError(fmt::format("{} threads: must be 0 (all cores) to 1024", options.threads));
  }
  model::CheckpointWeights weights(formats::TensorFile::open(path));
  InputSize size;
  if (const auto trained = weights.trained_size()) size = {trained->height, trained->width};
  impl_ =
      std::make_unique<Impl>(Impl{weights.config(), model::variant_name(weights.config()), size,
                                  api::make_backend(weights, weights.config(), options), weights.notes()});
}
Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const std::string& Segmenter::variant() const {
  return impl_->variant;
}

InputSize Segmenter::input_size() const {
  return impl_->size;
}

const std::vector<std::string>& Segmenter::notes() const {
  return impl_->notes;
}

Segmentation Segmenter::segment(const ImageView& picture, const SegmentOptions& options) const {
  if (impl_->config.out_channels != 1) throw UsageError("a network of several classes has no one map");
  const int height = options.size.height == 0 ? impl_->size.height : options.size.height,
            width = options.size.width == 0 ? impl_->size.width : options.size.width;
  impl_->config.check_input(height, width);
  const Image rgb = api::to_rgb(picture);
  const Image small = resize_pillow(rgb, width, height, ResizeFilter::bilinear, options.pillow);
  Segmentation result;
  result.width = picture.width;
  result.height = picture.height;
  result.logits_size = {height, width};
  impl_->backend->run(
      {1, height, width, 3}, [&](std::span<float> input) { api::normalise(small, input); },
      [&](std::span<const float> logits) { result.logits.assign(logits.begin(), logits.end()); });
  if (!std::ranges::all_of(result.logits, [](float v) { return std::isfinite(v); })) {
    throw WeightsError(
        "the network's result holds NaN or infinity: with these weights its numbers grow past what float "
        "holds; "
        "take an earlier checkpoint");
  }
  result.map = api::resize_logits(result.logits, height, width, picture.height, picture.width);
  api::to_probability(result.map, options.official);
  return result;
}

Image Segmentation::to_gray(bool official) const {
  Image out(width, height, 1);
  // test.py:43 casts to uint8, which truncates; a plain map is rounded.
  const float half = official ? 0.0F : 0.5F;
  std::transform(map.begin(), map.end(), out.pixels.begin(), [half](float p) {
    // Not of NaN, whose cast means nothing: a map that a caller filled may hold it.
    return p > 0.0F ? static_cast<std::uint8_t>(std::min(p * 255.0F + half, 255.0F)) : std::uint8_t{0};
  });
  return out;
}

std::filesystem::path default_model_path() {
  Dl_info info{};
  const bool is_known =
      ::dladdr(reinterpret_cast<const void*>(&default_model_path), &info) != 0 && info.dli_fname != nullptr;
  return find_default_model(is_known ? std::filesystem::absolute(info.dli_fname).parent_path()
                                     : std::filesystem::path());
}

}  // namespace sam2unet
