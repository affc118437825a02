#include "core/clock_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sam2unet {

std::string clock_text(double seconds) {
  const auto s = seconds > 0 ? static_cast<long long>(std::ceil(std::min(seconds, 1e8))) : 0;
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace sam2unet
