#include "api/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

constexpr std::array kCpu = {Precision::f32, Precision::bf16, Precision::int8};
constexpr std::array kCuda = {Precision::bf16, Precision::f32, Precision::f16};
constexpr std::array kCudaTorch = {Precision::bf16, Precision::f32, Precision::tf32};
constexpr std::array kTorchCpu = {Precision::f32, Precision::bf16};

// "a, b or c"
std::string list(const std::vector<std::string_view>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", names[i]);
  return out;
}

// -1 where it is none.
int number_in(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

}  // namespace

std::string_view name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      return "cuda";
    case DeviceKind::cuda_torch:
      return "cuda-torch";
    case DeviceKind::torch_cpu:
      return "torch-cpu";
  }
  return "?";
}

Device parse_device(const std::string& name) {
  for (const DeviceKind kind : kDeviceKinds) {
    if (name == name_of(kind)) return {kind, 0};
  }
  for (const DeviceKind kind : {DeviceKind::cuda, DeviceKind::cuda_torch}) {
    const std::string begin = fmt::format("{}:", name_of(kind));
    if (!name.starts_with(begin)) continue;
    const int index = number_in(std::string_view(name).substr(begin.size()));
    if (index >= 0) return {kind, index};
  }
  throw UsageError(
      fmt::format("device {}: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu", name));
}

std::span<const Precision> precisions_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return kCpu;
    case DeviceKind::cuda:
      return kCuda;
    case DeviceKind::cuda_torch:
      return kCudaTorch;
    case DeviceKind::torch_cpu:
      return kTorchCpu;
  }
  return {};
}

Precision precision_on(DeviceKind kind, Precision wanted) {
  const auto there = precisions_of(kind);
  if (wanted == Precision::automatic || wanted == Precision::standard) return there.front();
  if (std::find(there.begin(), there.end(), wanted) != there.end()) return wanted;
  std::vector<std::string_view> precisions, devices;
  for (const Precision p : there) precisions.push_back(sam2unet::name_of(p));
  for (const DeviceKind other : kDeviceKinds) {
    const auto can = precisions_of(other);
    if (std::find(can.begin(), can.end(), wanted) != can.end()) devices.push_back(name_of(other));
  }
  throw UsageError(fmt::format("precision {0}: the device {1} computes in {2}; for {0} choose the device {3}",
                               sam2unet::name_of(wanted), name_of(kind), list(precisions), list(devices)));
}

}  // namespace sam2unet::api
