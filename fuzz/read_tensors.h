// What both targets do with a file that was accepted: read every element, so that a sanitizer sees a view
// that reaches outside of it.
#pragma once

#include <span>
#include <vector>

#include "formats/tensor_file.h"

namespace sam2unet::fuzz {

inline void read_tensors(const formats::TensorFile& file) {
  // A small file may show many large tensors over the same bytes; these are enough of them.
  constexpr std::int64_t kMaxElements = 1 << 20;
  std::int64_t budget = kMaxElements;
  std::vector<double> values;
  std::vector<std::byte> bytes;
  for (const auto& [name, view] : file.tensors()) {
    const std::int64_t numel = view.numel();
    if (numel > budget || file.find(name) == nullptr) continue;
    budget -= numel;
    values.resize(static_cast<std::size_t>(numel));
    copy_to(view, std::span<double>(values));
    bytes.resize(values.size() * size_of(view.dtype));
    copy_bytes(view, bytes);
  }
}

}  // namespace sam2unet::fuzz
