// How devices are called, and what each computes in.
#include "api/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet::api {
namespace {

TEST(DeviceNames, AreOfAKindAndANumber) {
  const std::vector<std::pair<const char*, std::pair<DeviceKind, int>>> names = {
      {"cpu", {DeviceKind::cpu, 0}},
      {"cuda", {DeviceKind::cuda, 0}},
      {"cuda:0", {DeviceKind::cuda, 0}},
      {"cuda:3", {DeviceKind::cuda, 3}},
      {"cuda-torch", {DeviceKind::cuda_torch, 0}},
      {"cuda-torch:12", {DeviceKind::cuda_torch, 12}},
      {"torch-cpu", {DeviceKind::torch_cpu, 0}}};
  for (const auto& [name, want] : names) {
    EXPECT_EQ(parse_device(name).kind, want.first) << name;
    EXPECT_EQ(parse_device(name).index, want.second) << name;
  }
  for (const DeviceKind kind : kDeviceKinds) EXPECT_EQ(parse_device(std::string(name_of(kind))).kind, kind);
  for (const std::string wrong :
       {"", "gpu", "CPU", "cpu:0", "torch-cpu:1", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda: 1", "cuda1",
        "cuda:99999999999", "cuda-torch:", "cuda-torch:-2", " cpu"}) {
    EXPECT_EQ(test::message_of<UsageError>([&] { parse_device(wrong); }),
              "device " + wrong + ": must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu");
  }
}

// The first is what is meant where nothing is said; of others is told what there is, and where.
TEST(DevicePrecisions, AreWhatTheDeviceHas) {
  for (const auto& [kind, usual] : {std::pair(DeviceKind::cpu, Precision::f32),
                                    {DeviceKind::cuda, Precision::bf16},
                                    {DeviceKind::cuda_torch, Precision::bf16},
                                    {DeviceKind::torch_cpu, Precision::f32}}) {
    EXPECT_EQ(precision_on(kind, Precision::standard), usual) << name_of(kind);
    EXPECT_EQ(precision_on(kind, Precision::automatic), usual) << name_of(kind);
    for (const Precision p : precisions_of(kind)) EXPECT_EQ(precision_on(kind, p), p) << name_of(kind);
  }
  const auto says = [](DeviceKind kind, Precision wanted) {
    return test::message_of<UsageError>([&] { precision_on(kind, wanted); });
  };
  EXPECT_EQ(says(DeviceKind::cpu, Precision::f16),
            "precision f16: the device cpu computes in f32, bf16 or int8; for f16 choose the device cuda");
  EXPECT_EQ(
      says(DeviceKind::cpu, Precision::tf32),
      "precision tf32: the device cpu computes in f32, bf16 or int8; for tf32 choose the device cuda-torch");
  EXPECT_EQ(says(DeviceKind::cuda, Precision::int8),
            "precision int8: the device cuda computes in bf16, f32 or f16; for int8 choose the device cpu");
  EXPECT_EQ(
      says(DeviceKind::cuda_torch, Precision::f16),
      "precision f16: the device cuda-torch computes in bf16, f32 or tf32; for f16 choose the device cuda");
  EXPECT_EQ(says(DeviceKind::torch_cpu, Precision::int8),
            "precision int8: the device torch-cpu computes in f32 or bf16; for int8 choose the device cpu");
}

}  // namespace
}  // namespace sam2unet::api
