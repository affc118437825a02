// The whole network by the CUDA backend, its kernels on the emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "emulated/ops/cuda/start.h"
#include "model/network.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/plain/plain_ops.h"

namespace sam2unet::ops::cuda {
namespace {

const char* const tiny[] = {
    // Head widths with and without kernels on matrix units, cut windows, a global block.
    R"({"embed_dim": 16, "num_heads": 1, "stages": [1, 2, 2, 1], "global_att_blocks": [3]})",
    R"({"embed_dim": 24, "num_heads": 1, "stages": [1, 1, 1, 1], "global_att_blocks": []})",
    R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": [], "adapter_width": 7, "decoder_width": 24})",
    R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": [], "neck": "1x1", "out_channels": 3})",
};

PlainTensor picture(const Extent& e) {
  PlainTensor t(e);
  t.data = model::deterministic_values("image", e.numel());
  for (double& v : t.data) v *= 2;
  return t;
}

double relative_error(const std::vector<float>& got, const PlainTensor& want) {
  if (got.size() != want.data.size()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.data.begin(), want.data.end());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(static_cast<double>(got[i]) - want.data[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst / (*high - *low);
}

std::vector<float> values_of(CudaOps& o, const CudaTensor& t) {
  const CudaTensor wide = o.to_float(t);
  const auto* first = reinterpret_cast<const float*>(wide.data);
  return {first, first + t.shape.numel()};
}

CudaTensor upload(CudaOps& o, const PlainTensor& t) {
  const std::vector<float> values(t.data.begin(), t.data.end());
  CudaTensor x = o.make(t.extent, Element::f32);
  copy_now(x.data, values.data(), values.size() * sizeof(float));
  return x;
}

TEST(EmulatedBackend, NetworksAreThePlainOnes) {
  for (const char* json : tiny) {
    const auto config = model::Config::from_json(json);
    const auto image = picture({1, 64, 32, 3});
    model::DeterministicWeights source;
    PlainWeights plain_weights(source);
    const auto plain = model::Network<PlainWeights>::make(plain_weights, config);
    PlainOps p;
    const auto want = model::sam2unet(p, plain, image);
    for (const Element e : {Element::f32, Element::bf16, Element::f16}) {
      SCOPED_TRACE(std::string(json) + " element " + std::to_string(static_cast<int>(e)));
      const DeviceInfo device = find_device("cuda");
      prepare_kernels(device.limits);
      DeviceStore store;
      CudaWeights weights(source, store, e);
      const auto net = model::Network<CudaWeights>::make(weights, config);
      CudaOps o(device, e);
      const auto got = model::sam2unet(o, net, upload(o, image));
      EXPECT_LT(relative_error(values_of(o, got.out), want.out), e == Element::f32    ? 1e-5
                                                                 : e == Element::bf16 ? 5e-2
                                                                                      : 1e-2);
    }
  }
}

TEST(EmulatedBackend, ARecordedPassRepeatsItsBitsForOtherPictures) {
  const auto config = model::Config::from_json(tiny[0]);
  model::DeterministicWeights source;
  const DeviceInfo device = find_device("cuda");
  prepare_kernels(device.limits);
  DeviceStore store;
  CudaWeights weights(source, store, Element::bf16);
  const auto net = model::Network<CudaWeights>::make(weights, config);
  CudaOps o(device, Element::bf16);
  const Extent e{2, 32, 32, 3};
  Memory bytes(static_cast<std::size_t>(e.numel()), MemoryKind::device);
  const auto fill = [&](unsigned factor) {
    for (std::size_t i = 0; i < bytes.bytes(); ++i) bytes.data()[i] = static_cast<std::byte>(i * factor >> 3);
  };
  const auto image = o.pictures(reinterpret_cast<const std::uint8_t*>(bytes.data()), e);
  const auto at_once = [&] { return values_of(o, model::sam2unet(o, net, image).out); };
  fill(7);
  const auto first = at_once();
  fill(11);
  const auto second = at_once();
  ASSERT_NE(first, second);

  const std::size_t memory = o.arena_bytes();
  CudaTensor out;
  const auto graph = o.stream().record([&] { out = o.to_float(model::sam2unet(o, net, image).out); });
  EXPECT_EQ(o.arena_bytes(), memory) << "a pass of a known size takes no memory";
  const auto replayed = [&] {
    graph->launch();
    const auto* values = reinterpret_cast<const float*>(out.data);
    return std::vector<float>(values, values + out.shape.numel());
  };
  EXPECT_EQ(replayed(), second);
  fill(7);
  EXPECT_EQ(replayed(), first);
}

TEST(EmulatedBackend, ThePassesOfABatchAreThoseOfItsPictures) {
  const auto config = model::Config::from_json(tiny[0]);
  model::DeterministicWeights source;
  const DeviceInfo device = find_device("cuda");
  prepare_kernels(device.limits);
  DeviceStore store;
  CudaWeights weights(source, store, Element::f16);
  const auto net = model::Network<CudaWeights>::make(weights, config);
  CudaOps o(device, Element::f16);
  const auto both = picture({2, 32, 32, 3});
  PlainTensor second({1, 32, 32, 3});
  std::copy_n(both.data.end() - 32 * 32 * 3, 32 * 32 * 3, second.data.begin());
  const auto of_both = values_of(o, model::sam2unet(o, net, upload(o, both)).out);
  const auto alone = values_of(o, model::sam2unet(o, net, upload(o, second)).out);
  // Other tiles may be chosen for another number of rows: their sums have the same order.
  EXPECT_EQ(std::vector<float>(of_both.end() - 32 * 32, of_both.end()), alone);
}

}  // namespace
}  // namespace sam2unet::ops::cuda
