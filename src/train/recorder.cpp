#include "train/recorder.h"

#include <dlfcn.h>

#include <filesystem>

namespace sam2unet::train {

std::unique_ptr<Recorder> make_cuda_recorder(std::string& why) {
  std::error_code none;
  const auto module = std::filesystem::read_symlink("/proc/self/exe", none).parent_path() / kGraphModule;
  void* library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* make = library == nullptr ? nullptr : ::dlsym(library, kMakeRecorder);
  if (make != nullptr) return std::unique_ptr<Recorder>(reinterpret_cast<MakeRecorder*>(make)());
  const char* reason = ::dlerror();
  why = reason == nullptr ? module.string() : reason;
  return nullptr;
}

}  // namespace sam2unet::train
