#include "metrics/dataset.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "metrics/accumulate.h"
#include "metrics/bootstrap.h"
#include "metrics/value_table.h"

namespace sam2unet::metrics {

namespace {

void mark_correct(ImageScores& s) {
  s.correct_empty = true;
  s.s = s.weighted_f = s.e_adp = s.e_mean = s.e_max = 1;
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const bool error =
        m == static_cast<std::size_t>(Measure::fpr) || m == static_cast<std::size_t>(Measure::ber);
    const double v = error ? 0 : 1;
    s.measures[m] = {v, v, v, v};
  }
  const auto perfect = [](double& v) { v = std::isnan(v) ? v : 1; };
  if (!std::isnan(s.msiou.mean)) {
    s.msiou = {1, 1, 1, 1};
    s.msiou_curve.fill(1);
  }
  perfect(s.cm);
  perfect(s.ccm);
  if (s.size_invariant.targets > 0) {
    s.size_invariant.sample = {1, 1, 1, 1};
    s.size_invariant.target_sum.fill(static_cast<double>(s.size_invariant.targets));
  }
  perfect(s.boundary_iou);
  perfect(s.mirror.iou);
  perfect(s.mirror.accuracy);
  if (!std::isnan(s.mirror.ber)) s.mirror.ber = 0;
}

std::vector<double> total_row(std::span<const ImageScores> records) {
  std::vector<double> sum(row_size(), 0), row(row_size());
  for (const ImageScores& r : records) {
    fill_row(r, row);
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += row[c];
  }
  return sum;
}

// Values of the resamples r0 .. r1, [r1 - r0][value].
void resample(std::span<const ImageScores> records, std::span<const std::uint16_t> weights,
              std::size_t resamples, std::size_t r0, std::size_t r1, std::vector<std::vector<double>>& out) {
  constexpr std::size_t kBlock = 16;  // rows that stay in the cache together
  const std::size_t columns = row_size();
  std::vector<double> sums((r1 - r0) * columns, 0), rows(kBlock * columns);
  for (std::size_t first = 0; first < records.size(); first += kBlock) {
    const std::size_t n = std::min(kBlock, records.size() - first);
    for (std::size_t i = 0; i < n; ++i)
      fill_row(records[first + i], std::span(rows).subspan(i * columns, columns));
    add_weighted(std::span(rows).first(n * columns), weights.subspan(first * resamples, n * resamples),
                 resamples, r0, r1, sums);
  }
  for (std::size_t r = r0; r < r1; ++r)
    out[r] = values_of(std::span(sums).subspan((r - r0) * columns, columns));
}

void add_intervals(std::span<const ImageScores> records, std::size_t resamples, std::uint64_t seed,
                   int threads, std::vector<Value>& values) {
  const std::vector<std::uint16_t> weights = draw_weights(records.size(), resamples, seed);
  std::vector<std::vector<double>> drawn(resamples);
  const std::size_t workers =
      std::clamp<std::size_t>(static_cast<std::size_t>(threads), 1, (resamples + 3) / 4);
  const std::size_t share = (resamples + workers - 1) / workers;
  {
    std::vector<std::jthread> pool;
    for (std::size_t first = 0; first < resamples; first += share) {
      pool.emplace_back([&, first] {
        resample(records, weights, resamples, first, std::min(first + share, resamples), drawn);
      });
    }
  }
  std::vector<double> column(resamples);
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isnan(values[k].value)) continue;
    for (std::size_t r = 0; r < resamples; ++r) column[r] = drawn[r][k];
    // A resample may hold no picture that has this value.
    const auto end = std::remove_if(column.begin(), column.end(), [](double v) { return std::isnan(v); });
    std::vector<double> known(column.begin(), end);
    if (known.empty()) continue;
    std::sort(known.begin(), known.end());
    values[k].low = percentile(known, 2.5);
    values[k].high = percentile(known, 97.5);
  }
}

}  // namespace

bool apply_policy(EmptyTruth policy, ImageScores& record) {
  if (!record.empty_truth) return true;
  if (policy == EmptyTruth::one_if_correct && record.empty_prediction) mark_correct(record);
  return policy != EmptyTruth::skip;
}

std::vector<Value> image_values(const ImageScores& scores) {
  std::vector<Value> out;
  for (const ValueEntry& entry : value_table()) {
    if (entry.of_image != nullptr) out.push_back({entry.key, entry.of_image(scores, entry.index)});
  }
  return out;
}

std::vector<Value> dataset_values(std::span<const ImageScores> records, int resamples, std::uint64_t seed,
                                  int threads) {
  const std::vector<double> numbers = values_of(total_row(records));
  std::vector<Value> out;
  for (std::size_t k = 0; k < numbers.size(); ++k) out.push_back({value_table()[k].key, numbers[k]});
  if (resamples > 0 && !records.empty()) {
    add_intervals(records, static_cast<std::size_t>(resamples), seed, threads, out);
  }
  return out;
}

MeanCurves mean_curves(std::span<const ImageScores> records) {
  const std::vector<double> sum = total_row(records);
  const auto by_threshold = [&](CurveOf curve, Measure m) {
    std::vector<double> v = mean_curve(sum, curve, static_cast<std::size_t>(m));
    std::reverse(v.begin(), v.end());
    return v;
  };
  return {by_threshold(CurveOf::measure, Measure::pre), by_threshold(CurveOf::measure, Measure::rec),
          by_threshold(CurveOf::measure, Measure::fm), by_threshold(CurveOf::e, Measure::fm)};
}

bool higher_is_better(const std::string& key) {
  const auto& table = value_table();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const ValueEntry& e) { return e.key == key; });
  return found == table.end() || found->better == Better::higher;
}

}  // namespace sam2unet::metrics
