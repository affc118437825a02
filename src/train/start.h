// What a training starts from: nothing, a SAM2 trunk, or a SAM2-UNet.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "model/checkpoint.h"
#include "sam2unet/classes.h"
#include "train/choices.h"

namespace sam2unet::train {

/// The configuration with the parts that were asked for.
model::Config with_parts(model::Config config, const AskedParts& parts);

/// Values of `file` where it has them, of PyTorch's initialisation elsewhere (uniform in
/// +-1/sqrt(fan_in); BatchNorm and LayerNorm 1 and 0; position embeddings normal with deviation 0.02;
/// adapters as `adapters` says).
class StartWeights : public model::WeightSource {
 public:
  /// `file` empty: everything fresh; then `config` must be given. Without classes (an empty table) the
  /// network has the file's one output. With them it has as many; the heads of a SAM2-UNet of one foreground
  /// start fresh. WeightsError if the file is no trunk or SAM2-UNet, contradicts `config`, or is of other
  /// classes or other parts than asked for.
  StartWeights(const std::filesystem::path& file, std::optional<model::Config> config, std::uint64_t seed,
               AdapterInit adapters = AdapterInit::standard, const ClassTable& classes = {},
               const AskedParts& parts = {});

  const model::Config& config() const { return config_; }
  /// What the file is, for the log.
  const std::string& description() const { return description_; }
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> values) const override;

 private:
  std::vector<float> initial(const std::string& name, const Shape& shape) const;
  void settle_config(const std::filesystem::path& path, const std::optional<model::Config>& asked);
  void settle_parts(const std::filesystem::path& path, const AskedParts& parts);
  void settle_outputs(const std::filesystem::path& path, const ClassTable& classes);

  std::optional<formats::TensorFile> file_;
  model::Recognition recognition_;
  model::Config config_;
  std::uint64_t seed_;
  AdapterInit adapters_;
  bool has_fresh_heads_ = false;
  std::string description_ = "fresh weights";
};

}  // namespace sam2unet::train
