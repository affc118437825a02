// --weights, as every command means it.
#pragma once

#include <filesystem>
#include <string>

namespace sam2unet::cli {

/// A path, the name of a model, or the model that comes with the program where nothing is named. FileError.
std::filesystem::path weights_file(const std::string& named);

}  // namespace sam2unet::cli
