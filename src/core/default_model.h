// Where the model that comes with the program lies.
#pragma once

#include <filesystem>

namespace sam2unet {

/// SAM2UNET_MODEL where it is set; else beside `folder`, which holds a library or program of this project:
/// installed as PREFIX/bin or PREFIX/lib[/ARCH], or built as TREE/build/PRESET/bin or lib. FileError that
/// lists where it was looked for.
std::filesystem::path find_default_model(const std::filesystem::path& folder);

/// Where the library or program lies that this is part of; empty if that cannot be told.
std::filesystem::path own_folder();

}  // namespace sam2unet
