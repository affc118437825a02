// --device and --precision, of the commands that run the network.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision);

/// "computes bf16 by AVX512-BF16 on cpu"
std::string words_of(const SegmenterInfo& info);

/// From so many on the network is made ready for many; also what stands for a folder that was not counted.
inline constexpr std::size_t kManyPictures = 16;
/// --streams N|auto, of the commands that see many pictures.
void add_streams_option(CLI::App& command, std::string& streams);
/// SegmenterOptions::streams for so many pictures. UsageError.
int streams_of(const std::string& streams, std::size_t pictures);

/// --batch N (0: what is fastest on the device) and --fit (empty: as the weights were trained).
void add_batch_options(CLI::App& command, int& batch, std::string& fit);

}  // namespace sam2unet::cli
