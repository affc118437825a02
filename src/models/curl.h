// libcurl, opened when something is to be fetched: programs that never do need not have it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace sam2unet::models {

/// Appends what `address` names, from the byte on that the file ends with, to `file`; from the beginning
/// where the server cannot continue. UnavailableError without libcurl, FileError that says why a transfer
/// failed; what came is kept.
void download(const std::string& address, const std::filesystem::path& file,
              const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

}  // namespace sam2unet::models
