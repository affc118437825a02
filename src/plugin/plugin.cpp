// libsam2unet_torch.so: what the library asks of LibTorch.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "api/torch_plugin.h"
#include "ops/torch/device.h"
#include "ops/torch/torch_errors.h"
#include "plugin/torch_backend.h"
#include "sam2unet/errors.h"
#include "train/golden.h"

namespace sam2unet::plugin {
namespace {

class Plugin final : public api::TorchPlugin {
 public:
  std::unique_ptr<api::Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                             const SegmenterOptions& options) override {
    return ops::with_own_errors([&] { return std::make_unique<TorchBackend>(source, config, options); });
  }

  bool verify_training(const std::filesystem::path& path, const VerifyOptions& options,
                       const std::function<void(const VerifyCheck&)>& report) override {
    const auto device = find_torch_device(options.device);
    if (options.threads > 0) at::set_num_threads(options.threads);
    const auto file = formats::TensorFile::open(path);
    const auto checks = ops::with_own_errors(
        [&] { return train::check_training_golden(file, at::kDouble, device).checks(); });
    bool ok = true;
    for (const VerifyCheck& c : checks) {
      ok = ok && c.ok();
      report(c);
    }
    return ok;
  }
};

api::TorchPlugin* instance() {
  static Plugin plugin;
  return &plugin;
}

}  // namespace

extern "C" __attribute__((visibility("default")))
const api::TorchPluginEntry sam2unet_torch_plugin{SAM2UNET_VERSION, &instance};

}  // namespace sam2unet::plugin
