// What a training starts from: nothing, a SAM2 trunk, or a SAM2-UNet.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "model/checkpoint.h"
#include "train/choices.h"

namespace sam2unet::train {

/// Values of `file` where it has them, of PyTorch's initialisation elsewhere (uniform in
/// +-1/sqrt(fan_in); BatchNorm and LayerNorm 1 and 0; position embeddings normal with deviation 0.02;
/// adapters as `adapters` says).
class StartWeights : public model::WeightSource {
 public:
  /// `file` empty: everything fresh; then `config` must be given. WeightsError if the file is no trunk or
  /// SAM2-UNet, or contradicts `config`.
  StartWeights(const std::filesystem::path& file, std::optional<model::Config> config, std::uint64_t seed,
               AdapterInit adapters = AdapterInit::standard);

  const model::Config& config() const { return config_; }
  /// What the file is, for the log.
  const std::string& description() const { return description_; }
  std::span<const float> get(const std::string& name, const Shape& shape) override;

 private:
  void initialise(const std::string& name, const Shape& shape);

  std::optional<formats::TensorFile> file_;
  model::Recognition recognition_;
  model::Config config_;
  std::uint64_t seed_;
  AdapterInit adapters_;
  std::string description_ = "fresh weights";
  std::vector<float> buffer_;
};

}  // namespace sam2unet::train
