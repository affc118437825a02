#include "api/make_backend.h"

#include <fmt/format.h>

#include "api/cpu_backend.h"
#include "api/cuda_plugin.h"
#include "api/device.h"
#include "api/torch_plugin.h"

namespace sam2unet::api {

std::unique_ptr<Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                      const SegmenterOptions& asked, const std::vector<std::string>& kept) {
  config.validate();
  const Device device = parse_device(asked.device);
  SegmenterOptions options = asked;
  options.precision = precision_on(device.kind, asked.precision);
  const std::string purpose = fmt::format("device {}", asked.device);
  switch (device.kind) {
    case DeviceKind::cpu: {
      const ThreadShares shares = thread_shares(options);
      if (options.precision == Precision::f32) return make_cpu_backend(source, config, shares);
      return make_low_backend(source, config, shares,
                              ops::lowp::best_numerics(low_precision(options.precision)), kept);
    }
    case DeviceKind::cuda:
      return cuda_plugin(purpose).make_backend(source, config, options);
    case DeviceKind::cuda_torch:
    case DeviceKind::torch_cpu:
      break;
  }
  return torch_plugin(purpose).make_backend(source, config, options);
}

}  // namespace sam2unet::api
