// What decides the shape of a network: the arguments of the reference's Hiera trunk.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ops/concept.h"

namespace sam2unet::model {

/// One transformer block, derived from the Config.
struct BlockConfig {
  int index = 0;
  int stage = 0;  ///< 0..3
  int dim_in = 0;
  int dim_out = 0;
  ops::AttentionGeometry attention;
  bool ends_stage = false;
};

/// Hiera's constructor arguments (sam2/modeling/backbones/hieradet.py:169), with its defaults.
struct Config {
  int embed_dim = 96;
  int num_heads = 1;
  std::array<int, 4> stages{2, 3, 16, 3};  ///< blocks per stage
  std::vector<int> global_att_blocks{12, 16, 20};
  std::array<int, 4> window_spec{8, 4, 14, 7};
  std::array<int, 2> window_pos_embed_bkg_spatial_size{14, 14};
  int q_pool = 3;  ///< how many stage changes halve the picture

  friend bool operator==(const Config&, const Config&) = default;

  int depth() const { return stages[0] + stages[1] + stages[2] + stages[3]; }
  /// Channels of the four stage outputs.
  std::array<int, 4> stage_dims() const;
  std::vector<BlockConfig> blocks() const;

  /// WeightsError that names the field that cannot be meant.
  void validate() const;
  /// UsageError unless height and width are multiples of what the network needs (32), and not too large.
  void check_input(std::int64_t height, std::int64_t width) const;

  /// Keys as in the golden files' metadata; missing keys take the reference's defaults. FormatError.
  static Config from_json(std::string_view text);
  std::string to_json() const;
  /// "t", "s", "b+" or "l"; UsageError for any other.
  static Config of_variant(std::string_view variant);
};

/// "t", "s", "b+", "l", or "custom".
std::string variant_name(const Config& config);

}  // namespace sam2unet::model
