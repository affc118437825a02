// A prediction and its truth for the tests of the metrics' C API, and their counts by definition.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "capi/calls.h"
#include "sam2unet/s2u_metrics.h"

namespace sam2unet {

inline constexpr int kW = 40, kH = 36, kN = kW * kH;
inline constexpr std::size_t kPoints = 258;
using Counts = std::array<std::int64_t, 4>;  // tp, fp, tn, fn

template <typename T>
s2u_plane plane(const std::vector<T>& values, s2u_type type) {
  s2u_plane p{};
  p.struct_size = sizeof p;
  p.data = values.data();
  p.type = type;
  p.width = kW;
  p.height = kH;
  p.channels = 1;
  p.stride = static_cast<std::ptrdiff_t>(kW * sizeof(T));
  return p;
}

struct Rect {
  int x0, y0, x1, y1;  // inclusive
  bool has(int i) const { return i % kW >= x0 && i % kW <= x1 && i / kW >= y0 && i / kW <= y1; }
};
// Two targets and a part that is too small for one.
inline constexpr Rect kA{3, 3, 12, 10}, kB{25, 20, 34, 30}, kSmall{2, 30, 4, 32};

// The same maps as levels and as doubles.
class CMetrics : public testing::Test {
 protected:
  CMetrics() {
    for (int i = 0; i < kN; ++i) {
      const bool is_truth = kA.has(i) || kB.has(i) || kSmall.has(i);
      levels.push_back(static_cast<std::uint8_t>((i * 37 + i / kW * 11) % 200 + (is_truth ? 55 : 0)));
      truth.push_back(is_truth ? 255 : static_cast<std::uint8_t>(i % 3 == 0 ? 128 : 0));
      boolean.push_back(is_truth ? 1 : 0);
    }
    const auto [low, high] = std::minmax_element(levels.begin(), levels.end());
    for (const std::uint8_t v : levels)
      values.push_back((v / 255.0 - *low / 255.0) / (*high / 255.0 - *low / 255.0));
    for (const double v : values) floats.push_back(static_cast<float>(v));
    for (s2u_pair** p : {&of_levels, &of_doubles, &of_floats}) EXPECT_EQ(told(s2u_pair_new(p)).code, S2U_OK);
    const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), b = plane(boolean, S2U_BOOL),
                    d = plane(values, S2U_F64), f = plane(floats, S2U_F32);
    EXPECT_EQ(told(s2u_pair_set(of_levels, &p, &g)).code, S2U_OK);
    EXPECT_EQ(told(s2u_pair_set(of_doubles, &d, &b)).code, S2U_OK);
    EXPECT_EQ(told(s2u_pair_set(of_floats, &f, &b)).code, S2U_OK);
  }
  ~CMetrics() override {
    for (s2u_pair* p : {of_levels, of_doubles, of_floats}) s2u_pair_free(p);
  }

  // Of what `is_in` takes; elsewhere both maps are 0.
  using Part = std::function<bool(int)>;
  static bool everything(int) { return true; }
  template <typename Predicted>
  Counts counted(const Part& is_in, const Predicted& predicted) const {
    Counts c{};
    for (int i = 0; i < kN; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const bool is_predicted = predicted(is_in(i) ? values[at] : 0.0),
                 is_true = is_in(i) && boolean[at] != 0;
      ++c[is_predicted ? (is_true ? 0 : 1) : (is_true ? 3 : 2)];
    }
    return c;
  }
  // Adaptive, binary, thresholds 255 to 0.
  std::vector<Counts> all_counts(const Part& is_in = everything) const {
    double sum = 0.0;
    for (int i = 0; i < kN; ++i) sum += is_in(i) ? values[static_cast<std::size_t>(i)] : 0.0;
    const double adaptive = std::min(2 * sum / kN, 1.0);
    std::vector<Counts> out{counted(is_in, [&](double v) { return v >= adaptive; }),
                            counted(is_in, [](double v) { return v > 0.5; })};
    for (int t = 255; t >= 0; --t)
      out.push_back(counted(is_in, [&](double v) { return static_cast<int>(255 * v) >= t; }));
    return out;
  }

  std::vector<std::uint8_t> levels, truth, boolean;
  std::vector<double> values;
  std::vector<float> floats;
  s2u_pair *of_levels = nullptr, *of_doubles = nullptr, *of_floats = nullptr;
};

}  // namespace sam2unet
