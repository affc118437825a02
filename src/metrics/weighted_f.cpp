#include "metrics/weighted_f.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/weighted_f.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

// The reference works on whole pictures in double:
//   Dst, Idxt = bwdist(gt == 0, return_indices=True); E = |pred - gt|; Et = E, on background the E of the
//   nearest foreground pixel; EA = 7x7 Gaussian (sigma 5, zeros outside) of Et; MIN_E_EA = min(E, EA) on
//   foreground, else E; B = 2 - exp(log(0.5) / 5 * Dst) on background, 1 on foreground; Ew = MIN_E_EA * B.
// What is needed of it: B where the background's E is not zero, and EA where the foreground's E is not zero;
// so Et only within three pixels of the foreground. E is an integer over the prediction's range, and stays
// one here.

#ifndef SAM2UNET_METRICS_WEIGHTED_F_ONCE
#define SAM2UNET_METRICS_WEIGHTED_F_ONCE
namespace sam2unet::metrics {

// Distances are followed up to 255, past which B is 2 - 4e-16.
inline constexpr int kFar = 255;
// Columns of padding on both sides of a row of squares (reached by k and a vector) and of bytes (by 4 and a
// vector).
inline constexpr int kSquaresPad = 320;
inline constexpr int kPad = 128;
// Foreground within three rows and columns of a pixel is at most sqrt(18) away.
inline constexpr int kBandSquare = 18;

struct WeightedFJob {
  const Sample* sample;
  WeightedFBuffers* buffers;
  std::ptrdiff_t stride;  // of above, nearest and errors: kPad columns left and right of the sample's row
  const double* decay;    // exp(log(0.5) / 5 * sqrt(i)) for i in 0..65535

  std::uint8_t* above(int y) const { return buffers->above.data() + y * stride + kPad; }
  std::uint8_t* nearest(int y) const { return buffers->nearest.data() + y * stride + kPad; }
  std::uint8_t* errors(int y) const { return buffers->errors.data() + y * stride + kPad; }
};

}  // namespace sam2unet::metrics
#endif

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// E over the foreground, 0 elsewhere, and whether any is not zero.
bool foreground_errors(const WeightedFJob& job, int y) {
  const Sample& s = *job.sample;
  const hn::ScalableTag<std::uint8_t> d;
  const auto top = hn::Set(d, static_cast<std::uint8_t>(s.levels.offset + s.levels.range));
  auto any = hn::Zero(d);
  for (int x = 0; x < s.stride; x += static_cast<int>(hn::Lanes(d))) {
    const auto e =
        hn::And(hn::LoadU(d, s.truth_row(y) + x), hn::Sub(top, hn::LoadU(d, s.prediction_row(y) + x)));
    hn::StoreU(e, d, job.errors(y) + x);
    any = hn::Or(any, e);
  }
  return !hn::AllTrue(d, hn::Eq(any, hn::Zero(d)));
}

// Distances along the columns: one sweep down (above), one up (nearest = the smaller of both).
void column_distances(const WeightedFJob& job) {
  const Sample& s = *job.sample;
  const hn::ScalableTag<std::uint8_t> d;
  const auto one = hn::Set(d, 1);
  const auto far = hn::Set(d, kFar);
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* truth = s.truth_row(y);
    std::uint8_t* above = job.above(y);
    const std::uint8_t* before = y > 0 ? job.above(y - 1) : nullptr;
    for (int x = 0; x < s.stride; x += lanes) {
      const auto previous = before != nullptr ? hn::SaturatedAdd(hn::LoadU(d, before + x), one) : far;
      hn::StoreU(hn::AndNot(hn::LoadU(d, truth + x), previous), d, above + x);
    }
  }
  for (int y = s.height - 1; y >= 0; --y) {
    const std::uint8_t* above = job.above(y);
    std::uint8_t* nearest = job.nearest(y);
    const std::uint8_t* after = y + 1 < s.height ? job.nearest(y + 1) : nullptr;
    for (int x = 0; x < s.stride; x += lanes) {
      const auto below = after != nullptr ? hn::SaturatedAdd(hn::LoadU(d, after + x), one) : far;
      hn::StoreU(hn::Min(hn::LoadU(d, above + x), below), d, nearest + x);
    }
  }
}

// The error at the foreground pixel nearest to background pixel (x, y), which is sqrt(square) away. Of
// several, scipy's feature transform takes the smallest column, then the smallest row.
inline std::uint8_t error_at_nearest(const WeightedFJob& job, int x, int y, int square) {
  const std::uint8_t* nearest = job.nearest(y) + x;
  for (int dx = -4; dx <= 4; ++dx) {
    const int rest = square - dx * dx;
    const int dy = nearest[dx];
    if (dy * dy != rest) continue;
    const int row = job.above(y)[x + dx] == dy ? y - dy : y + dy;
    return job.errors(row)[x + dx];
  }
  return 0;  // not reached: the square came from these distances
}

// Background of one row: the weighted sum of its errors, and Et in the band around the foreground.
double background_row(const WeightedFJob& job, int y, bool band) {
  const Sample& s = *job.sample;
  const hn::ScalableTag<std::uint16_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const std::uint8_t* pred = s.prediction_row(y);
  const std::uint8_t* truth = s.truth_row(y);
  const std::uint8_t* nearest = job.nearest(y);
  std::uint8_t* errors = job.errors(y);
  std::uint16_t* squares = job.buffers->squares.data() + kSquaresPad;

  int smallest = kFar;  // vertical distance in this row: a nearest pixel at k columns is at least that far
  for (int x = 0; x < s.width; ++x) smallest = std::min<int>(smallest, nearest[x]);
  if (smallest == kFar) {  // whatever there is, is 255 rows away
    double sum = 0;
    for (int x = 0; x < s.width; ++x) sum += (truth[x] == 0 ? pred[x] - s.levels.offset : 0);
    return 2 * sum;
  }
  // Columns `first` to `last` hold all foreground that is near enough: what lies between them and a vector
  // beside them need not be searched.
  int first = static_cast<int>(s.stride), last = -1;
  for (int x = 0; x < s.stride; x += lanes) {
    const auto n = hn::PromoteTo(d, hn::LoadU(d8, nearest + x));
    hn::StoreU(hn::Mul(n, n), d, squares + x);
    if (hn::AllTrue(d, hn::Eq(n, hn::Set(d, kFar)))) continue;
    first = std::min(first, x);
    last = x + lanes - 1;
  }
  const auto offset8 = hn::Set(d8, static_cast<std::uint8_t>(s.levels.offset));
  const int nothing_nearer = smallest * smallest;
  double sums[4] = {};
  HWY_ALIGN std::uint16_t found[HWY_MAX_BYTES / 2];
  HWY_ALIGN std::uint8_t weight[HWY_MAX_BYTES / 2];
  for (int x = 0; x < s.width; x += lanes) {
    const auto t8 = hn::LoadU(d8, truth + x);
    const auto error8 = hn::AndNot(t8, hn::SaturatedSub(hn::LoadU(d8, pred + x), offset8));
    const auto zero = hn::Zero(d);
    const auto with_error = hn::Ne(hn::PromoteTo(d, error8), zero);
    auto in_band = hn::Ne(zero, zero);
    if (band) {
      auto close8 = hn::LoadU(d8, nearest + x);
      for (int k = 1; k <= 3; ++k) {
        close8 = hn::Min(close8, hn::Min(hn::LoadU(d8, nearest + x - k), hn::LoadU(d8, nearest + x + k)));
      }
      const auto three = hn::Set(d, 3);
      in_band = hn::And(hn::Eq(hn::PromoteTo(d, t8), zero),
                        hn::Eq(hn::Max(hn::PromoteTo(d, close8), three), three));
    }
    const auto wanted = hn::Or(in_band, with_error);
    if (hn::AllFalse(d, wanted)) continue;
    // Only wanted lanes may prolong the search: the others start at zero.
    auto best = hn::IfThenElseZero(wanted, hn::LoadU(d, squares + x));
    for (int k = std::max({1, first - (x + lanes - 1), x - last}); k < kFar; ++k) {
      const auto step = hn::Set(d, static_cast<std::uint16_t>(k * k));
      const auto side = hn::Min(hn::LoadU(d, squares + x - k), hn::LoadU(d, squares + x + k));
      best = hn::Min(best, hn::SaturatedAdd(side, step));
      if ((k & 3) == 0) {
        const int bound = k * k + nothing_nearer;
        if (bound > 65535) break;
        const auto limit = hn::Set(d, static_cast<std::uint16_t>(bound));
        if (hn::AllTrue(d, hn::Eq(hn::Max(best, limit), limit))) break;
      }
    }
    hn::Store(best, d, found);
    hn::Store(error8, d8, weight);
    if (!hn::AllFalse(d, with_error)) {
      for (int k = 0; k < lanes; ++k) sums[k & 3] += weight[k] * (2 - job.decay[found[k]]);
    }
    if (!hn::AllFalse(d, in_band)) {
      const int valid = std::min(lanes, s.width - x);  // the row's padding lies outside the picture: zero
      for (int k = 0; k < valid; ++k) {
        if (found[k] != 0 && found[k] <= kBandSquare)
          errors[x + k] = error_at_nearest(job, x + k, y, found[k]);
      }
    }
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Horizontal pass of the Gaussian over Et's row y: out[x] = sum_k g[k] Et[x + k - 3].
void filter_row(const WeightedFJob& job, int y, const std::array<double, 4>& g, double* out) {
  const Sample& s = *job.sample;
  const std::uint8_t* errors = job.errors(y);
  const hn::ScalableTag<double> d;
  const hn::Rebind<std::int32_t, decltype(d)> d32;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto load = [&](int x) HWY_ATTR { return hn::PromoteTo(d32, hn::LoadU(d8, errors + x)); };
  for (int x = 0; x < s.width; x += lanes) {
    // The sums of the pairs are still integers.
    auto sum = hn::Mul(hn::Set(d, g[0]), hn::PromoteTo(d, load(x)));
    for (int k = 1; k <= 3; ++k) {
      sum = hn::MulAdd(hn::Set(d, g[static_cast<std::size_t>(k)]),
                       hn::PromoteTo(d, hn::Add(load(x - k), load(x + k))), sum);
    }
    hn::StoreU(sum, d, out + x);
  }
}

// Sum over the foreground of row y of min(E, EA), from the seven filtered rows around it.
double foreground_row(const WeightedFJob& job, int y, const std::array<double, 4>& g,
                      const double* const rows[7]) {
  const Sample& s = *job.sample;
  const std::uint8_t* errors = job.errors(y);
  const std::uint8_t* truth = s.truth_row(y);
  const hn::ScalableTag<double> d;
  const hn::Rebind<std::int32_t, decltype(d)> d32;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const int lanes = static_cast<int>(hn::Lanes(d));
  auto total = hn::Zero(d);
  for (int x = 0; x < s.width; x += lanes) {
    const auto e8 = hn::And(hn::LoadU(d8, errors + x), hn::LoadU(d8, truth + x));
    const auto e32 = hn::PromoteTo(d32, e8);
    if (hn::AllTrue(d32, hn::Eq(e32, hn::Zero(d32)))) continue;
    const auto e = hn::PromoteTo(d, e32);
    auto sum = hn::Mul(hn::Set(d, g[0]), hn::LoadU(d, rows[3] + x));
    for (int k = 1; k <= 3; ++k) {
      sum = hn::MulAdd(hn::Set(d, g[static_cast<std::size_t>(k)]),
                       hn::Add(hn::LoadU(d, rows[3 - k] + x), hn::LoadU(d, rows[3 + k] + x)), sum);
    }
    total = hn::Add(total, hn::Min(e, sum));  // where E is zero, so is the minimum
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(foreground_errors);
HWY_EXPORT(column_distances);
HWY_EXPORT(background_row);
HWY_EXPORT(filter_row);
HWY_EXPORT(foreground_row);

namespace {

// exp(log(0.5) / 5 * sqrt(i))
const double* decay_table() {
  static const std::vector<double> table = [] {
    std::vector<double> t(1 << 16);
    for (std::size_t i = 0; i < t.size(); ++i)
      t[i] = std::exp(std::log(0.5) / 5 * std::sqrt(static_cast<double>(i)));
    return t;
  }();
  return table.data();
}

// fspecial('gaussian', 7, 5) is the product of two of these up to rounding: g[|k|], sum over k = -3..3 is 1.
std::array<double, 4> gaussian() {
  std::array<double, 4> g{};
  for (int k = 0; k <= 3; ++k) g[static_cast<std::size_t>(k)] = std::exp(-k * k / 50.0);
  const double sum = g[0] + 2 * (g[1] + g[2] + g[3]);
  for (double& v : g) v /= sum;
  return g;
}

void reserve(const Sample& s, std::ptrdiff_t stride, WeightedFBuffers& b) {
  const auto bytes = static_cast<std::size_t>(stride) * static_cast<std::size_t>(s.height);
  b.above.resize(bytes);
  b.nearest.resize(bytes);
  b.errors.resize(bytes);
  for (int y = 0; y < s.height; ++y) {
    std::uint8_t* nearest = b.nearest.data() + y * stride;
    std::uint8_t* errors = b.errors.data() + y * stride;
    for (const std::ptrdiff_t edge : {std::ptrdiff_t{0}, stride - kPad}) {
      std::memset(nearest + edge, kFar, kPad);
      std::memset(errors + edge, 0, kPad);
    }
  }
  b.squares.assign(static_cast<std::size_t>(s.stride) + 2 * kSquaresPad, 65535);
}

// Sum over the foreground of min(E, EA), times the range. A ring of eight filtered rows; `rows_with_error`
// says where E is not zero anywhere.
double filtered_foreground(const WeightedFJob& job, const std::vector<bool>& rows_with_error) {
  const Sample& s = *job.sample;
  const auto row_size = static_cast<std::size_t>(s.stride);
  job.buffers->filtered.assign(row_size * 9, 0);
  double* const ring = job.buffers->filtered.data();
  const double* const outside = ring + row_size * 8;
  const std::array<double, 4> g = gaussian();
  std::array<int, 8> held;
  held.fill(-1);
  double sum = 0;
  for (int y = 0; y < s.height; ++y) {
    if (!rows_with_error[static_cast<std::size_t>(y)]) continue;
    const double* rows[7];
    for (int k = 0; k < 7; ++k) {
      const int source = y + k - 3;
      if (source < 0 || source >= s.height) {
        rows[k] = outside;
        continue;
      }
      const auto slot = static_cast<std::size_t>(source) % 8;
      double* const row = ring + slot * row_size;
      if (held[slot] != source) HWY_DYNAMIC_DISPATCH(filter_row)(job, source, g, row);
      held[slot] = source;
      rows[k] = row;
    }
    sum += HWY_DYNAMIC_DISPATCH(foreground_row)(job, y, g, rows);
  }
  return sum;
}

}  // namespace

double weighted_f(const Sample& s, WeightedFBuffers& buffers, double beta) {
  if (s.foreground == 0) return 0;
  const std::ptrdiff_t stride = s.stride + 2 * kPad;
  reserve(s, stride, buffers);
  const WeightedFJob job{&s, &buffers, stride, decay_table()};

  std::vector<bool> with_error(static_cast<std::size_t>(s.height));
  for (int y = 0; y < s.height; ++y) {
    with_error[static_cast<std::size_t>(y)] = HWY_DYNAMIC_DISPATCH(foreground_errors)(job, y);
  }
  double background = 0;
  double foreground = 0;
  if (s.background() > 0) {
    HWY_DYNAMIC_DISPATCH(column_distances)(job);
    for (int y = 0; y < s.height; ++y) {
      bool band = false;
      for (int k = std::max(0, y - 3); k <= std::min(s.height - 1, y + 3); ++k) {
        band = band || with_error[static_cast<std::size_t>(k)];
      }
      background += HWY_DYNAMIC_DISPATCH(background_row)(job, y, band);
    }
  }
  foreground = filtered_foreground(job, with_error);

  const double range = s.levels.range;
  const auto count = static_cast<double>(s.foreground);
  const double true_positive = count - foreground / range;
  const double false_positive = background / range;
  const double recall = 1 - foreground / range / count;
  const double precision = true_positive / (true_positive + false_positive + kEps);
  return (1 + beta) * recall * precision / (recall + beta * precision + kEps);
}

}  // namespace sam2unet::metrics
#endif  // HWY_ONCE
