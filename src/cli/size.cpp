#include "size.h"

#include <fmt/format.h>

#include <algorithm>

#include "sam2unet/errors.h"

namespace sam2unet::cli {

InputSize parse_size(const std::string& text) {
  if (text.empty()) return InputSize::square(0);
  const auto x = text.find('x');
  const auto number = [&](const std::string& digits) {
    const bool plain = !digits.empty() && digits.size() <= 5 &&
                       std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    const int value = plain ? std::stoi(digits) : 0;
    if (value < 32 || value > InputSize::kMaxSide || value % 32 != 0) {
      throw UsageError(
          fmt::format("--size {}: give N or HxW, multiples of 32 from 32 to {}, such as 352 or 480x640", text,
                      InputSize::kMaxSide));
    }
    return value;
  };
  const int height = number(text.substr(0, x));
  return InputSize::of(x == std::string::npos ? height : number(text.substr(x + 1)), height);
}

}  // namespace sam2unet::cli
