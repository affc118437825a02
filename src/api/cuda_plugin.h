// What the plug-in libsam2unet_cuda.so (src/cuda_plugin) does for the library, which itself links nothing of
// CUDA: the network on a GPU by kernels of our own.
#pragma once

#include <memory>
#include <string>

#include "api/backend.h"
#include "model/config.h"
#include "model/weight_source.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

/// The plug-in's one symbol.
struct CudaPluginEntry {
  const char* version;  ///< that it was built for
  /// For the devices "cuda" and "cuda:N", and each precision of `precisions_of(DeviceKind::cuda)`, never
  /// `automatic`. UnavailableError that says what this machine lacks: a driver, a GPU, one of its number.
  std::unique_ptr<Backend> (*make_backend)(model::WeightSource& source, const model::Config& config,
                                           const SegmenterOptions& options);
};
inline constexpr const char* kCudaPluginEntry = "sam2unet_cuda_plugin";

/// As `missing` of api/plugin.h.
std::string missing_cuda_plugin();
/// Loads it. UnavailableError that begins with `purpose` if it is not installed, not loadable or of another
/// version.
const CudaPluginEntry& cuda_plugin(const std::string& purpose);

}  // namespace sam2unet::api
