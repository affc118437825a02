#include "ops/torch/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "ops/torch/torch_errors.h"
#include "sam2unet/errors.h"

namespace sam2unet::ops {
namespace {

namespace fs = std::filesystem;

// Beside the libtorch_cpu that is loaded.
fs::path cuda_library() {
  const link_map* map = nullptr;
  void* cpu = ::dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  if (cpu == nullptr || ::dlinfo(cpu, RTLD_DI_LINKMAP, &map) != 0) return "libtorch_cuda.so";
  return fs::path(map->l_name).parent_path() / "libtorch_cuda.so";
}

// libtorch_cuda registers itself when it is loaded; it is not linked, so that machines without it can train.
void load_cuda(const std::string& called) {
  const fs::path library = cuda_library();
  std::error_code ignored;
  if (library.is_absolute() && !fs::exists(library, ignored)) {
    throw UnavailableError(
        fmt::format("{}: the LibTorch in {} was made without CUDA; install another "
                    "with scripts/torch.sh --cuda",
                    called, library.parent_path().string()));
  }
  if (::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    throw UnavailableError(
        fmt::format("{}: LibTorch's CUDA library cannot be loaded ({}); install what it needs with "
                    "scripts/torch.sh --cuda",
                    called, ::dlerror()));
  }
}

}  // namespace

OwnStream::OwnStream(c10::Device device) {
  if (!device.is_cuda()) return;
  const c10::impl::VirtualGuardImpl cuda(device.type());
  cuda.synchronizeStream(cuda.getStream(device));  // which may still work for this one
  guard_.emplace(cuda.getStreamFromGlobalPool(device));
}

c10::Device find_device(const std::string& name, const std::string& called) {
  if (name == "cpu") return c10::kCPU;
  int index = 0;
  const std::string_view number = std::string_view(name).substr(std::min<std::size_t>(name.size(), 5));
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), index);
  const bool is_numbered = name.starts_with("cuda:") && parsed.ec == std::errc() &&
                           parsed.ptr == name.data() + name.size() && index >= 0;
  if (name != "cuda" && !is_numbered) {
    throw UsageError(fmt::format("{}: must be cpu, cuda or cuda:N", called));
  }
  load_cuda(called);
  const auto gpus = with_own_errors([] { return at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0; });
  if (gpus == 0) {
    throw UnavailableError(
        fmt::format("{}: LibTorch finds no GPU on this machine; is NVIDIA's driver installed?", called));
  }
  if (index >= gpus) {
    throw UnavailableError(
        fmt::format("{}: this machine has {} GPU{}, counted from 0", called, gpus, gpus == 1 ? "" : "s"));
  }
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

}  // namespace sam2unet::ops
