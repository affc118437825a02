// The network as an ONNX file, for other runtimes: ONNX Runtime, OpenVINO, TensorRT.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sam2unet/export.h"
#include "sam2unet/segmenter.h"

namespace sam2unet {

/// What an ONNX file holds.
enum class OnnxGraph {
  /// The network alone: "image", float32 [batch, 3, H, W], normalised, any batch -> "logits", float32 [batch,
  /// K, H, W].
  core,
  /// A picture in, its maps out: "picture", uint8 RGB [height, width, 3] of any size, resized to the
  /// network's as Pillow
  /// 12 does it, bit for bit -> "map", float32 [K, height, width] (sigmoid; softmax of several classes, with
  /// "ids",
  /// uint8 [height, width], beside it).
  full,
};
/// "core", "full"
SAM2UNET_API std::string_view name_of(OnnxGraph graph);

/// What weights are stored as.
enum class OnnxPrecision {
  f32,
  f16,   ///< activations too; what goes in and comes out stays float32
  int8,  ///< weights only, scaled per output channel (DequantizeLinear); activations are float32
};
/// "f32", "f16", "int8"
SAM2UNET_API std::string_view name_of(OnnxPrecision precision);

struct OnnxOptions {
  OnnxGraph graph = OnnxGraph::core;
  /// What the network sees, fixed in the file; a side of 0 is what the weights were trained at.
  InputSize size = InputSize::square(0);
  OnnxPrecision precision = OnnxPrecision::f32;
};

/// What was written.
struct OnnxSummary {
  std::string variant;  ///< "t", "s", "b+", "l" or "custom"
  InputSize size;
  int channels = 1;  ///< K
  std::size_t nodes = 0;
  std::uint64_t bytes = 0;
  std::string weights_sha256;  ///< of the weight file, also in the metadata
};

/// Writes the network of a weight file (a path, or a model's name: models.h) as ONNX: opset 17, IR version 8,
/// one file. Metadata ("sam2unet.variant", "sam2unet.weights_sha256", "sam2unet.mean" ...) is listed in
/// docs/onnx.md. Needs memory for one tensor. FileError, FormatError, WeightsError; UsageError for a size the
/// network cannot take, a file of more than 2 GiB, an output that is the weight file, or a full graph of
/// weights that were trained on letterboxed pictures.
SAM2UNET_API OnnxSummary export_onnx(const std::filesystem::path& weights, const std::filesystem::path& out,
                                     const OnnxOptions& options = {});

}  // namespace sam2unet
