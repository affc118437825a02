// An exported ONNX file, run by ONNX Runtime, against this program with the weights it was made of.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api/make_backend.h"
#include "api/picture.h"
#include "api/verify_parts.h"
#include "core/sha256.h"
#include "model/checkpoint.h"
#include "model/int8.h"
#include "onnx/runtime.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"
#include "sam2unet/onnx.h"

namespace sam2unet::api {
namespace {

using onnx::ElementType;
using onnx::RuntimeTensor;

// What the file says of itself.
struct Exported {
  OnnxGraph graph = OnnxGraph::core;
  OnnxPrecision precision = OnnxPrecision::f32;
  InputSize size;
  std::string weights_sha256;
};

Exported read_metadata(const onnx::RuntimeSession& session, const std::string& where) {
  Exported e;
  const std::string graph = session.metadata("sam2unet.graph"), size = session.metadata("sam2unet.size"),
                    precision = session.metadata("sam2unet.precision");
  e.weights_sha256 = session.metadata("sam2unet.weights_sha256");
  int height = 0, width = 0;
  if (graph.empty() || e.weights_sha256.empty() || std::sscanf(size.c_str(), "%dx%d", &height, &width) != 2)
    throw FormatError(
        fmt::format("{}: has no metadata of sam2unet's; only what it exported can be verified", where));
  e.graph = graph == name_of(OnnxGraph::full) ? OnnxGraph::full : OnnxGraph::core;
  for (const auto p : {OnnxPrecision::f16, OnnxPrecision::int8})
    if (precision == name_of(p)) e.precision = p;
  e.size = InputSize::of(width, height);
  return e;
}

std::filesystem::path weights_for(const Exported& exported, const VerifyOptions& options,
                                  const std::string& where) {
  const bool named = !options.weights.empty();
  auto path = named ? find_weights(options.weights) : default_model_path();
  const std::string hash = sha256_of_file(path);
  if (hash == exported.weights_sha256) return path;
  const std::string wanted =
      fmt::format("the weights it was exported from (SHA-256 {})", exported.weights_sha256);
  if (!named) throw UsageError(fmt::format("{}: needs {}; the default model is not those", where, wanted));
  throw WeightsError(
      fmt::format("{}: needs {}; {} is another file ({})", where, wanted, path.string(), hash));
}

// A bright disc before soft blobs, so that a map has something to say: where nothing stands out, the logits'
// range is small, and float32's rounding beside it large.
Image scene(int width, int height) {
  Image small(width / 24 + 2, height / 24 + 2, 3);
  const auto values = model::deterministic_values(fmt::format("scene:{}x{}", width, height),
                                                  static_cast<std::int64_t>(small.pixels.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    small.pixels[i] = static_cast<std::uint8_t>(64.0 + 40.0 * values[i]);
  Image out = resize_pillow(small, width, height, ResizeFilter::bicubic);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double dx = (x + 0.5) / width - 0.45, dy = (y + 0.5) / height - 0.55;
      if (dx * dx + dy * dy > 0.06) continue;
      std::uint8_t* p = out.row(y) + 3 * x;
      p[0] = static_cast<std::uint8_t>(230.0 - 100.0 * dx);
      p[1] = static_cast<std::uint8_t>(150.0 + 100.0 * dy);
      p[2] = 40;
    }
  return out;
}

std::vector<double> floats_of(const RuntimeTensor& t) {
  std::vector<double> out(t.bytes.size() / sizeof(float));
  for (std::size_t i = 0; i < out.size(); ++i) {
    float v = 0.0F;
    std::memcpy(&v, t.bytes.data() + i * sizeof(float), sizeof(float));
    out[i] = v;
  }
  return out;
}

class Verification {
 public:
  Verification(onnx::RuntimeSession& session, const Exported& exported, model::CheckpointWeights& weights,
               const VerifyOptions& options, const Report& report)
      : session_(session), exported_(exported), report_(report), channels_(weights.config().out_channels) {
    model::RoundedWeights rounded(weights);
    model::WeightSource& source =
        exported.precision == OnnxPrecision::int8 ? static_cast<model::WeightSource&>(rounded) : weights;
    backend_ = make_backend(source, weights.config(), {options.threads, options.device, options.precision});
    threads_ = options.threads;
  }

  bool run() {
    if (exported_.graph == OnnxGraph::core) {
      for (const int batch : {1, 3}) check_core(batch);
    } else {
      for (const auto& [w, h] : std::array<std::array<int, 2>, 3>{{{640, 427}, {97, 131}, {31, 500}}})
        check_full(w, h);
    }
    return ok_;
  }

 private:
  // Rounding of int8 before and behind the folding of BatchNorm differs in ties; f16 keeps 11 bits of each
  // value.
  double tolerance() const {
    switch (exported_.precision) {
      case OnnxPrecision::f32:
        return 2e-5;
      case OnnxPrecision::int8:
        return 1e-3;
      case OnnxPrecision::f16:
        break;
    }
    return 3e-2;
  }

  void check(const std::string& name, double error) {
    const VerifyCheck c{name, error, tolerance(), "of range"};
    ok_ = ok_ && c.ok();
    report_(c);
  }

  void check_core(int batch) {
    const std::int64_t h = exported_.size.height, w = exported_.size.width;
    std::vector<Image> pictures;
    std::vector<ImageView> views;
    pictures.reserve(static_cast<std::size_t>(batch));
    views.reserve(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i)
      pictures.push_back(scene(exported_.size.width + i, exported_.size.height));
    for (const Image& p : pictures)
      views.emplace_back(p.pixels.data(), exported_.size.width, exported_.size.height, 3,
                         static_cast<std::ptrdiff_t>(p.width) * 3);
    const BackendInput input{std::span<const ImageView>(views)};
    std::vector<float> rows(static_cast<std::size_t>(batch * h * w * 3));
    input.write(rows.data());
    RuntimeTensor image{
        ElementType::f32, {batch, 3, h, w}, std::vector<std::byte>(rows.size() * sizeof(float))};
    std::vector<float> planes(rows.size());
    for (std::int64_t i = 0; i < batch * h * w; ++i)
      for (std::int64_t c = 0; c < 3; ++c)
        planes[static_cast<std::size_t>((i / (h * w) * 3 + c) * h * w + i % (h * w))] =
            rows[static_cast<std::size_t>(i * 3 + c)];
    std::memcpy(image.bytes.data(), planes.data(), image.bytes.size());

    const auto result = session_.run("image", image, {"logits"}).at("logits");
    check(fmt::format("core, batch {}", batch), relative_error(floats_of(result), logits_of(input)));
  }

  // This program's logits as planes.
  std::vector<double> logits_of(const BackendInput& input) const {
    std::vector<double> out;
    backend_->run(input, [&](const Logits& l) {
      const ops::Extent& e = l.extent;
      for (std::int64_t b = 0; b < e.b; ++b)
        for (std::int64_t k = 0; k < e.c; ++k)
          for (std::int64_t p = 0; p < e.h * e.w; ++p)
            out.push_back(l.values[static_cast<std::size_t>((b * e.h * e.w + p) * e.c + k)]);
    });
    return out;
  }

  void check_full(int width, int height) {
    const Image picture = scene(width, height);
    const auto* bytes = reinterpret_cast<const std::byte*>(picture.pixels.data());
    const RuntimeTensor in{ElementType::u8, {height, width, 3}, {bytes, bytes + picture.pixels.size()}};
    const auto result = session_.run("picture", in, {"map"}).at("map");

    const Placement placement = place(picture, exported_.size, Fit::squash);
    Image resized;
    Preparer().prepare(picture, placement, PillowVersion::v12, resized);
    const ImageView view = resized;
    const auto logits = logits_of(BackendInput{std::span(&view, 1)});
    const std::vector<float> values(logits.begin(), logits.end());
    std::vector<float> map(static_cast<std::size_t>(channels_) * picture.pixels.size() / 3);
    finish_rows({values, channels_, placement}, channels_ == 1 ? Activation::sigmoid : Activation::softmax, 0,
                height, threads_ == 0 ? 1 : threads_, map.data());
    // Beside the logits' range, which is what the tolerance is of: one that is off by d moves a sigmoid by d
    // / 4 at most, a softmax by d / 2.
    const auto [low, high] = std::minmax_element(logits.begin(), logits.end());
    const double moved = relative_error(floats_of(result), {map.begin(), map.end()}) *
                         (range_of(map).max - range_of(map).min) * (channels_ == 1 ? 4 : 2);
    check(fmt::format("full, picture of {}x{}", width, height), moved / (*high - *low));
  }

  onnx::RuntimeSession& session_;
  const Exported& exported_;
  const Report& report_;
  int channels_, threads_ = 0;
  std::unique_ptr<Backend> backend_;
  bool ok_ = true;
};

}  // namespace

bool verify_onnx(const std::filesystem::path& path, const VerifyOptions& options, const Report& report) {
  if (!std::filesystem::exists(path)) throw FileError(fmt::format("{}: no such file", path.string()));
  onnx::RuntimeSession session(path, options.threads);
  const Exported exported = read_metadata(session, path.string());
  model::CheckpointWeights weights(formats::TensorFile::open(weights_for(exported, options, path.string())));
  return Verification(session, exported, weights, options, report).run();
}

}  // namespace sam2unet::api
