// What decides the shape of a network: the arguments of the reference's Hiera trunk.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ops/concept.h"

namespace sam2unet::model {

/// Longest side of the network's input, in pixels.
inline constexpr int kMaxInputSide = 8192;

/// One transformer block, derived from the Config.
struct BlockConfig {
  int index = 0;
  int stage = 0;  ///< 0..3
  int dim_in = 0;
  int dim_out = 0;
  ops::AttentionGeometry attention;
  bool ends_stage = false;
};

/// What joins a stage of the encoder to the decoder.
enum class NeckKind {
  rfb,        ///< the reference's receptive-field block
  pointwise,  ///< a 1x1 convolution with bias
};
/// "rfb" or "1x1".
std::string_view name_of(NeckKind kind);
/// UsageError for any other name.
NeckKind parse_neck(std::string_view name);

/// Hiera's constructor arguments (sam2/modeling/backbones/hieradet.py:169) with its defaults, and what forks
/// of SAM2-UNet change behind it; the original's numbers are the defaults.
struct Config {
  int embed_dim = 96;
  int num_heads = 1;
  std::array<int, 4> stages{2, 3, 16, 3};  ///< blocks per stage
  std::vector<int> global_att_blocks{12, 16, 20};
  std::array<int, 4> window_spec{8, 4, 14, 7};
  std::array<int, 2> window_pos_embed_bkg_spatial_size{14, 14};
  int q_pool = 3;  ///< how many stage changes halve the picture

  int out_channels = 1;  ///< K: 1 for one foreground, else the number of classes, background included
  int adapter_width = 32;
  int decoder_width = 64;  ///< D: channels of everything behind the encoder
  NeckKind neck = NeckKind::rfb;
  bool calls_up4 = false;  ///< a fourth Up, at half the picture's size, before the head

  friend bool operator==(const Config&, const Config&) = default;

  int depth() const { return stages[0] + stages[1] + stages[2] + stages[3]; }
  /// Channels of the four stage outputs.
  std::array<int, 4> stage_dims() const;
  std::vector<BlockConfig> blocks() const;

  /// WeightsError that names the field that cannot be meant.
  void validate() const;
  /// UsageError unless height and width are multiples of what the network needs (32), and not too large.
  void check_input(std::int64_t height, std::int64_t width) const;

  /// Keys as in the golden files' metadata (out_channels, adapter_width, decoder_width, neck "rfb" or "1x1",
  /// up4 true or false); missing keys take the reference's values, or those of `missing`. FormatError.
  static Config from_json(std::string_view text);
  static Config from_json(std::string_view text, const Config& missing);
  /// What forks change is written only where it differs from the original.
  std::string to_json() const;
  /// "t", "s", "b+" or "l"; UsageError for any other.
  static Config of_variant(std::string_view variant);
};

/// The trunk's name: "t", "s", "b+", "l", or "custom".
std::string variant_name(const Config& config);
/// Whether the trunks have one shape, whatever stands behind them.
bool same_trunk(const Config& a, const Config& b);
/// What differs from the original behind the trunk, one phrase each ("adapter width 72 instead of 32").
std::vector<std::string> differences_from_original(const Config& config);

}  // namespace sam2unet::model
