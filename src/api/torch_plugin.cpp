#include "api/torch_plugin.h"

#include "api/plugin.h"

namespace sam2unet::api {
namespace {

// LibTorch brings its own BLAS; bound otherwise its calls would go to the reference one where a program has
// that loaded (30 times the time for a picture).
constexpr PluginFile kFile = {
    .file = "libsam2unet_torch.so",
    .entry = kTorchPluginEntry,
    .component = "the training component",
    .how_to_build =
        "build it with scripts/torch.sh, then cmake --preset release -DSAM2UNET_BUILD_TRAIN=ON and "
        "cmake --build --preset release",
    .if_unloadable = "is LibTorch still where it was when it was built?",
    .binds_deep = true,
};

}  // namespace

bool has_torch_plugin() {
  return is_installed(kFile);
}

std::string missing_torch_plugin() {
  return missing(kFile);
}

TorchPlugin& torch_plugin(const std::string& purpose) {
  // Tried again if it throws.
  static TorchPlugin& plugin = *static_cast<const TorchPluginEntry*>(load_plugin(kFile, purpose))->instance();
  return plugin;
}

}  // namespace sam2unet::api
