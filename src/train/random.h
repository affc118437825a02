// Random numbers that depend on nothing but a key, so that a run can be resumed anywhere and the number of
// worker threads changes nothing.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace sam2unet::train {

/// splitmix64 over a key made of a few numbers.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream, std::uint64_t item)
      : state_(mix(mix(mix(seed) ^ stream) ^ item)) {}

  std::uint64_t next() { return mix(state_ += 0x9E3779B97F4A7C15u); }
  /// [0, 1)
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {
    const double r = std::sqrt(-2 * std::log(1 - uniform()));
    return r * std::cos(2 * std::numbers::pi * uniform());
  }
  bool coin() { return uniform() < 0.5; }
  /// 0 .. n-1; n is far below 2^32, where the remainder's bias does not show.
  std::uint64_t below(std::uint64_t n) { return next() % n; }

 private:
  static std::uint64_t mix(std::uint64_t z) {
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

/// 0 .. n-1 in an order of this epoch (Fisher-Yates).
inline std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  Random random(seed, 0x5348, epoch);
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace sam2unet::train
