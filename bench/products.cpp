// How much of a float32 pass the products alone can be blamed for: every operation of the network in its
// place, then again and again with everything it needs in the caches, against the operations' own floor at
// the multiply-add peak measured in the same run. What a pass takes beyond the sum of the repeated ones is
// what the operations do to each other (caches, pages); what those take beyond the floor is oneDNN's and our
// kernels'.
//
//   bench_products [variant=t] [size=352] [threads=all] [passes=5] [repeats=4]
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "float32_peak.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/compositions.h"
#include "ops/counting_ops.h"
#include "ops/cpu/cpu_ops.h"

namespace {

using namespace sam2unet;
using ops::Counted, ops::CountingOps, ops::CpuOps, ops::CpuTensor, ops::Extent;

struct Step {
  std::string_view kind;
  double gflop = 0.0;
  // Fastest of all passes: as the network runs it, and of the repetitions right behind.
  double in_place_ms = std::numeric_limits<double>::max(), repeated_ms = in_place_ms;
};

/// CpuOps, each operation timed in its place and then `repeats` times more. Numbers added to a residual are
/// added each time: the values do not matter here.
class RepeatedOps : public ops::Compositions<RepeatedOps> {
 public:
  using Tensor = CpuTensor;
  using Weights = ops::CpuWeights;

  RepeatedOps(CpuOps& o, int repeats) : o_(o), repeats_(repeats) {}
  void begin_pass() { next_ = 0; }
  const std::vector<Step>& steps() const { return steps_; }

  static Extent extent(const Tensor& x) { return CpuOps::extent(x); }
  Tensor patch_embed(const Tensor& x, const Weights::PatchEmbed& w) {
    return repeat("convolution", count([&](CountingOps& c) { c.patch_embed(of(x), of(w)); }),
                  [&] { return o_.patch_embed(x, w); });
  }
  Tensor add_position(Tensor x, const Weights::Position& w) {
    return repeat_in_place("other", std::move(x), [&](Tensor v) { return o_.add_position(std::move(v), w); });
  }
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w) {
    return repeat("norm", 0.0, [&] { return o_.layer_norm(x, w); });
  }
  Tensor linear(const Tensor& x, const Weights::Linear& w) {
    return repeat("linear", flop(x, w), [&] { return o_.linear(x, w); });
  }
  Tensor gelu(Tensor x) {
    return repeat_in_place("other", std::move(x), [&](Tensor v) { return o_.gelu(std::move(v)); });
  }
  Tensor relu(Tensor x) {
    return repeat_in_place("other", std::move(x), [&](Tensor v) { return o_.relu(std::move(v)); });
  }
  Tensor add(Tensor a, const Tensor& b) {
    return repeat_in_place("other", std::move(a), [&](Tensor v) { return o_.add(std::move(v), b); });
  }
  Tensor window_attention(const Tensor& x, const Weights::Linear& w, const ops::AttentionGeometry& g) {
    return repeat("attention", count([&](CountingOps& c) { c.window_attention(of(x), of(w), g); }),
                  [&] { return o_.window_attention(x, w, g); });
  }
  Tensor max_pool_2x2(const Tensor& x) {
    return repeat("other", 0.0, [&] { return o_.max_pool_2x2(x); });
  }
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w) {
    return repeat("convolution", flop(x, w), [&] { return o_.conv_bn(x, w); });
  }
  std::array<Tensor, ops::kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
    return repeat("linear", flop(x, w), [&] { return o_.conv_bn_fan(x, w); });
  }
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return repeat("other", 0.0, [&] { return o_.concat(first, more...); });
  }
  Tensor upsample(const Tensor& x, std::int64_t h, std::int64_t w, ops::Corners corners) {
    return repeat("other", 0.0, [&] { return o_.upsample(x, h, w, corners); });
  }
  Tensor upsample_behind(const Tensor& skip, const Tensor& x) {
    return repeat("other", 0.0, [&] { return o_.upsample_behind(skip, x); });
  }
  Tensor linear_gelu(const Tensor& x, const Weights::Linear& w) {
    return repeat("linear, GELU", flop(x, w), [&] { return o_.linear_gelu(x, w); });
  }
  Tensor linear_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return repeat_in_place(
        "linear", std::move(residual), [&](Tensor v) { return o_.linear_add(x, w, std::move(v)); },
        flop(x, w));
  }
  Tensor linear_gelu_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return repeat_in_place(
        "linear, GELU", std::move(residual), [&](Tensor v) { return o_.linear_gelu_add(x, w, std::move(v)); },
        flop(x, w));
  }
  Tensor conv_bn_relu(const Tensor& x, const Weights::ConvBn& w) {
    return repeat("convolution", flop(x, w), [&] { return o_.conv_bn_relu(x, w); });
  }
  Tensor conv_bn_add_relu(const Tensor& x, const Weights::ConvBn& w, Tensor residual) {
    return repeat_in_place(
        "convolution", std::move(residual), [&](Tensor v) { return o_.conv_bn_add_relu(x, w, std::move(v)); },
        flop(x, w));
  }

 private:
  static Counted of(const Tensor& x) { return {x.extent()}; }
  static ops::CountingWeights::ConvBn of(const ops::PackedWeights& w) {
    return {{w.in, w.out, w.kernel.h * w.kernel.w}};
  }
  template <class F>
  static double count(F&& f) {
    CountingOps counter;
    f(counter);
    return 2e-9 * counter.multiply_adds();
  }
  static double flop(const Tensor& x, const ops::PackedWeights& w) {
    return count([&](CountingOps& c) { c.conv_bn(of(x), of(w)); });
  }

  Step& step(std::string_view kind, double gflop) {
    if (next_ == steps_.size()) steps_.push_back({kind, gflop});
    return steps_[next_++];
  }
  template <class F>
  static std::invoke_result_t<F&> timed(double& fastest_ms, F&& f) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = f();
    const std::chrono::duration<double, std::milli> t = std::chrono::steady_clock::now() - begin;
    fastest_ms = std::min(fastest_ms, t.count());
    return result;
  }
  template <class F>
  std::invoke_result_t<F&> repeat(std::string_view kind, double gflop, F&& f) {
    Step& s = step(kind, gflop);
    auto result = timed(s.in_place_ms, f);
    for (int i = 0; i < repeats_; ++i) timed(s.repeated_ms, f);
    return result;
  }
  template <class F>
  Tensor repeat_in_place(std::string_view kind, Tensor x, F&& f, double gflop = 0.0) {
    Step& s = step(kind, gflop);
    x = timed(s.in_place_ms, [&] { return f(std::move(x)); });
    for (int i = 0; i < repeats_; ++i) x = timed(s.repeated_ms, [&] { return f(std::move(x)); });
    return x;
  }

  CpuOps& o_;
  int repeats_;
  std::size_t next_ = 0;
  std::vector<Step> steps_;
};

void print(std::string_view kind, const std::vector<Step>& steps, double peak) {
  Step sum{kind, 0.0, 0.0, 0.0};
  for (const Step& s : steps) {
    if (kind != "all" && s.kind != kind) continue;
    sum.gflop += s.gflop, sum.in_place_ms += s.in_place_ms, sum.repeated_ms += s.repeated_ms;
  }
  const double floor_ms = sum.gflop / peak * 1e3;
  fmt::print("{:14} {:7.2f} GFLOP  floor {:7.1f} ms  in place {:7.1f} ms  repeated {:7.1f} ms", kind,
             sum.gflop, floor_ms, sum.in_place_ms, sum.repeated_ms);
  if (floor_ms > 0.0) {
    fmt::print("  times the floor {:.2f}, {:.2f}", sum.in_place_ms / floor_ms, sum.repeated_ms / floor_ms);
  }
  fmt::print("\n");
}

void run(const std::string& variant, int size, int threads, int passes, int repeats) {
  const auto config = model::Config::of_variant(variant);
  model::DeterministicWeights source;
  ops::CpuWeights weights(source);
  const auto net = model::Network<ops::CpuWeights>::make(weights, config);
  CpuOps cpu(threads);
  RepeatedOps o(cpu, repeats);
  double peak = peak_gflops(threads);
  for (int i = 0; i < passes; ++i) {
    auto image = cpu.make({1, size, size, 3});
    std::fill_n(image.data(), image.extent().numel(), 0.25F);
    o.begin_pass();
    const auto maps = model::sam2unet(o, net, image);
  }
  peak = std::max(peak, peak_gflops(threads));
  fmt::print("variant {}  size {}  threads {}  peak {:.1f} GFLOP/s  fastest of {} passes\n", variant, size,
             threads, peak, passes);
  for (const auto* kind : {"linear", "linear, GELU", "convolution", "attention", "norm", "other", "all"})
    print(kind, o.steps(), peak);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "t", argc > 2 ? std::atoi(argv[2]) : 352,
        argc > 3 ? std::atoi(argv[3]) : omp_get_num_procs(), argc > 4 ? std::atoi(argv[4]) : 5,
        argc > 5 ? std::atoi(argv[5]) : 4);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_products: {}\n", e.what());
    return 1;
  }
}
