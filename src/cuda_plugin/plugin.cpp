// libsam2unet_cuda.so: what the library asks of an NVIDIA GPU.
#include "api/cuda_plugin.h"
#include "cuda_plugin/cuda_backend.h"

namespace sam2unet::cuda_plugin {
namespace {

std::unique_ptr<api::Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                           const SegmenterOptions& options) {
  return std::make_unique<CudaBackend>(source, config, options);
}

}  // namespace

extern "C" __attribute__((visibility("default")))
const api::CudaPluginEntry sam2unet_cuda_plugin{SAM2UNET_VERSION, &make_backend};

}  // namespace sam2unet::cuda_plugin
