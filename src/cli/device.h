// --device and --precision, of the commands that run the network.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision);

}  // namespace sam2unet::cli
