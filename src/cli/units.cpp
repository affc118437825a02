#include "units.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <system_error>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

struct Number {
  double value = 0.0;
  std::string_view unit;
};

Number split(std::string_view text, const std::string& option, const char* example) {
  Number out;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), out.value, std::chars_format::fixed);
  if (error != std::errc() || !(out.value >= 0.0))
    throw UsageError(
        fmt::format("{} {}: give a number with or without a unit, such as {}", option, text, example));
  out.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return out;
}

}  // namespace

std::uint64_t parse_bytes(const std::string& text, const std::string& option) {
  const Number n = split(text, option, "32M");
  double factor = 0.0;
  constexpr double kStep = 1024.0;
  if (n.unit.empty() || n.unit == "B") factor = 1.0;
  if (n.unit == "K" || n.unit == "k" || n.unit == "KiB") factor = kStep;
  if (n.unit == "M" || n.unit == "MiB") factor = kStep * kStep;
  if (n.unit == "G" || n.unit == "GiB") factor = kStep * kStep * kStep;
  constexpr double kMax = kStep * kStep * kStep * kStep;
  if (factor == 0.0 || n.value * factor > kMax || n.value * factor < 1.0)
    throw UsageError(fmt::format("{} {}: give bytes, or K, M or G of them, such as 32M", option, text));
  return static_cast<std::uint64_t>(n.value * factor);
}

std::chrono::milliseconds parse_time(const std::string& text, const std::string& option) {
  const Number n = split(text, option, "30s");
  double factor = 0.0;
  if (n.unit == "ms") factor = 1.0;
  if (n.unit == "s" || n.unit.empty()) factor = 1e3;
  if (n.unit == "m" || n.unit == "min") factor = 60e3;
  constexpr double kDay = 86400e3;
  if (factor == 0.0 || n.value * factor > kDay)
    throw UsageError(
        fmt::format("{} {}: give a time of at most a day, such as 5ms, 30s or 2m", option, text));
  return std::chrono::milliseconds(static_cast<std::int64_t>(n.value * factor));
}

}  // namespace sam2unet::cli
