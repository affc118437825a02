#include "ops/lowp/peak.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/lowp/peak.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::ops::lowp::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Twelve independent chains hide the latency of the multiply-add. Returns operations done; `sink` keeps the
// result.
double Spin(std::int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  const auto m = hn::Set(d, 0.999F), c = hn::Set(d, 0.001F);
  auto a0 = hn::Iota(d, 0), a1 = hn::Iota(d, 1), a2 = hn::Iota(d, 2), a3 = hn::Iota(d, 3),
       a4 = hn::Iota(d, 4), a5 = hn::Iota(d, 5), a6 = hn::Iota(d, 6), a7 = hn::Iota(d, 7),
       a8 = hn::Iota(d, 8), a9 = hn::Iota(d, 9), a10 = hn::Iota(d, 10), a11 = hn::Iota(d, 11);
  for (std::int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, m, c), a1 = hn::MulAdd(a1, m, c), a2 = hn::MulAdd(a2, m, c),
    a3 = hn::MulAdd(a3, m, c);
    a4 = hn::MulAdd(a4, m, c), a5 = hn::MulAdd(a5, m, c), a6 = hn::MulAdd(a6, m, c),
    a7 = hn::MulAdd(a7, m, c);
    a8 = hn::MulAdd(a8, m, c), a9 = hn::MulAdd(a9, m, c), a10 = hn::MulAdd(a10, m, c),
    a11 = hn::MulAdd(a11, m, c);
  }
  const auto sum = hn::Add(
      hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)),
      hn::Add(hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)), hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
  *sink += hn::GetLane(hn::SumOfLanes(d, sum));
  return static_cast<double>(rounds) * 12 * 2 * static_cast<double>(hn::Lanes(d));
}

}  // namespace sam2unet::ops::lowp::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::ops::lowp {
HWY_EXPORT(Spin);
namespace {

// Lanes of 32 bits, times the products that each instruction sums up in one, times two; an instruction of AMX
// does sixteen rows and sixteen units.
constexpr double dot_operations(Way way) {
  return 16.0 * 2.0 * unit_of(way) * (is_amx(way) ? 256.0 : 1.0);
}

double spin(Way way, float* sink) {
  if (way == Way::widened) return HWY_DYNAMIC_DISPATCH(Spin)(400'000, sink);
  const std::int64_t rounds = is_amx(way) ? 10'000 : 200'000;
  alignas(64) std::byte sums[kSpins * 64] = {};
  for (std::int64_t i = 0; i < kSpins * 64; ++i) sums[i] = static_cast<std::byte>(i % 3);
  native_spin(way, rounds, sums);
  *sink += static_cast<float>(sums[70]);
  return static_cast<double>(rounds * kSpins) * dot_operations(way);
}

}  // namespace

double peak_gops(Way way, int threads) {
  if (!may_use(way)) return 0.0;
  double best = 0.0;
  float sink = 0.0F;
  for (int round = 0; round < 3; ++round) {
    double operations = 0.0;
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : operations, sink)
    operations += spin(way, &sink);
    const std::chrono::duration<double> t = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / t.count() * 1e-9);
  }
  volatile float keep = sink;
  (void)keep;
  return best;
}

double peak_gops(const Numerics& numerics, int threads) {
  double best = 0.0;
  for (const Way way : {Way::widened, Way::dot_bf16, Way::amx_bf16, Way::dot_int8, Way::amx_int8})
    if (numerics.is_int8() || !takes_bytes(way)) best = std::max(best, peak_gops(way, threads));
  return best;
}

}  // namespace sam2unet::ops::lowp
#endif
