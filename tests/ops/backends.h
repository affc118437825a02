// Feeds the same deterministic values to a backend and to the plain reference, and compares.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "model/weight_source.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/plain/plain_ops.h"

namespace sam2unet::ops::test {

inline PlainTensor plain_input(const std::string& name, const Extent& e) {
  PlainTensor t(e);
  t.data = model::deterministic_values(name, e.numel());
  for (double& v : t.data) v *= 2.0;
  return t;
}

inline CpuTensor to_cpu(CpuOps& o, const PlainTensor& t) {
  CpuTensor out = o.make(t.extent);
  std::transform(t.data.begin(), t.data.end(), out.data(), [](double v) { return static_cast<float>(v); });
  return out;
}

/// Largest difference, relative to the reference's range.
inline double relative_error(const CpuTensor& got, const PlainTensor& want) {
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
