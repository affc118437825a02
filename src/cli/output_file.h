// Files that a command writes besides its main result.
#pragma once

#include <filesystem>
#include <string>

namespace sam2unet::cli {

/// Whole under its name or not at all: written beside it, then renamed; "-" is stdout. FileError.
void write_output(const std::filesystem::path& path, const std::string& text);

}  // namespace sam2unet::cli
