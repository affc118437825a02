// Every tensor of a checkpoint: reference name, shape, what it is, whether training moves it. Derived from
// the one description of the network (Network::make), so nothing can be listed that is not loaded, or the
// other way round.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "model/config.h"

namespace sam2unet::model {

/// Where in the network.
enum class Part { trunk, adapter, rfb, up, unused, head };

/// What a tensor is; decides its deterministic test value, its storage and its weight decay.
enum class Role {
  weight,  ///< of a linear layer or a convolution: [out, in, ...]
  bias,
  norm_weight,  ///< of LayerNorm and BatchNorm
  position,     ///< pos_embed, pos_embed_window
  running_mean,
  running_var,
  counter,  ///< num_batches_tracked, a scalar int64
};

struct TensorSpec {
  std::string name;
  Shape shape;
  Role role = Role::weight;
  Part part = Part::trunk;

  bool is_buffer() const {
    return role == Role::running_mean || role == Role::running_var || role == Role::counter;
  }
  /// Learned by the official recipe: everything but the frozen trunk, the buffers, and the unused up4.
  bool trainable() const { return part != Part::trunk && part != Part::unused && !is_buffer(); }
};

/// In the order of the reference's state_dict where that matters to nobody else: by part, then as computed.
/// Holds the 18 tensors of `up4` too, which the reference creates, saves and never calls.
std::vector<TensorSpec> tensor_table(const Config& config);

/// The part to which the tensor of this reference name belongs.
Part part_of(std::string_view name, const Config& config = {});
std::string_view name_of(Part part);

}  // namespace sam2unet::model
