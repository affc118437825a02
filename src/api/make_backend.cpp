#include "api/make_backend.h"

#include <fmt/format.h>

#include "api/cpu_backend.h"
#include "api/torch_plugin.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {

std::unique_ptr<Backend> make_backend(model::WeightSource& source, const model::Config& config,
                                      const SegmenterOptions& options) {
  config.validate();
  if (options.device == "cpu") {
    if (options.precision == Precision::bf16 || options.precision == Precision::int8)
      return make_low_backend(source, config, options.threads, options.precision);
    return make_cpu_backend(source, config, options.threads);
  }
  if (options.device != "torch-cpu" && !options.device.starts_with("cuda")) {
    throw UsageError(fmt::format("device {}: must be cpu, cuda, cuda:N or torch-cpu", options.device));
  }
  if (options.precision == Precision::int8) {
    throw UsageError(fmt::format(
        "precision int8: the device {} computes in f32 or bf16; choose the device cpu", options.device));
  }
  return torch_plugin(fmt::format("device {}", options.device)).make_backend(source, config, options);
}

}  // namespace sam2unet::api
