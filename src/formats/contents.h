// What each reader makes of a file's bytes; TensorFile owns it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "formats/tensor_file.h"

namespace sam2unet::formats {

struct Contents {
  std::vector<NamedTensor> tensors;
  std::string wrapper;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> passed_over;  // what unknown objects beside the tensors are of
};

/// Each reads one format; the views point into `file`. FormatError.
Contents read_safetensors(std::span<const std::byte> file);
Contents read_torch_zip(std::span<const std::byte> file);
Contents read_torch_legacy(std::span<const std::byte> file);

/// True if the file begins as PyTorch's stream format does: with a pickle of its magic number.
bool is_torch_legacy(std::span<const std::byte> file);

}  // namespace sam2unet::formats
