// Measures what lower precisions do to the maps of given weights, and what int8 had better leave alone.
#pragma once

#include <filesystem>

#include "model/gates.h"
#include "sam2unet/weights.h"

namespace sam2unet::api {

/// Compares bf16 and int8 with float32 on `options.pictures` by the instructions that round most here. Needs
/// memory for three networks. FileError, ImageError; WeightsError if the file cannot predict.
model::PrecisionGates measure_gates(const std::filesystem::path& weights, const GateOptions& options);

}  // namespace sam2unet::api
