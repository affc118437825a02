#include "model/input_size.h"

#include <charconv>
#include <string_view>
#include <system_error>

#include "model/config.h"

namespace sam2unet::model {
namespace {

std::optional<int> side(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
  if (!is_whole || value < 32 || value > kMaxInputSide || value % 32 != 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<TrainedSize> trained_size(const std::map<std::string, std::string>& metadata) {
  const auto it = metadata.find(kInputSize);
  if (it == metadata.end()) return std::nullopt;
  const std::string_view text = it->second;
  const auto x = text.find('x');
  const auto height = side(text.substr(0, x));
  const auto width = x == std::string_view::npos ? height : side(text.substr(x + 1));
  if (!height || !width) return std::nullopt;
  return TrainedSize{*height, *width};
}

}  // namespace sam2unet::model
