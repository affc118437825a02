// Sizes and times as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sam2unet::cli {

/// "32M", "512K", "1G", "4096": bytes in powers of 1024. UsageError that begins with `option`.
std::uint64_t parse_bytes(const std::string& text, const std::string& option);
/// "5ms", "30s", "2m", or seconds without a unit; at most a day. UsageError.
std::chrono::milliseconds parse_time(const std::string& text, const std::string& option);

}  // namespace sam2unet::cli
