#include "sam2unet/devices.h"

#include "api/cuda_plugin.h"
#include "api/device.h"
#include "api/make_backend.h"
#include "api/torch_plugin.h"
#include "model/weight_source.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

using api::DeviceKind;

std::string description_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "this processor, by the library's own kernels";
    case DeviceKind::cuda:
      return "an NVIDIA GPU, by kernels of our own";
    case DeviceKind::cuda_torch:
      return "an NVIDIA GPU, by LibTorch";
    case DeviceKind::torch_cpu:
      return "this processor, by LibTorch";
  }
  return {};
}

// What speaks against it without loading anything.
std::string missing_for(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return {};
    case DeviceKind::cuda:
      return api::missing_cuda_plugin();
    case DeviceKind::cuda_torch:
    case DeviceKind::torch_cpu:
      return api::missing_torch_plugin();
  }
  return {};
}

void try_it(DeviceInfo& device) {
  try {
    model::DeterministicWeights weights;
    SegmenterOptions options;
    options.device = device.name;
    device.arithmetic =
        api::make_backend(weights, model::Config::of_variant("t"), options)->info().arithmetic;
  } catch (const Error& e) {
    device.problem = e.what();
  }
}

}  // namespace

std::vector<DeviceInfo> devices(DeviceSearch search) {
  // LibTorch looks for GPUs once in a process, so the devices of a GPU come before "torch-cpu".
  std::vector<DeviceInfo> out;
  for (const DeviceKind kind : api::kDeviceKinds) {
    DeviceInfo d;
    d.name = name_of(kind);
    d.description = description_of(kind);
    const auto precisions = api::precisions_of(kind);
    d.precisions.assign(precisions.begin(), precisions.end());
    d.problem = missing_for(kind);
    if (d.usable() && search == DeviceSearch::tried) try_it(d);
    out.push_back(std::move(d));
  }
  return out;
}

}  // namespace sam2unet
