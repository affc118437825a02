#include "sam2unet/segmenter.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "api/make_backend.h"
#include "api/picture.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"

namespace sam2unet {

struct Segmenter::Impl {
  model::Config config;
  std::string variant;
  std::unique_ptr<api::Backend> backend;
};

Segmenter::Segmenter(const std::filesystem::path& path, const SegmenterOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw UsageError(fmt::format("{} threads: must be 0 (all cores) to 1024", options.threads));
  }
  model::CheckpointWeights weights(formats::TensorFile::open(path));
  impl_ = std::make_unique<Impl>(Impl{weights.config(), model::variant_name(weights.config()),
                                      api::make_backend(weights, weights.config(), options)});
}
Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const std::string& Segmenter::variant() const {
  return impl_->variant;
}

Segmentation Segmenter::segment(const ImageView& picture, const SegmentOptions& options) const {
  if (impl_->config.out_channels != 1) throw UsageError("a network of several classes has no one map");
  const auto [height, width] = options.size;
  impl_->config.check_input(height, width);
  const Image rgb = api::to_rgb(picture);
  const Image small = resize_pillow(rgb, width, height, ResizeFilter::bilinear, options.pillow);
  Segmentation result;
  result.width = picture.width;
  result.height = picture.height;
  result.logits_size = options.size;
  impl_->backend->run(
      {1, height, width, 3}, [&](std::span<float> input) { api::normalise(small, input); },
      [&](std::span<const float> logits) { result.logits.assign(logits.begin(), logits.end()); });
  result.map = api::resize_logits(result.logits, height, width, picture.height, picture.width);
  api::to_probability(result.map, options.official);
  return result;
}

Image Segmentation::to_gray(bool official) const {
  Image out(width, height, 1);
  // test.py:43 casts to uint8, which truncates; a plain map is rounded.
  const float half = official ? 0.0F : 0.5F;
  std::transform(map.begin(), map.end(), out.pixels.begin(), [half](float p) {
    return static_cast<std::uint8_t>(std::clamp(p * 255.0F + half, 0.0F, 255.0F));
  });
  return out;
}

std::filesystem::path default_model_path() {
  constexpr const char* kName = "sam2unet_t_duts_int8.safetensors";
  if (const char* set = std::getenv("SAM2UNET_MODEL"); set != nullptr && *set != '\0') return set;
  // Beside this library: installed as PREFIX/lib[/ARCH]/libsam2unet.so, or built as TREE/build/PRESET/lib/.
  std::string looked;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&default_model_path), &info) != 0 && info.dli_fname != nullptr) {
    const auto here = std::filesystem::absolute(info.dli_fname).parent_path();
    for (const char* up : {"../share/sam2unet/models", "../../share/sam2unet/models", "../../../models"}) {
      const auto candidate = (here / up / kName).lexically_normal();
      std::error_code ignored;
      if (std::filesystem::exists(candidate, ignored)) return candidate;
      looked += (looked.empty() ? "" : ", ") + candidate.string();
    }
  }
  throw FileError(fmt::format(
      "the default model is not installed (looked for {}); name one with --weights FILE or SAM2UNET_MODEL",
      looked));
}

}  // namespace sam2unet
