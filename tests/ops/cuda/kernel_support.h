// Memory and numbers for tests of the kernels.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "emulated/ops/cuda/start.h"
#include "ops/cuda/kernels_math.h"

namespace sam2unet::ops::cuda::test {

/// As an H100 tells of itself.
inline Launcher launcher() {
  return {{.major = 9, .minor = 0, .multiprocessors = 132, .shared_bytes = 232448}, nullptr};
}

/// Numbers with NaN before and behind them: who reads beyond the end gets no number, who writes there is
/// found.
template <class T>
class Array {
 public:
  explicit Array(std::size_t n) : size_(n), bytes_(2 * guard + n * sizeof(T), 0xff) {}
  explicit Array(const std::vector<T>& v) : Array(v.size()) {
    std::memcpy(data(), v.data(), v.size() * sizeof(T));
  }
  T* data() { return reinterpret_cast<T*>(bytes_.data() + guard); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + guard); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  std::vector<T> values() const { return {data(), data() + size_}; }
  bool is_intact() const {
    const auto whole = [](auto first) {
      return std::all_of(first, first + guard, [](auto b) { return b == 0xff; });
    };
    return whole(bytes_.begin()) && whole(bytes_.end() - guard);
  }

 private:
  static constexpr std::ptrdiff_t guard = 1024;
  std::size_t size_;
  std::vector<std::uint8_t> bytes_;  // operator new aligns to 16
};
using Halves = Array<std::uint16_t>;
using Floats = Array<float>;

inline std::vector<float> normal(std::size_t n, unsigned seed, float mean = 0, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> d(mean, deviation);
  std::vector<float> v(n);
  for (float& x : v) x = d(random);
  return v;
}

/// [rows, width] in rows of `pitch`, rounded; what is between the rows is no number.
inline Halves rounded(const std::vector<float>& v, Element e, std::size_t width, std::size_t pitch) {
  Halves h(v.size() / width * pitch);
  for (std::size_t i = 0; i < v.size(); i++) h[i / width * pitch + i % width] = to_bits(v[i], e);
  return h;
}
inline Halves rounded(const std::vector<float>& v, Element e) {
  return rounded(v, e, v.size(), v.size());
}
/// What the 16-bit format leaves of the numbers.
inline std::vector<float> as_rounded(std::vector<float> v, Element e) {
  if (e == Element::f32) return v;
  for (float& x : v) x = from_bits(to_bits(x, e), e);
  return v;
}

/// Numbers of any format with a pitch, between NaN.
struct Memory {
  Floats floats{0};
  Halves halves{0};
  Element e;
  Memory(const std::vector<float>& v, Element e_, std::size_t width, std::size_t pitch) : e(e_) {
    if (e != Element::f32) {
      halves = rounded(v, e, width, pitch);
      return;
    }
    floats = Floats(v.size() / width * pitch);
    for (std::size_t i = 0; i < v.size(); i++) floats[i / width * pitch + i % width] = v[i];
  }
  Memory(const std::vector<float>& v, Element e_) : Memory(v, e_, v.size(), v.size()) {}
  Memory(std::size_t n, Element e_)
      : floats(e_ == Element::f32 ? n : 0), halves(e_ == Element::f32 ? 0 : n), e(e_) {}
  void* data() { return e == Element::f32 ? static_cast<void*>(floats.data()) : halves.data(); }
  bool is_intact() const { return floats.is_intact() && halves.is_intact(); }
  std::vector<float> values() const {
    if (e == Element::f32) return floats.values();
    std::vector<float> v;
    for (const std::uint16_t h : halves.values()) v.push_back(from_bits(h, e));
    return v;
  }
};

/// Against the sums in double precision of rounded inputs, relative to their range.
inline double tolerance(Element e) {
  return e == Element::bf16 ? 4e-3 : e == Element::f16 ? 6e-4 : 2e-6;
}

template <class Want>
double relative_error(const std::vector<float>& got, const std::vector<Want>& want) {
  EXPECT_EQ(got.size(), want.size());
  if (got.size() != want.size() || want.empty()) return INFINITY;
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); i++) {
    const double d = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst / std::max(static_cast<double>(*high) - static_cast<double>(*low), 1e-30);
}

/// `run` twice, with lanes in both orders; the results, which must be the same bits.
template <class T>
std::vector<T> in_both_orders(const std::function<std::vector<T>()>& run) {
  emulation().reversed = true;
  const auto second = run();
  emulation().reversed = false;
  const auto first = run();
  EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(T)), 0)
      << "the result depends on the order of lanes";
  return first;
}

/// The kernels' GELU of a 16-bit element.
inline float gelu_in(Element e, float x) {
  return e == Element::bf16 ? gelu_of<Element::bf16>(x) : gelu_of<Element::f16>(x);
}

}  // namespace sam2unet::ops::cuda::test
