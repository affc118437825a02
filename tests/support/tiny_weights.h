// Small networks, and a complete checkpoint of the smallest there can be, with deterministic weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "formats/tensor_file.h"
#include "model/config.h"
#include "model/tensor_table.h"
#include "model/weight_source.h"

namespace sam2unet::test {

inline model::Config tiny_config() {
  return model::Config::from_json(R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": []})");
}

/// The golden files' nano: windows of every kind, a global block, and a stage deeper than one block.
inline model::Config nano_config() {
  return model::Config::from_json(R"({"embed_dim": 16, "stages": [1, 1, 3, 2], "global_att_blocks": [3],
      "window_spec": [8, 4, 14, 7], "window_pos_embed_bkg_spatial_size": [7, 7]})");
}

/// Writes a network's deterministic weights with its configuration and more metadata.
inline void write_weights(const std::filesystem::path& path, const model::Config& config,
                          std::map<std::string, std::string> metadata = {}, bool only_trunk = false) {
  model::DeterministicWeights source;
  std::vector<std::vector<float>> data;
  std::vector<formats::NamedTensor> tensors;
  for (const auto& t : model::tensor_table(config)) {
    if (only_trunk && t.part != model::Part::trunk) continue;
    const auto values = source.read(t.name, t.shape);
    data.emplace_back(values.begin(), values.end());
    tensors.push_back({t.name,
                       {reinterpret_cast<const std::byte*>(data.back().data()), DType::f32, t.shape,
                        t.shape.dense_strides()}});
  }
  metadata["config"] = config.to_json();
  formats::write_safetensors(path, tensors, metadata);
}

/// Writes the tiny one; `only_trunk` leaves out what makes it a SAM2-UNet, `metadata` goes into the file too.
inline void write_tiny_weights(const std::filesystem::path& path, bool only_trunk = false,
                               std::map<std::string, std::string> metadata = {}) {
  write_weights(path, tiny_config(), std::move(metadata), only_trunk);
}

}  // namespace sam2unet::test
