// What the plug-in libsam2unet_torch.so (src/plugin) does for the library, which itself links no LibTorch. It
// is built with the training component and loaded when it is first needed.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "api/backend.h"
#include "model/config.h"
#include "model/weight_source.h"
#include "sam2unet/segmenter.h"
#include "sam2unet/verify.h"

namespace sam2unet::api {

class TorchPlugin {
 public:
  virtual ~TorchPlugin() = default;
  /// For the devices "cuda-torch", "cuda-torch:N" and "torch-cpu", and the precisions that those have, never
  /// `automatic` or `standard`.
  virtual std::unique_ptr<Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                                const SegmenterOptions& options) = 0;
  /// Repeats the training run of a golden file in float64; whether all checks were ok. On "cuda" too, which
  /// has no training of its own.
  virtual bool verify_training(const std::filesystem::path& file, const VerifyOptions& options,
                               const std::function<void(const VerifyCheck&)>& report) = 0;
};

/// The plug-in's one symbol: the version it was built for, and itself.
struct TorchPluginEntry {
  const char* version;
  TorchPlugin* (*instance)();
};
inline constexpr const char* kTorchPluginEntry = "sam2unet_torch_plugin";

bool has_torch_plugin();
/// As `missing` of api/plugin.h.
std::string missing_torch_plugin();
/// Loads it. UnavailableError that begins with `purpose` if it is not installed, not loadable or of another
/// version.
TorchPlugin& torch_plugin(const std::string& purpose);

}  // namespace sam2unet::api
