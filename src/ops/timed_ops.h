// A backend around a backend: tells when each operation began and ended, and computes nothing of its own.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/concept.h"

namespace sam2unet::ops {

/// What an operation is, as far as its time is of interest.
enum class Kind : std::uint8_t {
  patches,
  position,
  norm,
  linear,
  adapter,
  attention,
  feed_forward,
  convolution,
  pooling,
  upsampling,
  joining,
  elementwise,
};
inline constexpr std::size_t kKinds = 12;
inline std::string_view name_of(Kind kind) {
  constexpr std::array<std::string_view, kKinds> names{
      "patch embedding", "position",    "norm",    "linear",     "adapter", "attention",
      "feed-forward",    "convolution", "pooling", "upsampling", "joining", "elementwise"};
  return names[static_cast<std::size_t>(kind)];
}

using Clock = std::chrono::steady_clock;
struct Timing {
  Kind kind = Kind::elementwise;
  Clock::time_point begin, end;
};

template <class O>
class TimedOps {
 public:
  using Tensor = typename O::Tensor;
  using Weights = typename O::Weights;

  /// Timings are put behind those in `timings`.
  TimedOps(O& o, std::vector<Timing>& timings) : o_(o), timings_(timings) {}

  static Extent extent(const Tensor& x) { return O::extent(x); }
  Tensor patch_embed(const Tensor& x, const typename Weights::PatchEmbed& w) {
    return timed(Kind::patches, [&] { return o_.patch_embed(x, w); });
  }
  Tensor add_position(Tensor x, const typename Weights::Position& w) {
    return timed(Kind::position, [&] { return o_.add_position(std::move(x), w); });
  }
  Tensor layer_norm(const Tensor& x, const typename Weights::Norm& w) {
    return timed(Kind::norm, [&] { return o_.layer_norm(x, w); });
  }
  Tensor linear(const Tensor& x, const typename Weights::Linear& w) {
    return timed(Kind::linear, [&] { return o_.linear(x, w); });
  }
  Tensor gelu(Tensor x) {
    return timed(Kind::elementwise, [&] { return o_.gelu(std::move(x)); });
  }
  Tensor relu(Tensor x) {
    return timed(Kind::elementwise, [&] { return o_.relu(std::move(x)); });
  }
  Tensor add(Tensor a, const Tensor& b) {
    return timed(Kind::elementwise, [&] { return o_.add(std::move(a), b); });
  }
  Tensor window_attention(const Tensor& x, const typename Weights::Linear& w, const AttentionGeometry& g) {
    return timed(Kind::attention, [&] { return o_.window_attention(x, w, g); });
  }
  Tensor max_pool_2x2(const Tensor& x) {
    return timed(Kind::pooling, [&] { return o_.max_pool_2x2(x); });
  }
  Tensor conv_bn(const Tensor& x, const typename Weights::ConvBn& w) {
    return timed(Kind::convolution, [&] { return o_.conv_bn(x, w); });
  }
  std::array<Tensor, kBranches> conv_bn_each(
      const std::array<const Tensor*, kBranches>& x,
      const std::array<const typename Weights::ConvBn*, kBranches>& w) {
    return timed(Kind::convolution, [&] { return o_.conv_bn_each(x, w); });
  }
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const typename Weights::ConvBnFan& w) {
    return timed(Kind::convolution, [&] { return o_.conv_bn_fan(x, w); });
  }
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return timed(Kind::joining, [&] { return o_.concat(first, more...); });
  }
  Tensor upsample(const Tensor& x, std::int64_t h, std::int64_t w, Corners corners) {
    return timed(Kind::upsampling, [&] { return o_.upsample(x, h, w, corners); });
  }
  Tensor linear_gelu(const Tensor& x, const typename Weights::Linear& w) {
    return timed(Kind::linear, [&] { return o_.linear_gelu(x, w); });
  }
  Tensor linear_add(const Tensor& x, const typename Weights::Linear& w, Tensor residual) {
    return timed(Kind::linear, [&] { return o_.linear_add(x, w, std::move(residual)); });
  }
  Tensor linear_gelu_add(const Tensor& x, const typename Weights::Linear& w, Tensor residual) {
    return timed(Kind::linear, [&] { return o_.linear_gelu_add(x, w, std::move(residual)); });
  }
  Tensor adapt(Tensor x, const typename Weights::Linear& down, const typename Weights::Linear& up) {
    return timed(Kind::adapter, [&] { return o_.adapt(std::move(x), down, up); });
  }
  Tensor feed_forward(Tensor x, const typename Weights::Norm& norm, const typename Weights::Linear& fc1,
                      const typename Weights::Linear& fc2) {
    return timed(Kind::feed_forward, [&] { return o_.feed_forward(std::move(x), norm, fc1, fc2); });
  }
  Tensor conv_bn_relu(const Tensor& x, const typename Weights::ConvBn& w) {
    return timed(Kind::convolution, [&] { return o_.conv_bn_relu(x, w); });
  }
  Tensor conv_bn_add_relu(const Tensor& x, const typename Weights::ConvBn& w, Tensor residual) {
    return timed(Kind::convolution, [&] { return o_.conv_bn_add_relu(x, w, std::move(residual)); });
  }
  Tensor upsample_behind(const Tensor& skip, const Tensor& x) {
    return timed(Kind::upsampling, [&] { return o_.upsample_behind(skip, x); });
  }
  template <class F, class... Inputs>
  auto recomputable(const F& f, Inputs&&... inputs) {
    return f(std::forward<Inputs>(inputs)...);
  }

 private:
  template <class F>
  auto timed(Kind kind, F&& f) {
    const auto begin = Clock::now();
    auto result = f();
    if constexpr (requires { o_.finish(); }) o_.finish();  // a device's operations only start here
    timings_.push_back({kind, begin, Clock::now()});
    return result;
  }
  O& o_;
  std::vector<Timing>& timings_;
};

}  // namespace sam2unet::ops
