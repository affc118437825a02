#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <optional>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "sam2unet/weights.h"

namespace sam2unet {
namespace {

using formats::NamedTensor;
using formats::TensorFile;

// Owns what had to be computed; the rest stays in the mapped files.
class Conversion {
 public:
  explicit Conversion(WeightsPrecision precision) : precision_(precision) {}

  /// Adds `stored` of `file` under `name`. `is_weight`: of a linear layer or a convolution.
  void add(const TensorFile& file, const std::string& stored, const std::string& name, bool is_weight) {
    const TensorView& view = *file.find(stored);
    const bool is_real = view.dtype == DType::f64 || view.dtype == DType::f32 || view.dtype == DType::f16 ||
                         view.dtype == DType::bf16;
    const bool is_scaled =
        view.dtype == DType::i8 && file.find(stored + std::string(model::kScaleSuffix)) != nullptr;
    if (!is_real && !is_scaled) return keep(name, view);  // counters
    if (precision_ == WeightsPrecision::keep) {
      keep(name, view);
      if (is_scaled)
        keep(name + std::string(model::kScaleSuffix), *file.find(stored + std::string(model::kScaleSuffix)));
      return;
    }
    std::vector<float> values;
    model::read_tensor(file, stored, values);
    if (precision_ == WeightsPrecision::int8 && is_weight) return quantise(name, view.shape, values);
    switch (precision_) {
      case WeightsPrecision::f16:
        return store<std::uint16_t>(name, DType::f16, view.shape, values, f32_to_f16);
      case WeightsPrecision::bf16:
        return store<std::uint16_t>(name, DType::bf16, view.shape, values, f32_to_bf16);
      default:
        return store<float>(name, DType::f32, view.shape, values, [](float v) { return v; });
    }
  }

  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  void keep(const std::string& name, const TensorView& view) { tensors_.push_back({name, view}); }

  template <class Stored, class Convert>
  void store(const std::string& name, DType dtype, const Shape& shape, const std::vector<float>& values,
             Convert convert) {
    auto& bytes = owned_.emplace_back(values.size() * sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Stored s = convert(values[i]);
      std::memcpy(bytes.data() + i * sizeof(Stored), &s, sizeof(Stored));
    }
    tensors_.push_back({name, {bytes.data(), dtype, shape, shape.dense_strides()}});
  }

  // q = round(w / s) with s = max |w| / 127 over an output channel, so zero stays zero.
  void quantise(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    const auto channels = static_cast<std::size_t>(shape[0]);
    const std::size_t row = channels == 0 ? 0 : values.size() / channels;
    std::vector<float> scales(channels, 1.0F), levels(values.size());
    for (std::size_t n = 0; n < channels; ++n) {
      float largest = 0.0F;
      for (std::size_t k = 0; k < row; ++k) largest = std::max(largest, std::abs(values[n * row + k]));
      if (!std::isfinite(largest))
        throw WeightsError(
            fmt::format("tensor {} holds values that are not finite; int8 has no place for them", name));
      if (largest > 0.0F) scales[n] = largest / 127.0F;
      for (std::size_t k = 0; k < row; ++k)
        levels[n * row + k] = std::nearbyint(values[n * row + k] / scales[n]);
    }
    store<std::int8_t>(name, DType::i8, shape, levels,
                       [](float v) { return static_cast<std::int8_t>(std::clamp(v, -127.0F, 127.0F)); });
    store<float>(name + std::string(model::kScaleSuffix), DType::f32, {shape[0]}, scales,
                 [](float v) { return v; });
  }

  WeightsPrecision precision_;
  std::deque<std::vector<std::byte>> owned_;
  std::vector<NamedTensor> tensors_;
};

enum class OutFormat { safetensors, torch };

OutFormat format_of(const std::filesystem::path& out) {
  const auto e = out.extension();
  if (e == ".safetensors") return OutFormat::safetensors;
  if (e == ".pth" || e == ".pt") return OutFormat::torch;
  throw UsageError(
      fmt::format("{}: the extension decides the format; use .safetensors, .pth or .pt", out.string()));
}

void check_sources(const TensorFile& in, const model::Recognition& r, const ConvertOptions& options) {
  const std::string where = in.path().string();
  if (!r.config)
    throw WeightsError(fmt::format(
        "{}: holds no SAM2-UNet and no SAM2 trunk of a known variant; nothing to convert", where));
  if (!r.misshapen.empty()) throw WeightsError(fmt::format("{}: tensor {}", where, r.misshapen.front()));
  if (r.contents == model::Contents::partial) {
    throw WeightsError(fmt::format("{}: {} tensors are missing, the first is {}", where, r.missing.size(),
                                   r.missing.front()));
  }
  if (options.task_only && r.contents == model::Contents::trunk) {
    throw WeightsError(fmt::format(
        "{}: a SAM2 trunk has no adapters, RFB, decoder or heads to keep with --task-only", where));
  }
  if (!options.trunk.empty() && r.contents == model::Contents::trunk) {
    throw WeightsError(fmt::format("{}: is a trunk itself; --trunk completes a task-only file", where));
  }
  if (options.task_only && !options.trunk.empty())
    throw UsageError("--task-only and --trunk exclude each other");
}

}  // namespace

void convert_weights(const std::filesystem::path& in, const std::filesystem::path& out,
                     const ConvertOptions& options) {
  const OutFormat format = format_of(out);
  if (format == OutFormat::torch && options.precision == WeightsPrecision::int8) {
    throw UsageError(
        "int8 weights carry scales, which only .safetensors files of ours hold; use another --dtype for "
        ".pth");
  }
  std::error_code ignored;
  if (std::filesystem::equivalent(in, out, ignored))
    throw UsageError(fmt::format("{}: input and output are one file", out.string()));

  const auto file = TensorFile::open(in);
  const auto r = model::recognise(file);
  check_sources(file, r, options);
  std::optional<TensorFile> trunk_file;
  model::Recognition trunk;
  if (!options.trunk.empty()) {
    trunk_file = TensorFile::open(options.trunk);
    trunk = model::recognise(*trunk_file);
    if (!trunk.config ||
        (trunk.contents != model::Contents::trunk && trunk.contents != model::Contents::full) ||
        *trunk.config != *r.config) {
      throw WeightsError(
          fmt::format("{}: its trunk is {}, but {} needs {}", options.trunk.string(),
                      trunk.config ? model::variant_name(*trunk.config) : "of no known variant", in.string(),
                      model::variant_name(*r.config)));
    }
  }
  // An int8 input only stays int8 where its scales can go along.
  const bool input_is_scaled = std::any_of(file.tensors().begin(), file.tensors().end(),
                                           [](const auto& t) { return t.view.dtype == DType::i8; });
  const auto precision =
      options.precision == WeightsPrecision::keep && input_is_scaled && format == OutFormat::torch
          ? WeightsPrecision::f16
          : options.precision;
  Conversion conversion(precision);
  for (const auto& spec : model::tensor_table(*r.config)) {
    const bool from_trunk = spec.part == model::Part::trunk;
    if (from_trunk && options.task_only) continue;
    const bool other = from_trunk && trunk_file.has_value();
    const TensorFile& source = other ? *trunk_file : file;
    const std::string stored = model::stored_name(spec.name, other ? trunk : r);
    if (source.find(stored) == nullptr) continue;  // optional ones, and the parts this file has none of
    // A trunk alone keeps its own names: it stays a SAM2 file.
    const std::string name = r.contents == model::Contents::trunk ? stored : spec.name;
    conversion.add(source, stored, name, spec.role == model::Role::weight);
  }
  if (format == OutFormat::torch) return formats::write_torch_zip(out, conversion.tensors());
  formats::write_safetensors(
      out, conversion.tensors(),
      {{"config", r.config->to_json()}, {"variant", model::variant_name(*r.config)}, {"format", "pt"}});
}

}  // namespace sam2unet
