#include "train/start.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/hash.h"
#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "train/random.h"

namespace sam2unet::train {

model::Config with_parts(model::Config config, const AskedParts& parts) {
  if (parts.adapter_width != 0) config.adapter_width = parts.adapter_width;
  if (parts.decoder_width != 0) config.decoder_width = parts.decoder_width;
  if (parts.neck != NeckChoice::as_start) {
    config.neck = parts.neck == NeckChoice::rfb ? model::NeckKind::rfb : model::NeckKind::pointwise;
  }
  return config;
}

StartWeights::StartWeights(const std::filesystem::path& path, std::optional<model::Config> config,
                           std::uint64_t seed, AdapterInit adapters, const ClassTable& classes,
                           const AskedParts& parts)
    : seed_(seed), adapters_(adapters) {
  if (path.empty()) {
    if (!config) throw UsageError("fresh weights need a variant: --variant t, s, b+ or l");
    config_ = *config;
    if (!classes.empty()) config_.out_channels = classes.size();
    settle_parts(path, parts);
    return;
  }
  file_ = formats::TensorFile::open(path);
  recognition_ = model::recognise(*file_);
  const bool usable =
      recognition_.contents == model::Contents::full || recognition_.contents == model::Contents::trunk;
  if (!recognition_.rivals.empty())
    throw WeightsError(fmt::format("{}: {}", path.string(), model::why_not_usable(*file_, recognition_)));
  if (!recognition_.config || !usable) {
    throw WeightsError(fmt::format(
        "{}: {} checkpoint; a training starts from a SAM2 trunk or a full SAM2-UNet{}", path.string(),
        model::name_of(recognition_.contents),
        recognition_.missing.empty() ? "" : fmt::format(" (missing: {})", recognition_.missing.front())));
  }
  config_ = *recognition_.config;
  settle_config(path, config);
  settle_parts(path, parts);
  settle_outputs(path, classes);
  description_ = fmt::format("{} ({}, {})", path.string(), model::name_of(recognition_.contents),
                             model::variant_name(config_));
  for (const std::string& note : model::notes_of(*file_, recognition_)) description_ += "; " + note;
  if (has_fresh_heads_)
    description_ +=
        fmt::format("; its heads are of one foreground, those of {} classes start fresh", classes.size());
}

namespace {

bool same_parts(const model::Config& a, const model::Config& b) {
  return a.adapter_width == b.adapter_width && a.decoder_width == b.decoder_width && a.neck == b.neck &&
         a.calls_up4 == b.calls_up4;
}

std::string described(const model::Config& config) {
  const auto differences = model::differences_from_original(config);
  return differences.empty() ? "the original's parts" : fmt::format("{}", fmt::join(differences, ", "));
}

}  // namespace

// A variant says nothing of what stands behind the trunk; a whole configuration may.
void StartWeights::settle_config(const std::filesystem::path& path,
                                 const std::optional<model::Config>& asked) {
  if (!asked) return;
  if (!model::same_trunk(*asked, config_)) {
    throw WeightsError(fmt::format("{}: holds variant {}, not the {} that was asked for", path.string(),
                                   model::variant_name(config_), model::variant_name(*asked)));
  }
  model::Config parts = *asked;
  parts.out_channels = 1;
  if (same_parts(parts, config_) || same_parts(parts, model::Config())) return;
  if (recognition_.contents != model::Contents::trunk) {
    throw WeightsError(fmt::format("{}: has {}, but {} is asked for; start from a SAM2 trunk", path.string(),
                                   described(config_), described(parts)));
  }
  parts.out_channels = config_.out_channels;
  config_ = parts;
}

void StartWeights::settle_parts(const std::filesystem::path& path, const AskedParts& parts) {
  const model::Config asked = with_parts(config_, parts);
  if (asked == config_) return;
  if (!path.empty() && recognition_.contents != model::Contents::trunk) {
    throw WeightsError(fmt::format(
        "{}: has {}, but {} is asked for; start from a SAM2 trunk, or leave its parts as they are",
        path.string(), described(config_), described(asked)));
  }
  config_ = asked;
}

// The network's number of outputs, and whether the file's heads are the ones to go on with.
void StartWeights::settle_outputs(const std::filesystem::path& path, const ClassTable& classes) {
  const int stored = config_.out_channels;
  const bool is_trunk = recognition_.contents == model::Contents::trunk;
  if (classes.empty()) {
    if (is_trunk || stored == 1) return;
    throw WeightsError(fmt::format("{}: holds {} classes; name them with --classes", path.string(), stored));
  }
  config_.out_channels = classes.size();
  has_fresh_heads_ = !is_trunk && stored == 1;
  if (is_trunk || stored == 1) return;
  if (stored != classes.size()) {
    throw WeightsError(
        fmt::format("{}: holds {} classes, but {} are asked for; start from these classes, from one "
                    "foreground or from a SAM2 trunk",
                    path.string(), stored, classes.size()));
  }
  const auto it = file_->metadata().find("classes");
  if (it == file_->metadata().end()) return;  // another program's: their number is all there is to go by
  const ClassTable before = class_table_from_json(it->second);
  for (std::size_t i = 0; i < classes.classes.size() && before.size() == classes.size(); ++i) {
    if (before.classes[i].name == classes.classes[i].name) continue;
    throw WeightsError(
        fmt::format("{}: its class {} is '{}', not the '{}' that is asked for; start from these classes, "
                    "from one foreground or from a SAM2 trunk",
                    path.string(), i, before.classes[i].name, classes.classes[i].name));
  }
}

void StartWeights::read(const std::string& name, const Shape& shape, std::int64_t first,
                        std::span<float> values) const {
  if (file_ && !(has_fresh_heads_ && model::part_of(name, config_) == model::Part::head)) {
    const std::string stored = model::stored_name(name, recognition_);
    if (file_->find(stored) != nullptr) {
      model::check_shape(*file_, stored, shape);
      return model::read_tensor(*file_, stored, first, values);
    }
  }
  const std::vector<float> fresh = initial(name, shape);
  std::ranges::copy(std::span(fresh).subspan(static_cast<std::size_t>(first), values.size()), values.begin());
}

// torch.nn: kaiming_uniform_(a = sqrt 5) is U(-1/sqrt(fan_in), 1/sqrt(fan_in)); biases are drawn likewise
// from the layer's fan_in, which a bias alone does not tell, and start at zero here. Adapters near identity
// are what the reference's author advises where the loss turns NaN (its issue 43): trunc_normal_(std .02),
// biases 0.
std::vector<float> StartWeights::initial(const std::string& name, const Shape& shape) const {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  Random random(seed_, 0x494E4954, fnv1a(name));
  const bool is_small = adapters_ == AdapterInit::near_identity && shape.rank() > 1 &&
                        model::part_of(name) == model::Part::adapter;
  if (is_small || name.find("pos_embed") != std::string::npos) {
    for (float& v : values) v = static_cast<float>(0.02 * random.normal());
  } else if (shape.rank() > 1) {
    const double bound = std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(shape.numel()));
    for (float& v : values) v = static_cast<float>(random.uniform(-bound, bound));
  } else if (name.ends_with("running_var") || (shape.rank() == 1 && name.ends_with(".weight"))) {
    std::ranges::fill(values, 1.0F);
  }
  return values;
}

}  // namespace sam2unet::train
