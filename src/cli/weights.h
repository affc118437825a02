// --weights, as every command means it.
#pragma once

#include <filesystem>
#include <string>

namespace sam2unet::cli {

/// A path, the name of a model, or the model that comes with the program where nothing is named. FileError.
std::filesystem::path weights_file(const std::string& named);
/// A file's or model's own name, without the ending where that is one of weight files: models are called
/// "sam2.1-t" too.
std::string name_of_weights(const std::filesystem::path& file);

}  // namespace sam2unet::cli
