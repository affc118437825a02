// Weight files: what one holds, and conversion between formats and precisions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sam2unet/export.h"

namespace sam2unet {

/// What was measured of a precision on the CPU: the mean over all pixels of all pictures of the maps' change
/// against float32 (of several classes, of the one that changes most).
struct MeasuredPrecision {
  std::string precision;  ///< "bf16" or "int8"
  double change = 0.0;
  double limit = 0.0;  ///< up to which Precision::automatic may take it
  bool passed() const { return change <= limit; }
};

struct WeightsInfo {
  std::string format;    ///< "safetensors", "PyTorch", "PyTorch (stream format of before 1.6)"
  std::string contents;  ///< "full SAM2-UNet", "SAM2 trunk", "SAM2.1 trunk", "Hiera trunk",
                         ///< "task-only SAM2-UNet", "incomplete SAM2-UNet" or "unknown"
  std::string variant;   ///< "t", "s", "b+", "l", "custom", or empty where it cannot be told
  std::string usable_for;
  int out_channels = 0;  ///< 1 for one foreground, else the number of classes; 0 where it cannot be told
  /// What differs from the original behind the trunk: "adapter width 72 instead of 32".
  std::vector<std::string> differences;
  std::string config;           ///< JSON of the network's configuration, or empty
  std::string wrapper;          ///< key under which the tensors lay in a pickle, or empty
  std::uint64_t file_size = 0;  ///< bytes
  std::int64_t parameters =
      0;  ///< elements of floating-point and int8 tensors that are not running statistics
  std::int64_t trainable = 0;                   ///< of those, what the official recipe trains
  std::map<std::string, std::int64_t> dtypes;   ///< "f32", "f16", "int8", ... -> number of tensors
  std::map<std::string, std::int64_t> parts;    ///< "trunk", "adapters", ..., "other" -> parameters
  std::map<std::string, std::string> metadata;  ///< of a safetensors file
  struct Tensor {
    std::string name, dtype;
    std::vector<std::int64_t> shape;
  };
  std::vector<Tensor> tensors;
  std::vector<std::string> missing, misshapen, unexpected;  ///< against the full network, with shapes
  std::vector<std::string> left_out;        ///< tensors of a training tool or a loss, beside the network
  std::vector<std::string> passed_over;     ///< objects beside the tensors: "omegaconf.dictconfig.DictConfig"
  std::vector<std::string> not_finite;      ///< tensors that hold NaN or infinity, or a negative variance
  std::vector<MeasuredPrecision> measured;  ///< what the file says of lower precisions, if anything
  int measured_pictures = 0;                ///< on so many
  std::vector<std::string> kept_in_bf16;    ///< layers that int8 leaves in bf16: "encoder.blocks.3.block.mlp"
  std::string measured_problem;             ///< why that does not count, in words
};

/// Reads the file once, its numbers too. It may be told by a model's name (models.h), here and below.
/// FileError or FormatError.
SAM2UNET_API WeightsInfo inspect_weights(const std::filesystem::path& file);
/// An object with the members' names; `config` is an object too, or null. Bytes of names that are no UTF-8
/// are replaced.
SAM2UNET_API std::string to_json(const WeightsInfo& info);

enum class WeightsPrecision {
  keep,
  f32,
  f16,
  bf16,
  int8,  ///< weights only, symmetric per output channel, with float32 scales; the rest float32. safetensors
         ///< only
};

/// What int8 may leave in bf16.
enum class KeepLayers {
  none,
  as_needed,  ///< the layers that change the maps most, until those of some of the pictures change by little
};

struct GateOptions {
  /// Folder or pattern of pictures like those that will be predicted. They need no masks.
  std::filesystem::path pictures;
  KeepLayers keep = KeepLayers::none;
  int threads = 0;  ///< 0 means all cores
  /// What is counted, how many of them are done, and of how many: "layers of int8", 3, 52. In the calling
  /// thread.
  std::function<void(const std::string& what, std::size_t done, std::size_t total)> progress = {};
};

struct ConvertOptions {
  WeightsPrecision precision = WeightsPrecision::keep;
  /// Leave the frozen trunk out: adapters, RFB, decoder and heads.
  bool task_only = false;
  /// Where the trunk of a task-only input comes from: SAM2, SAM2.1, or any SAM2-UNet of the same variant.
  std::filesystem::path trunk;
  /// Compare bf16 and int8 with float32 on pictures, and store the result in the file: Precision::automatic
  /// follows it. .safetensors of a whole SAM2-UNet only. Needs memory for three networks. ImageError.
  std::optional<GateOptions> measured = {};
};

/// Writes `out`, whose extension decides the format: .safetensors, or .pth/.pt as PyTorch's `torch.load`
/// reads it. Of a SAM2-UNet its own tensors, of a SAM2 checkpoint all of them. Needs memory for one tensor.
/// Returns notes, one line each, on what a user of the result may stumble over. FileError, FormatError,
/// UsageError, WeightsError (wrong variant, nothing of a SAM2-UNet in it, a value that the precision cannot
/// hold, a trunk that is not the one the task part was trained on).
SAM2UNET_API std::vector<std::string> convert_weights(const std::filesystem::path& in,
                                                      const std::filesystem::path& out,
                                                      const ConvertOptions& options = {});

}  // namespace sam2unet
