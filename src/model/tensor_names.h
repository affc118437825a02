// Brings the names that training tools leave in a checkpoint to the reference's.
#pragma once

#include <string>
#include <vector>

#include "formats/tensor_file.h"

namespace sam2unet::model {

struct TidiedNames {
  /// Tensors that belong to the tool or to its loss, not to the network, by their stored names; they are no
  /// longer in the file. "n_averaged", "encoder.total_ops", "criterion.pos_weight".
  std::vector<std::string> left_out;
  /// Prefixes of several networks of which none can be told to be meant ("student.", "teacher."); the names
  /// then stay as they are.
  std::vector<std::string> rivals;
};

/// Cuts what wrappers put into names, at any level ("module." of DataParallel and AveragedModel, "_orig_mod."
/// of torch.compile ...), and whatever prefix the network's names have in common ("model." of Lightning,
/// "student." ...). Where the network cannot be found, the names stay.
TidiedNames tidy_names(formats::TensorFile& file);

}  // namespace sam2unet::model
