#include "model/weight_source.h"

#include <cmath>

#include "core/hash.h"

namespace sam2unet::model {
namespace {

// splitmix64's output for state h + i, as a number in [-1, 1) with 24 bits
double unit(std::uint64_t h, std::int64_t i) {
  std::uint64_t z = h + static_cast<std::uint64_t>(i) + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<double>(z >> 40) * 0x1p-23 - 1.0;
}

}  // namespace

std::vector<double> deterministic_values(std::string_view name, std::int64_t n) {
  std::vector<double> out(static_cast<std::size_t>(n));
  const std::uint64_t h = fnv1a(name);
  for (std::int64_t i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = unit(h, i);
  return out;
}

std::vector<float> WeightSource::read(const std::string& name, const Shape& shape) const {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  read(name, shape, values);
  return values;
}

void DeterministicWeights::read(const std::string& name, const Shape& shape, std::int64_t first,
                                std::span<float> values) const {
  double offset = 0.0, scale = 1.0;
  if (name.ends_with("num_batches_tracked")) {
    scale = 0.0;
  } else if (name.ends_with("running_mean") || name.ends_with(".bias")) {
    scale = 0.1;
  } else if (name.ends_with("running_var")) {
    offset = 1.0;
    scale = 0.5;
  } else if (name.ends_with("pos_embed") || name.ends_with("pos_embed_window")) {
    scale = 0.2;
  } else if (shape.rank() == 1) {  // LayerNorm, BatchNorm
    offset = 1.0;
    scale = 0.1;
  } else {
    scale = std::sqrt(3.0 / (static_cast<double>(shape.numel()) / static_cast<double>(shape[0])));
  }
  const std::uint64_t h = fnv1a(name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(offset + scale * unit(h, first + static_cast<std::int64_t>(i)));
  }
}

}  // namespace sam2unet::model
