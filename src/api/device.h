// The devices that a network can run on, by the names users give them.
#pragma once

#include <array>
#include <span>
#include <string>

#include "sam2unet/segmenter.h"

namespace sam2unet::api {

enum class DeviceKind {
  cpu,         ///< the library's own backend
  cuda,        ///< a GPU by the plug-in of our own kernels
  cuda_torch,  ///< a GPU by the plug-in on LibTorch
  torch_cpu,   ///< the processor by the plug-in on LibTorch
};
inline constexpr std::array kDeviceKinds = {DeviceKind::cpu, DeviceKind::cuda, DeviceKind::cuda_torch,
                                            DeviceKind::torch_cpu};

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  ///< of a GPU
};

/// "cpu", "cuda", "cuda-torch", "torch-cpu"
std::string_view name_of(DeviceKind kind);
/// Of those names and "cuda:N", "cuda-torch:N". UsageError for any other.
Device parse_device(const std::string& name);

/// What the device can compute in; the first is what `standard` means there.
std::span<const Precision> precisions_of(DeviceKind kind);
/// The precision in effect, never `automatic`, which is `standard` where nothing is known of the weights, or
/// `standard`. UsageError that tells what there is instead.
Precision precision_on(DeviceKind kind, Precision wanted);

}  // namespace sam2unet::api
