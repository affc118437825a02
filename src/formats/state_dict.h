// Finds the tensors of the model in what a checkpoint holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/pickle.h"

namespace sam2unet::formats {

struct StateDict {
  struct Entry {
    std::string_view name;
    std::uint32_t tensor = 0;  // TorchObjects' number
  };
  std::string wrapper;  // keys that lead to it, "" if it is the whole file, "model", "checkpoint.state_dict"
  std::vector<Entry> entries;  // in file order
};

/// A dict of names to tensors: the whole file, or one of its members (under the usual names first, else the
/// only one there is). FormatError if there is none, or no telling which.
/// `foreign`: the name of an object that is not read, for the message; "" if there is none.
StateDict find_state_dict(const PickleMachine& machine, const Value& root, std::string_view foreign = {});

/// What every one of the names begins with and is no part of the model: "module." of DataParallel,
/// "_orig_mod." of torch.compile, "model." and "net." of training frameworks; also several of them. Else "".
std::string common_prefix(const std::vector<std::string_view>& names);

}  // namespace sam2unet::formats
