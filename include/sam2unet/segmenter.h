// Load SAM2-UNet weights, segment pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// What the network's values are computed in.
enum class Precision {
  automatic,  ///< f32 on the CPU, bf16 on a GPU
  f32,
  bf16,
};

struct SegmenterOptions {
  /// Threads used for one picture; 0 means all cores, or as many as OMP_NUM_THREADS says.
  int threads = 0;
  /// "cpu" is this library's own backend. "cuda" and "cuda:N" (a GPU) and "torch-cpu" run on LibTorch and
  /// need the training component beside the library; pictures segmented at the same time wait for each other
  /// there. LibTorch looks for GPUs once in a process: ask for "cuda" before anything ran on "torch-cpu".
  std::string device = "cpu";
  /// bf16 keeps 8 bits of each value, and needs a device on LibTorch.
  Precision precision = Precision::automatic;
};

/// Height and width, in pixels. The network takes multiples of 32.
struct InputSize {
  int height = 352;
  int width = 352;
};

struct SegmentOptions {
  /// The picture is resized to this before the network sees it, as the reference does. A side of 0 is that of
  /// Segmenter::input_size().
  InputSize size = {0, 0};
  /// Everything as the reference's test.py: per-picture min-max stretch of the probabilities.
  bool official = false;
  PillowVersion pillow = PillowVersion::v12;
};

/// One segmented picture.
struct Segmentation {
  int width = 0;  ///< of the picture that was given
  int height = 0;
  /// [height, width] probability in [0, 1] at the picture's own size (stretched where `official` was asked
  /// for).
  std::vector<float> map;
  InputSize logits_size;
  /// [logits_size.height, logits_size.width] the network's own output, before the sigmoid.
  std::vector<float> logits;

  /// The map as 8 bits: truncated, as the reference writes it, if `official`; else rounded.
  SAM2UNET_API Image to_gray(bool official = false) const;
};

/// Owns packed weights. Movable, not copyable; `segment` may be called from several threads at once.
class SAM2UNET_API Segmenter {
 public:
  /// Reads safetensors or PyTorch .pth/.pt. FileError, FormatError, or WeightsError naming the tensor;
  /// UnavailableError that says what is missing for `device`.
  explicit Segmenter(const std::filesystem::path& weights, const SegmenterOptions& options = {});
  ~Segmenter();
  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;

  /// Segments a gray, RGB or RGBA picture (alpha is dropped). UsageError if the size is no multiple of 32;
  /// WeightsError if the network's result holds NaN or infinity.
  Segmentation segment(const ImageView& picture, const SegmentOptions& options = {}) const;

  /// What the weights were trained at where their file says so (metadata "input_size", which `sam2unet train`
  /// writes), else 352x352, the reference's.
  InputSize input_size() const;

  /// "t", "s", "b+", "l" or "custom".
  const std::string& variant() const;
  /// What a user may want to know of the weight file, one line each: tensors that were left out.
  const std::vector<std::string>& notes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The model that comes with the program: beside the build tree or the installation.
/// FileError that lists where it was looked for if it is nowhere.
SAM2UNET_API std::filesystem::path default_model_path();

}  // namespace sam2unet
