// Numbers in weights that are none: a training that diverged leaves NaN, a cast to half precision infinity.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace sam2unet::model {

struct WrongNumber {
  std::size_t at = 0;  ///< element, in row-major order
  float value = 0;
};

/// The first element that is NaN or infinite, or below 0 in a "running_var".
std::optional<WrongNumber> find_wrong_number(std::string_view name, std::span<const float> values);
/// The same for a stored tensor of any type; those of integers are sound. Its pages are read once.
std::optional<WrongNumber> find_wrong_number(std::string_view name, const TensorView& view);

/// "tensor NAME holds nan (element 17); ..." with what to do. `first` is added to the element's number.
std::string describe(std::string_view name, const WrongNumber& wrong, std::size_t first = 0);

/// Calls `use` with parts of a tensor that fit into a core's cache, in row-major order, and with the number
/// of the part's first element. A tensor with gaps comes in one part.
void for_each_block(const TensorView& view,
                    const std::function<void(const TensorView& block, std::size_t first)>& use);

}  // namespace sam2unet::model
