// Feeds the same deterministic values to a backend and to the plain reference, and compares.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "model/weight_source.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/lowp/low_ops.h"
#include "ops/plain/plain_ops.h"
#ifdef SAM2UNET_HAS_CUDA
#include "ops/cuda/cuda_ops.h"
#endif

namespace sam2unet::ops::test {

inline PlainTensor plain_input(const std::string& name, const Extent& e) {
  PlainTensor t(e);
  t.data = model::deterministic_values(name, e.numel());
  for (double& v : t.data) v *= 2.0;
  return t;
}

/// The same values on another backend.
template <class O>
typename O::Tensor to(O& o, const PlainTensor& t) {
  auto out = o.make(t.extent);
  std::transform(t.data.begin(), t.data.end(), out.data(), [](double v) { return static_cast<float>(v); });
  return out;
}

#ifdef SAM2UNET_HAS_CUDA
inline cuda::CudaTensor to(cuda::CudaOps& o, const PlainTensor& t) {
  const std::vector<float> values(t.data.begin(), t.data.end());
  cuda::CudaTensor wide = o.make(t.extent, cuda::Element::f32);
  o.finish();  // whoever had this memory before is done with it
  cuda::copy_now(wide.data, values.data(), values.size() * sizeof(float));
  return o.converted(wide);
}
struct HostValues {
  Extent shape;
  std::vector<float> values;
  const Extent& extent() const { return shape; }
  const float* data() const { return values.data(); }
};
inline HostValues plain_values(cuda::CudaOps& o, const cuda::CudaTensor& t) {
  const cuda::CudaTensor wide = o.to_float(t);
  HostValues host{t.shape, std::vector<float>(static_cast<std::size_t>(t.shape.numel()))};
  o.finish();
  cuda::copy_now(host.values.data(), wide.data, host.values.size() * sizeof(float));
  return host;
}
#endif

inline const CpuTensor& plain_values(CpuOps&, const CpuTensor& t) {
  return t;
}
inline lowp::LowTensor plain_values(lowp::LowOps& o, const lowp::LowTensor& t) {
  return o.to_f32(t);
}

/// Weights that bfloat16 holds exactly.
class RoundedWeights : public model::WeightSource {
 public:
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> values) const override {
    source_.read(name, shape, first, values);
    for (float& v : values) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &v, sizeof bits);
      bits &= 0xFFFF0000U;
      std::memcpy(&v, &bits, sizeof v);
    }
  }

 private:
  model::DeterministicWeights source_;
};

/// Largest difference, relative to the reference's range.
template <class Tensor>
double relative_error(const Tensor& got, const PlainTensor& want) {
  EXPECT_EQ(got.extent().b, want.extent.b);
  EXPECT_EQ(got.extent().h, want.extent.h);
  EXPECT_EQ(got.extent().w, want.extent.w);
  EXPECT_EQ(got.extent().c, want.extent.c);
  if (got.extent() != want.extent || want.data.empty()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.data.begin(), want.data.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < want.data.size(); ++i) {
    const double d = std::abs(static_cast<double>(got.data()[i]) - want.data[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  // A constant result has no range; then relative to its size.
  return worst / std::max(*high > *low ? *high - *low : std::abs(*high), 1e-30);
}

}  // namespace sam2unet::ops::test
