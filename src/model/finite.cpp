#include "model/finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace sam2unet::model {
namespace {

bool is_integer(DType type) {
  switch (type) {
    case DType::f64:
    case DType::f32:
    case DType::f16:
    case DType::bf16:
      return false;
    case DType::i64:
    case DType::i32:
    case DType::i16:
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      break;
  }
  return true;
}

}  // namespace

std::optional<WrongNumber> find_wrong_number(std::string_view name, std::span<const float> values) {
  // All bits of the exponent set: NaN and infinity. A sum of comparisons, which becomes vector code.
  constexpr std::uint32_t kExponent = 0x7F800000U;
  std::uint32_t wrong = 0;
  for (const float v : values) wrong += (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent ? 1U : 0U;
  const bool variance = name.ends_with("running_var");
  if (wrong == 0 && !variance) return std::nullopt;
  const auto at = std::ranges::find_if(values, [&](float v) {
    return (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent || (variance && v < 0);
  });
  if (at == values.end()) return std::nullopt;
  return WrongNumber{static_cast<std::size_t>(at - values.begin()), *at};
}

std::optional<WrongNumber> find_wrong_number(std::string_view name, const TensorView& view) {
  if (is_integer(view.dtype)) return std::nullopt;
  std::optional<WrongNumber> found;
  std::vector<float> buffer;
  for_each_block(view, [&](const TensorView& block, std::size_t first) {
    if (found) return;
    buffer.resize(static_cast<std::size_t>(block.numel()));
    copy_to(block, std::span(buffer));
    found = find_wrong_number(name, buffer);
    if (found) found->at += first;
  });
  return found;
}

std::string describe(std::string_view name, const WrongNumber& wrong, std::size_t first) {
  const bool finite = std::isfinite(wrong.value);
  return fmt::format(
      "tensor {} holds {} (element {}), {}: the training that made it diverged, or the file is damaged; take "
      "an "
      "earlier checkpoint",
      name, wrong.value, wrong.at + first, finite ? "a negative variance" : "which is not finite");
}

void for_each_block(const TensorView& view,
                    const std::function<void(const TensorView& block, std::size_t first)>& use) {
  constexpr std::int64_t kBlock = 1 << 14;
  const std::int64_t numel = view.numel();
  if (!view.is_dense() || numel <= kBlock) return use(view, 0);
  for (std::int64_t at = 0; at < numel; at += kBlock) {
    const std::int64_t n = std::min(kBlock, numel - at);
    use({.data = view.data + at * static_cast<std::int64_t>(size_of(view.dtype)),
         .dtype = view.dtype,
         .shape = {n},
         .strides = {1}},
        static_cast<std::size_t>(at));
  }
}

}  // namespace sam2unet::model
