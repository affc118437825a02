#include "metrics/bootstrap.h"

namespace sam2unet::metrics {
namespace {

// Vigna's splitmix64, one stream for each resample.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Uniform below n < 2^32.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(((next() >> 32) * n) >> 32); }

 private:
  std::uint64_t state_;
};

}  // namespace

std::vector<std::uint16_t> draw_weights(std::size_t images, std::size_t resamples, std::uint64_t seed) {
  std::vector<std::uint16_t> weights(images * resamples, 0);
  for (std::size_t r = 0; r < resamples; ++r) {
    Random random(seed * 0xD1342543DE82EF95u + r * 0x2545F4914F6CDD1Du);
    for (std::size_t i = 0; i < images; ++i) ++weights[random.below(images) * resamples + r];
  }
  return weights;
}

double percentile(const std::vector<double>& sorted, double q) {
  const double at = q / 100 * static_cast<double>(sorted.size() - 1);
  const auto k = static_cast<std::size_t>(at);
  if (k + 1 >= sorted.size()) return sorted.back();
  return sorted[k] + (sorted[k + 1] - sorted[k]) * (at - static_cast<double>(k));
}

}  // namespace sam2unet::metrics
