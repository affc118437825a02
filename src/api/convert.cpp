#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "api/measure_gates.h"
#include "api/weight_conversion.h"
#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"
#include "sam2unet/weights.h"

namespace sam2unet {
namespace {

using api::SourceTensor;
using formats::TensorFile;
using model::Contents;

// Metadata of task-only files: a few elements of the trunk they belong to. SAM2's and SAM2.1's trunks have
// the same shapes, and the wrong one would quietly give nonsense.
constexpr const char* kTrunkSample = "trunk_sample";

struct Input {
  TensorFile file;
  model::Recognition recognition;

  explicit Input(const std::filesystem::path& path)
      : file(TensorFile::open(path)), recognition(model::recognise(file)) {}
  std::string name() const { return file.path().string(); }
  const model::Config& config() const { return *recognition.config; }
};

enum class OutFormat { safetensors, torch };

OutFormat format_of(const std::filesystem::path& out) {
  const auto e = out.extension();
  if (e == ".safetensors") return OutFormat::safetensors;
  if (e == ".pth" || e == ".pt") return OutFormat::torch;
  throw UsageError(
      fmt::format("{}: the extension decides the format; use .safetensors, .pth or .pt", out.string()));
}

void check_not_input(const std::filesystem::path& out, const std::filesystem::path& in) {
  std::error_code ignored;
  if (std::filesystem::equivalent(in, out, ignored)) {
    throw UsageError(fmt::format("{}: input and output are one file; choose another name", out.string()));
  }
}

void check_input(const Input& in, const ConvertOptions& options) {
  const auto& r = in.recognition;
  const std::string where = in.name();
  if (!r.config) {
    throw WeightsError(fmt::format(
        "{}: holds no SAM2-UNet and no SAM2 trunk of a known variant; nothing to convert", where));
  }
  if (!r.misshapen.empty()) throw WeightsError(fmt::format("{}: tensor {}", where, r.misshapen.front()));
  if (r.contents == Contents::partial) {
    throw WeightsError(fmt::format("{}: {} tensors are missing, the first is {}", where, r.missing.size(),
                                   r.missing.front()));
  }
  if (options.task_only && !options.trunk.empty()) {
    throw UsageError("a task-only file has no trunk: it cannot be asked for together with one");
  }
  if (options.task_only && r.contents == Contents::trunk) {
    throw WeightsError(fmt::format(
        "{}: a SAM2 trunk has no adapters, RFB, decoder or heads that a task-only file could keep", where));
  }
  if (!options.trunk.empty() && r.contents == Contents::trunk) {
    throw WeightsError(fmt::format("{}: is a trunk itself; one completes a task-only file", where));
  }
}

std::vector<std::string> trunk_weights(const model::Config& config) {
  std::vector<std::string> names;
  for (const auto& spec : model::tensor_table(config)) {
    if (spec.part == model::Part::trunk && spec.role == model::Role::weight) names.push_back(spec.name);
  }
  return names;
}

// Element `index`, in row-major order, of a weight that may be strided, or int8 with scales.
float element(const TensorFile& file, const std::string& name, std::int64_t index) {
  TensorView one = *file.find(name);
  float factor = 1.0F;
  if (const TensorView* scale = file.find(name + std::string(model::kScaleSuffix));
      one.dtype == DType::i8 && scale != nullptr && scale->numel() == one.shape[0]) {
    factor = element(file, name + std::string(model::kScaleSuffix), index / (one.numel() / one.shape[0]));
  }
  std::int64_t offset = 0;
  for (std::size_t d = one.shape.rank(); d-- > 0; index /= one.shape[d])
    offset += index % one.shape[d] * one.strides[d];
  one.data += offset * static_cast<std::int64_t>(size_of(one.dtype));
  one.shape = {};
  one.strides = {};
  float value = 0.0F;
  copy_to(one, std::span(&value, 1));
  return value * factor;
}

// The middle element of each weight of the trunk.
std::vector<float> sample_trunk(const Input& in) {
  std::vector<float> sample;
  for (const auto& name : trunk_weights(*in.recognition.config)) {
    const std::string stored = model::stored_name(name, in.recognition);
    sample.push_back(element(in.file, stored, in.file.find(stored)->numel() / 2));
  }
  return sample;
}

// As directions: rounding to f16, bf16 or int8 turns the sample by little, other weights by much.
void check_trunk(const std::string& stored, const Input& trunk) {
  std::vector<float> a;
  try {
    a = nlohmann::json::parse(stored).get<std::vector<float>>();
  } catch (const nlohmann::json::exception&) {
    throw FormatError(fmt::format("metadata \"{}\" is not a list of numbers", kTrunkSample));
  }
  const auto b = sample_trunk(trunk);
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  constexpr double kMinCosine = 0.99;
  if (a.size() != b.size() || !(ab >= kMinCosine * std::sqrt(aa * bb))) {
    throw WeightsError(
        fmt::format("{}: not the trunk that the task-only file was trained on; SAM2 and SAM2.1, and trunks "
                    "that were trained further, have the same shapes but other weights",
                    trunk.name()));
  }
}

void check_join(const Input& in, const Input& trunk) {
  const auto& t = trunk.recognition;
  if (!t.config || (t.contents != Contents::trunk && t.contents != Contents::full) ||
      !model::same_trunk(trunk.config(), in.config())) {
    throw WeightsError(fmt::format("{}: its trunk is {}, but {} needs {}", trunk.name(),
                                   t.config ? model::variant_name(trunk.config()) : "of no known variant",
                                   in.name(), model::variant_name(in.config())));
  }
  const auto& metadata = in.file.metadata();
  if (const auto it = metadata.find(kTrunkSample); it != metadata.end()) check_trunk(it->second, trunk);
}

// The network's tensors under the reference's names; those of the trunk from `trunk` if there is one.
std::vector<SourceTensor> network_tensors(const Input& in, const Input* trunk, bool task_only) {
  std::vector<SourceTensor> out;
  for (const auto& spec : model::tensor_table(in.config())) {
    const bool from_trunk = spec.part == model::Part::trunk;
    if (from_trunk && task_only) continue;
    const Input& source = from_trunk && trunk != nullptr ? *trunk : in;
    const std::string stored = model::stored_name(spec.name, source.recognition);
    if (source.file.find(stored) == nullptr) continue;  // optional ones, and the parts this file has none of
    out.push_back({&source.file, stored, spec.name, spec.role == model::Role::weight});
  }
  return out;
}

// A SAM2 checkpoint stays one: all its tensors under their own names. Scales go with their weights.
std::vector<SourceTensor> all_tensors(const Input& in) {
  std::unordered_set<std::string> weights;
  for (const auto& name : trunk_weights(in.config()))
    weights.insert(model::stored_name(name, in.recognition));
  std::vector<SourceTensor> out;
  for (const auto& [name, view] : in.file.tensors()) {
    if (name.ends_with(model::kScaleSuffix)) {
      const auto* weight = in.file.find(name.substr(0, name.size() - model::kScaleSuffix.size()));
      if (weight != nullptr && weight->dtype == DType::i8) continue;
    }
    out.push_back({&in.file, name, name, weights.contains(name)});
  }
  return out;
}

std::map<std::string, std::string> metadata_for(const Input& in, const ConvertOptions& options) {
  auto m = in.file.metadata();
  m["config"] = in.config().to_json();
  m["variant"] = model::variant_name(in.config());
  m["format"] = "pt";  // what the safetensors library writes for PyTorch's names and axes
  if (options.task_only && in.recognition.contents == Contents::full) {
    m[kTrunkSample] = nlohmann::json(sample_trunk(in)).dump();
  }
  if (!options.trunk.empty()) m.erase(kTrunkSample);
  const bool is_the_same =
      options.precision == WeightsPrecision::keep && !options.task_only && options.trunk.empty();
  if (!is_the_same || options.measured) m.erase(model::kGatesKey);
  return m;
}

// The same weights beside `out`, to be measured before that is there; gone at its end.
class Draft {
 public:
  explicit Draft(const std::filesystem::path& out)
      : path_(out.parent_path() / fmt::format(".{}.{}.safetensors", out.stem().string(), ::getpid())) {}
  ~Draft() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void check_measurable(const Input& in, OutFormat format, const ConvertOptions& options) {
  if (!options.measured) return;
  if (format == OutFormat::torch)
    throw UsageError(
        "what is measured of precisions is stored in .safetensors files; a .pth cannot carry it");
  const bool becomes_full = in.recognition.contents == Contents::full || !options.trunk.empty();
  if (!becomes_full || options.task_only) {
    throw UsageError(fmt::format(
        "{}: precisions are measured of a whole SAM2-UNet, which this does not become", in.name()));
  }
}

// An int8 input only stays int8 where its scales can go along.
WeightsPrecision precision_for(const std::vector<SourceTensor>& sources, OutFormat format,
                               WeightsPrecision wanted) {
  const bool scaled = std::ranges::any_of(
      sources, [](const auto& s) { return s.file->find(s.stored_name)->dtype == DType::i8; });
  const bool unreadable = format == OutFormat::torch && scaled && wanted == WeightsPrecision::keep;
  return unreadable ? WeightsPrecision::f16 : wanted;
}

std::vector<std::string> notes_for(const Input& in, OutFormat format, const ConvertOptions& options) {
  std::vector<std::string> notes;
  if (format == OutFormat::torch && model::variant_name(in.config()) == "custom") {
    notes.emplace_back(
        "a PyTorch file cannot carry the configuration of a custom network, without which it is not "
        "recognised "
        "again; keep a .safetensors too");
  }
  if (format == OutFormat::torch && options.task_only) {
    notes.emplace_back(
        "a PyTorch file cannot carry the sample of its trunk by which a wrong one is refused; a .safetensors "
        "does");
  }
  if (format == OutFormat::torch && in.config().out_channels > 1) {
    notes.emplace_back("a PyTorch file cannot carry the classes' names and colours; a .safetensors does");
  }
  if (format == OutFormat::torch && in.file.metadata().contains(model::kFitKey)) {
    notes.emplace_back(
        "a PyTorch file cannot say that pictures were letterboxed in training, which predict then needs to "
        "be "
        "told; a .safetensors does");
  }
  for (std::string& note : model::notes_of(in.file, in.recognition)) notes.push_back(std::move(note));
  if (in.recognition.contents != Contents::trunk && !in.recognition.unexpected.empty()) {
    notes.push_back(fmt::format("{} tensors that belong to no SAM2-UNet were left out, the first is {}",
                                in.recognition.unexpected.size(), in.recognition.unexpected.front()));
  }
  return notes;
}

}  // namespace

std::vector<std::string> convert_weights(const std::filesystem::path& named, const std::filesystem::path& out,
                                         const ConvertOptions& options) {
  const OutFormat format = format_of(out);
  if (format == OutFormat::torch && options.precision == WeightsPrecision::int8) {
    throw UsageError(
        "int8 weights carry scales, which only .safetensors files of ours hold; use another precision "
        "for .pth");
  }
  const std::filesystem::path in_path = find_weights(named), trunk_path = find_weights(options.trunk);
  check_not_input(out, in_path);
  if (!trunk_path.empty()) check_not_input(out, trunk_path);
  const Input in(in_path);
  check_input(in, options);
  check_measurable(in, format, options);
  std::optional<Input> trunk;
  if (!trunk_path.empty()) {
    trunk.emplace(trunk_path);
    check_join(in, *trunk);
  }
  const auto sources = in.recognition.contents == Contents::trunk
                           ? all_tensors(in)
                           : network_tensors(in, trunk ? &*trunk : nullptr, options.task_only);
  const auto precision = precision_for(sources, format, options.precision);
  std::vector<formats::PendingTensor> tensors;
  for (const auto& s : sources) api::append_converted(s, precision, tensors);
  if (format == OutFormat::torch) {
    // SAM2's and SAM2-UNet's own code look for SAM2's weights under "model".
    const bool is_sam2 = in.recognition.trunk_prefix == "image_encoder.trunk.";
    formats::write_torch_zip(out, tensors, is_sam2 ? "model" : "");
  } else {
    auto metadata = metadata_for(in, options);
    if (options.measured) {
      const Draft draft(out);
      formats::write_safetensors(draft.path(), tensors, metadata);
      metadata[model::kGatesKey] = api::measure_gates(draft.path(), *options.measured).to_json();
    }
    formats::write_safetensors(out, tensors, metadata);
  }
  return notes_for(in, format, options);
}

}  // namespace sam2unet
