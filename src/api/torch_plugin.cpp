#include "api/torch_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string_view>

#include "sam2unet/errors.h"
#include "sam2unet/version.h"

namespace sam2unet::api {
namespace {

constexpr const char* kFile = "libsam2unet_torch.so";

// LibTorch brings its own BLAS; without DEEPBIND its calls would go to the reference one where a program has
// that loaded (30 times the time for a picture). Sanitizers refuse that flag.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kLoading = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kLoading = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

// Beside this library, where it is built and installed.
std::filesystem::path file_beside_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&torch_plugin), &info) == 0 || info.dli_fname == nullptr)
    return kFile;
  return std::filesystem::absolute(info.dli_fname).parent_path() / kFile;
}

TorchPlugin& load(const std::string& purpose) {
  const auto file = file_beside_library();
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    throw UnavailableError(
        fmt::format("{} needs the training component, which is not installed ({} is missing); build it with "
                    "scripts/torch.sh, then "
                    "cmake --preset release -DSAM2UNET_BUILD_TRAIN=ON and cmake --build --preset release",
                    purpose, file.string()));
  }
  void* library = ::dlopen(file.c_str(), kLoading);  // stays loaded: LibTorch cannot be unloaded
  if (library == nullptr) {
    throw UnavailableError(
        fmt::format("{} needs the training component, which cannot be loaded: {}; is LibTorch still where it "
                    "was when it was built?",
                    purpose, ::dlerror()));
  }
  const auto* entry = static_cast<const TorchPluginEntry*>(::dlsym(library, kTorchPluginEntry));
  if (entry == nullptr || std::string_view(entry->version) != version()) {
    throw UnavailableError(
        fmt::format("{}: {} is of version {}, the library of {}; install both from one build", purpose,
                    file.string(), entry == nullptr ? "unknown" : entry->version, version()));
  }
  return *entry->instance();
}

}  // namespace

TorchPlugin& torch_plugin(const std::string& purpose) {
  static TorchPlugin& plugin = load(purpose);  // tried again if it throws
  return plugin;
}

}  // namespace sam2unet::api
