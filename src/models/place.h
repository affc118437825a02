// Where new models go, and the hash noted beside each.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "sam2unet/models.h"

namespace sam2unet::models {

/// 64 hexadecimal digits in lower case.
bool is_sha256(std::string_view text);
/// The first of model_folders(), made where it is not there. FileError.
std::filesystem::path folder_for_new();
/// Writes PATH.sha256.
void note_hash(const std::filesystem::path& path, const std::string& hash);
/// The model that a file is.
InstalledModel describe(const std::filesystem::path& path);

}  // namespace sam2unet::models
