// --device and --precision, of the commands that run the network.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision);

/// "computes bf16 by AVX512-BF16 on cpu"
std::string words_of(const SegmenterInfo& info);

/// --batch N (0: what is fastest on the device) and --fit (empty: as the weights were trained).
void add_batch_options(CLI::App& command, int& batch, std::string& fit);

}  // namespace sam2unet::cli
