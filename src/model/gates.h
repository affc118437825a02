// What was measured of lower precisions, kept in the weights' metadata: how much each changes the maps, and
// which layers int8 leaves in bfloat16.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"
#include "model/config.h"

namespace sam2unet::model {

struct Recognition;

/// A change of the maps up to which a precision stands for float32.
inline constexpr double kMaxChangeBf16 = 0.0005;
inline constexpr double kMaxChangeInt8 = 0.0015;

/// What one precision does to the maps.
struct PrecisionGate {
  /// Mean over all pixels of all pictures of |p - p of float32|; of several classes, of the one that changes
  /// most.
  double change = 0.0;
  /// Whether activations of bfloat16 products were rounded too, as processors with an instruction for them
  /// do.
  bool rounds_bf16 = false;
};

struct PrecisionGates {
  int pictures = 0;
  std::optional<PrecisionGate> bf16, int8;
  std::vector<std::string> kept;  ///< of `layer_groups`: what int8 leaves in bfloat16
  std::uint64_t weights = 0;      ///< fingerprint of the weights they were measured of

  std::string to_json() const;
};

/// Groups of layers that share a precision, by the beginning of their tensors' names:
/// "encoder.blocks.3.block.mlp".
std::vector<std::string> layer_groups(const Config& config);

/// FormatError if anything in it cannot be: unknown keys of another version, groups that the network has not,
/// numbers out of range.
PrecisionGates gates_from_json(std::string_view text, const Config& config);

/// Of the network's tensors: names, types, shapes and a few bytes from the middle of each. Weights that were
/// trained further or stored in another precision have another one.
std::uint64_t fingerprint(const formats::TensorFile& file, const Recognition& recognition);

/// What a file says. Without gates, or with some that are not these weights', `gates` is empty; `problem`
/// tells why where it carries some.
struct StoredGates {
  std::optional<PrecisionGates> gates;
  std::string problem;
};
StoredGates stored_gates(const formats::TensorFile& file, const Recognition& recognition);

}  // namespace sam2unet::model
