// Copies of weight files in which some tensors hold another number.
#pragma once

#include <filesystem>
#include <list>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"

namespace sam2unet::test {

/// The file `from` at `to`, but that each tensor whose name begins so is float32 `value` all over.
inline void write_filled(const std::filesystem::path& from, const std::filesystem::path& to,
                         std::string_view prefix, float value) {
  const auto in = formats::TensorFile::open(from);
  std::vector<formats::NamedTensor> tensors = in.tensors();
  std::list<std::vector<float>> data;
  for (auto& t : tensors) {
    if (!t.name.starts_with(prefix)) continue;
    const auto& filled = data.emplace_back(static_cast<std::size_t>(t.view.numel()), value);
    t.view = {reinterpret_cast<const std::byte*>(filled.data()), DType::f32, t.view.shape,
              t.view.shape.dense_strides()};
  }
  formats::write_safetensors(to, tensors, in.metadata());
}

}  // namespace sam2unet::test
