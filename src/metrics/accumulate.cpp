#include "metrics/accumulate.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/accumulate.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "metrics/e_measure.h"
#include "metrics/mirror.h"
#include "metrics/numpy_sum.h"

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Four resamples and two vectors of columns at a time stay in registers while the pictures go by.
void add_weighted_rows(const double* rows, std::size_t images, std::size_t columns,
                       const std::uint16_t* weights, std::size_t resamples, std::size_t r0, std::size_t r1,
                       double* sums) {
  const hn::ScalableTag<double> d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t vector_columns = columns / (2 * lanes) * (2 * lanes);
  for (std::size_t r = r0; r < r1; r += 4) {
    const std::size_t count = std::min<std::size_t>(4, r1 - r);
    double* const out = sums + (r - r0) * columns;
    for (std::size_t c = 0; c < vector_columns && count == 4; c += 2 * lanes) {
      auto a0 = hn::LoadU(d, out + c), a1 = hn::LoadU(d, out + c + lanes);
      auto b0 = hn::LoadU(d, out + columns + c), b1 = hn::LoadU(d, out + columns + c + lanes);
      auto c0 = hn::LoadU(d, out + 2 * columns + c), c1 = hn::LoadU(d, out + 2 * columns + c + lanes);
      auto d0 = hn::LoadU(d, out + 3 * columns + c), d1 = hn::LoadU(d, out + 3 * columns + c + lanes);
      for (std::size_t i = 0; i < images; ++i) {
        const auto x0 = hn::LoadU(d, rows + i * columns + c);
        const auto x1 = hn::LoadU(d, rows + i * columns + c + lanes);
        const std::uint16_t* w = weights + i * resamples + r;
        const auto wa = hn::Set(d, w[0]), wb = hn::Set(d, w[1]), wc = hn::Set(d, w[2]), wd = hn::Set(d, w[3]);
        a0 = hn::MulAdd(wa, x0, a0);
        a1 = hn::MulAdd(wa, x1, a1);
        b0 = hn::MulAdd(wb, x0, b0);
        b1 = hn::MulAdd(wb, x1, b1);
        c0 = hn::MulAdd(wc, x0, c0);
        c1 = hn::MulAdd(wc, x1, c1);
        d0 = hn::MulAdd(wd, x0, d0);
        d1 = hn::MulAdd(wd, x1, d1);
      }
      hn::StoreU(a0, d, out + c);
      hn::StoreU(a1, d, out + c + lanes);
      hn::StoreU(b0, d, out + columns + c);
      hn::StoreU(b1, d, out + columns + c + lanes);
      hn::StoreU(c0, d, out + 2 * columns + c);
      hn::StoreU(c1, d, out + 2 * columns + c + lanes);
      hn::StoreU(d0, d, out + 3 * columns + c);
      hn::StoreU(d1, d, out + 3 * columns + c + lanes);
    }
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t i = 0; i < images; ++i) {
        const double w = weights[i * resamples + r + k];
        for (std::size_t c = count == 4 ? vector_columns : 0; c < columns; ++c)
          out[k * columns + c] += w * rows[i * columns + c];
      }
    }
  }
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(add_weighted_rows);

namespace {

constexpr std::size_t kCurve = 256;
constexpr std::size_t kMsiouCurve = 257;

// Where things stand in a row.
struct Layout {
  std::size_t scalars = 0;  // one column for each entry of the table, then one each that counts those not NaN
  std::size_t present = 0;
  std::size_t e = 0, measures = 0, msiou = 0, msiou_present = 0;
  std::size_t size_invariant = 0, targets = 0;
  std::size_t mirror_precision = 0, mirror_recall = 0, mirror_present = 0;
  std::size_t binary = 0, si_binary = 0, images = 0;
  std::size_t size = 0;
};

const Layout& layout() {
  static const Layout l = [] {
    Layout v;
    std::size_t at = 0;
    const auto take = [&at](std::size_t n) {
      const std::size_t start = at;
      at += n;
      return start;
    };
    v.scalars = take(value_table().size());
    v.present = take(value_table().size());
    v.e = take(kCurve);
    v.measures = take(kMeasures * kCurve);
    v.msiou = take(kMsiouCurve);
    v.msiou_present = take(1);
    v.size_invariant = take(kCurve);
    v.targets = take(1);
    v.mirror_precision = take(kCurve);
    v.mirror_recall = take(kCurve);
    v.mirror_present = take(1);
    v.binary = take(4);
    v.si_binary = take(4);
    v.images = take(1);
    v.size = at;
    return v;
  }();
  return l;
}

void put(std::span<double> row, std::size_t at, std::span<const double> values) {
  std::copy(values.begin(), values.end(), row.begin() + static_cast<std::ptrdiff_t>(at));
}

void put(std::span<double> row, std::size_t at, const Confusion& c) {
  const double values[4] = {static_cast<double>(c.tp), static_cast<double>(c.fp), static_cast<double>(c.tn),
                            static_cast<double>(c.fn)};
  put(row, at, values);
}

Confusion confusion_from(std::span<const double> row, std::size_t at) {
  return {std::llround(row[at]), std::llround(row[at + 1]), std::llround(row[at + 2]),
          std::llround(row[at + 3])};
}

void fill_curves(const ImageScores& s, std::span<double> row) {
  const Layout& l = layout();
  if (s.correct_empty) {
    std::fill_n(row.begin() + static_cast<std::ptrdiff_t>(l.e), kCurve, 1.0);
    for (std::size_t m = 0; m < kMeasures; ++m) {
      std::fill_n(row.begin() + static_cast<std::ptrdiff_t>(l.measures + m * kCurve), kCurve,
                  s.measures[m].mean);
    }
  } else {
    const std::int64_t foreground = s.binary.tp + s.binary.fn;
    const std::int64_t background = s.binary.fp + s.binary.tn;
    Curve e;
    e_curve(s.counts, foreground, background, e);
    put(row, l.e, e);
    MeasureCurves curves;
    measure_curves(s.counts, foreground, background, curves);
    for (std::size_t m = 0; m < kMeasures; ++m) put(row, l.measures + m * kCurve, curves[m]);
  }
  if (!std::isnan(s.msiou.mean)) {
    put(row, l.msiou, s.msiou_curve);
    row[l.msiou_present] = 1;
  }
  if (s.size_invariant.targets > 0) {
    put(row, l.size_invariant, s.size_invariant.target_sum);
    row[l.targets] = static_cast<double>(s.size_invariant.targets);
    put(row, l.si_binary, s.size_invariant.binary);
  }
  if (!std::isnan(s.mirror.iou)) {
    Curve precision, recall;
    if (s.correct_empty) {
      precision.fill(1);
      recall.fill(1);
    } else {
      mirror_curves(s.mirror.counts, precision, recall);
    }
    put(row, l.mirror_precision, precision);
    put(row, l.mirror_recall, recall);
    row[l.mirror_present] = 1;
  }
}

double quotient(double a, double b) {
  return b == 0 ? std::numeric_limits<double>::quiet_NaN() : a / b;
}

struct CurvePlace {
  std::size_t at, length;
  double weight;
};

CurvePlace place_of(std::span<const double> sum, CurveOf curve, std::size_t index) {
  const Layout& l = layout();
  switch (curve) {
    case CurveOf::e:
      return {l.e, kCurve, sum[l.images]};
    case CurveOf::measure:
      return {l.measures + index * kCurve, kCurve, sum[l.images]};
    case CurveOf::msiou:
      return {l.msiou, kMsiouCurve, sum[l.msiou_present]};
    case CurveOf::size_invariant:
      return {l.size_invariant, kCurve, sum[l.targets]};
    case CurveOf::none:
      break;
  }
  return {0, 0, 0};
}

double overall(std::span<const double> sum, std::size_t index) {
  const Layout& l = layout();
  if (index == kMeasures) {
    return sum[l.targets] > 0 ? f_measure(confusion_from(sum, l.si_binary), 0.3) : kNotComputed;
  }
  return sum[l.images] > 0 ? measures_of(confusion_from(sum, l.binary))[index] : kNotComputed;
}

double mirror_from(std::span<const double> sum) {
  const Layout& l = layout();
  const double n = sum[l.mirror_present];
  if (n == 0) return kNotComputed;
  Curve precision, recall;
  for (std::size_t t = 0; t < kCurve; ++t) {
    precision[t] = sum[l.mirror_precision + t] / n;
    recall[t] = sum[l.mirror_recall + t] / n;
  }
  return mirror_f(precision, recall);
}

}  // namespace

std::size_t row_size() {
  return layout().size;
}

void fill_row(const ImageScores& s, std::span<double> row) {
  const Layout& l = layout();
  std::fill(row.begin(), row.end(), 0.0);
  const std::vector<ValueEntry>& table = value_table();
  for (std::size_t k = 0; k < table.size(); ++k) {
    if (table[k].of_image == nullptr) continue;
    const double v = table[k].of_image(s, table[k].index);
    if (std::isnan(v)) continue;
    row[l.scalars + k] = v;
    row[l.present + k] = 1;
  }
  fill_curves(s, row);
  put(row, l.binary, s.binary);
  row[l.images] = 1;
}

std::vector<double> mean_curve(std::span<const double> sum, CurveOf curve, std::size_t index) {
  const CurvePlace p = place_of(sum, curve, index);
  std::vector<double> out(p.length);
  for (std::size_t i = 0; i < p.length; ++i) out[i] = quotient(sum[p.at + i], p.weight);
  return out;
}

std::vector<double> values_of(std::span<const double> sum) {
  const Layout& l = layout();
  std::vector<double> out;
  const std::vector<ValueEntry>& table = value_table();
  for (std::size_t k = 0; k < table.size(); ++k) {
    const ValueEntry& entry = table[k];
    switch (entry.combine) {
      case Combine::mean:
        out.push_back(quotient(sum[l.scalars + k], sum[l.present + k]));
        break;
      case Combine::overall:
        out.push_back(overall(sum, entry.index));
        break;
      case Combine::mirror_f:
        out.push_back(mirror_from(sum));
        break;
      case Combine::mean_curve_max:
      case Combine::curve_mean_mean: {
        const std::vector<double> curve = mean_curve(sum, entry.curve, entry.index);
        const auto at = [&](std::int64_t i) { return curve[static_cast<std::size_t>(i)]; };
        const auto n = static_cast<std::int64_t>(curve.size());
        out.push_back(entry.combine == Combine::mean_curve_max
                          ? *std::max_element(curve.begin(), curve.end())
                          : numpy_sum<double>(at, n) / static_cast<double>(n));
        break;
      }
    }
  }
  return out;
}

void add_weighted(std::span<const double> rows, std::span<const std::uint16_t> weights, std::size_t resamples,
                  std::size_t r0, std::size_t r1, std::span<double> sums) {
  const std::size_t columns = row_size();
  HWY_DYNAMIC_DISPATCH(add_weighted_rows)
  (rows.data(), rows.size() / columns, columns, weights.data(), resamples, r0, r1, sums.data());
}

}  // namespace sam2unet::metrics
#endif  // HWY_ONCE
