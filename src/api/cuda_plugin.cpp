#include "api/cuda_plugin.h"

#include "api/plugin.h"
#include "api/torch_plugin.h"

namespace sam2unet::api {
namespace {

constexpr PluginFile kFile = {
    .file = "libsam2unet_cuda.so",
    .entry = kCudaPluginEntry,
    .component = "the CUDA backend",
    .how_to_build =
        "build it with cmake --preset release -DSAM2UNET_BUILD_CUDA=ON and cmake --build --preset release",
    .if_unloadable = "is the whole of one build installed?",
    .binds_deep = false,
};

}  // namespace

std::string missing_cuda_plugin() {
  return missing(kFile);
}

const CudaPluginEntry& cuda_plugin(const std::string& purpose) {
  // Nothing is run in its place: whoever asked for it would not know what was measured.
  static const CudaPluginEntry& entry = *static_cast<const CudaPluginEntry*>(load_plugin(
      kFile, purpose,
      has_torch_plugin() ? ", or choose the device cuda-torch, which is installed" : std::string()));
  return entry;
}

}  // namespace sam2unet::api
