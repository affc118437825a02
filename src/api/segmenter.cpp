#include "sam2unet/segmenter.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "api/engine.h"
#include "api/picture.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"

namespace sam2unet {

struct Segmenter::Impl {
  Impl(model::CheckpointWeights&& weights, int threads)
      : variant(model::variant_name(weights.config())), engine(weights, weights.config(), threads) {}
  std::string variant;
  api::Engine engine;
};

Segmenter::Segmenter(const std::filesystem::path& weights, const SegmenterOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw UsageError(fmt::format("{} threads: must be 0 (all cores) to 1024", options.threads));
  }
  impl_ =
      std::make_unique<Impl>(model::CheckpointWeights(formats::TensorFile::open(weights)), options.threads);
}
Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const std::string& Segmenter::variant() const {
  return impl_->variant;
}

Segmentation Segmenter::segment(const ImageView& picture, const SegmentOptions& options) const {
  const auto [height, width] = options.size;
  impl_->engine.network().config.check_input(height, width);
  const Image rgb = api::to_rgb(picture);
  const Image small = resize_pillow(rgb, width, height, ResizeFilter::bilinear, options.pillow);
  Segmentation result;
  result.width = picture.width;
  result.height = picture.height;
  result.logits_size = options.size;
  impl_->engine.with_session(height, width, [&](ops::CpuOps& o) {
    const auto input = o.make({1, height, width, 3});
    api::normalise(small, {input.data(), static_cast<std::size_t>(input.extent().numel())});
    const auto maps = model::sam2unet(o, impl_->engine.network(), input);
    result.logits.assign(maps.out.data(), maps.out.data() + maps.out.extent().numel());
  });
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
