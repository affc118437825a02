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

std::span<const float> DeterministicWeights::get(const std::string& name, const Shape& shape) {
  double offset = 0.0, scale = 1.0;
  if (name.ends_with("num_batches_tracked")) {
    scale = 0.0;
  } else if (name.ends_with("running_mean")) {
    scale = 0.1;
  } else if (name.ends_with("running_var")) {
    offset = 1.0;
    scale = 0.5;
  } else if (name.ends_with(".bias")) {
    scale = 0.1;
  } else if (name.ends_with("pos_embed") || name.ends_with("pos_embed_window")) {
    scale = 0.2;
  } else if (shape.rank() == 1) {  // LayerNorm, BatchNorm
    offset = 1.0;
    scale = 0.1;
  } else {
    scale = std::sqrt(3.0 / (static_cast<double>(shape.numel()) / static_cast<double>(shape[0])));
  }
  buffer_.resize(static_cast<std::size_t>(shape.numel()));
  const std::uint64_t h = fnv1a(name);
  for (std::size_t i = 0; i < buffer_.size(); ++i) {
    buffer_[i] = static_cast<float>(offset + scale * unit(h, static_cast<std::int64_t>(i)));
  }
  return buffer_;
}

}  // namespace sam2unet::model
