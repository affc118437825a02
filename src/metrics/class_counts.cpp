#include "metrics/class_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "metrics/bootstrap.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {
namespace {

double ratio(std::int64_t a, std::int64_t b) {
  return b == 0 ? kNotComputed : static_cast<double>(a) / static_cast<double>(b);
}

// numpy.nanmean
class Mean {
 public:
  void add(double v, double weight = 1) {
    if (std::isnan(v)) return;
    sum_ += weight * v;
    weights_ += weight;
  }
  double value() const { return weights_ > 0 ? sum_ / weights_ : kNotComputed; }

 private:
  double sum_ = 0, weights_ = 0;
};

void add_means(std::span<const ClassArea> areas, const std::string& prefix, std::vector<Value>& out) {
  Mean iou, dice, recall, precision;
  std::int64_t both = 0, truth = 0;
  for (const ClassArea& area : areas) {
    const ClassRatios r = ratios_of(area);
    iou.add(r.iou);
    dice.add(r.dice);
    recall.add(r.recall);
    precision.add(r.precision);
    both += area.both;
    truth += area.truth;
  }
  out.push_back({prefix + "mIoU", iou.value()});
  out.push_back({prefix + "mDice", dice.value()});
  out.push_back({prefix + "mAcc", recall.value()});
  out.push_back({prefix + "aAcc", ratio(both, truth)});
  out.push_back({prefix + "mPrecision", precision.value()});
}

// All values of a set in one row: the means, the means over pictures, then the ratios of each class.
struct Row {
  std::vector<ClassArea> areas;
  std::vector<double> values;
};

std::vector<std::vector<double>> means_of_pictures(std::span<const ClassRecord> records) {
  std::vector<std::vector<double>> out;
  for (const ClassRecord& r : records) {
    out.emplace_back();
    for (const Value& v : class_means(r.areas)) out.back().push_back(v.value);
  }
  return out;
}

// `weight` says how often a picture counts.
template <class Weight>
Row row_of(std::span<const ClassRecord> records, const std::vector<std::vector<double>>& pictures,
           int classes, const Weight& weight) {
  Row row{std::vector<ClassArea>(static_cast<std::size_t>(classes)), {}};
  std::vector<Mean> means(class_means(row.areas).size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::int64_t w = weight(i);
    if (w == 0) continue;
    for (std::size_t c = 0; c < row.areas.size(); ++c) {
      row.areas[c].both += w * records[i].areas[c].both;
      row.areas[c].truth += w * records[i].areas[c].truth;
      row.areas[c].predicted += w * records[i].areas[c].predicted;
    }
    for (std::size_t k = 0; k < means.size(); ++k) means[k].add(pictures[i][k], static_cast<double>(w));
  }
  for (const Value& v : class_means(row.areas)) row.values.push_back(v.value);
  for (const Mean& m : means) row.values.push_back(m.value());
  for (const ClassArea& area : row.areas) {
    const ClassRatios r = ratios_of(area);
    row.values.insert(row.values.end(), {r.iou, r.dice, r.precision, r.recall});
  }
  return row;
}

}  // namespace

ClassRatios ratios_of(const ClassArea& a) {
  return {ratio(a.both, a.truth + a.predicted - a.both), ratio(2 * a.both, a.truth + a.predicted),
          ratio(a.both, a.predicted), ratio(a.both, a.truth)};
}

ClassConfusion::ClassConfusion(int classes)
    : classes_(classes),
      counts_(static_cast<std::size_t>(classes) * (static_cast<std::size_t>(classes) + 1), 0) {}

ClassRecord ClassConfusion::add(const ImageView& prediction, const ImageView& truth, int ignore) {
  if (prediction.channels != 1 || truth.channels != 1 || prediction.width != truth.width ||
      prediction.height != truth.height) {
    throw UsageError(
        fmt::format("a prediction of {}x{} pixels and a truth of {}x{}: both must be ids of one size",
                    prediction.width, prediction.height, truth.width, truth.height));
  }
  const auto k = static_cast<std::size_t>(classes_);
  // A table of all values, folded once: pixels cost one addition, whatever they hold.
  std::vector<std::int64_t> pairs(std::size_t{256} * 256, 0);
  for (int y = 0; y < truth.height; ++y) {
    const std::uint8_t* t = truth.row(y);
    const std::uint8_t* p = prediction.row(y);
    for (int x = 0; x < truth.width; ++x) ++pairs[static_cast<std::size_t>(t[x]) << 8 | p[x]];
  }
  ClassRecord record{std::vector<ClassArea>(k), 0};
  for (std::size_t t = 0; t < 256; ++t) {
    for (std::size_t p = 0; p < 256; ++p) {
      const std::int64_t n = pairs[t << 8 | p];
      if (n == 0) continue;
      if (t == static_cast<std::size_t>(ignore)) {
        record.ignored += n;
        continue;
      }
      if (t >= k) throw UsageError(fmt::format("the truth has the id {}, but there are {} classes", t, k));
      counts_[t * (k + 1) + std::min(p, k)] += n;
      record.areas[t].truth += n;
      if (p < k) record.areas[p].predicted += n;
      if (p == t) record.areas[t].both += n;
    }
  }
  return record;
}

void ClassConfusion::add(const ClassConfusion& other) {
  if (other.classes_ != classes_) throw UsageError("confusion matrices of different classes cannot be added");
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::vector<Value> class_means(std::span<const ClassArea> areas) {
  std::vector<Value> out;
  add_means(areas, "", out);
  add_means(areas.subspan(std::min<std::size_t>(1, areas.size())), "foreground.", out);
  return out;
}

ClassValues class_values(std::span<const ClassRecord> records, int classes, int resamples, std::uint64_t seed,
                         int threads) {
  const auto pictures = means_of_pictures(records);
  Row total = row_of(records, pictures, classes, [](std::size_t) { return 1; });
  std::vector<double> low(total.values.size(), kNotComputed), high = low;
  if (resamples > 0 && !records.empty()) {
    const auto count = static_cast<std::size_t>(resamples);
    const std::vector<std::uint16_t> weights = draw_weights(records.size(), count, seed);
    std::vector<std::vector<double>> drawn(count);
    {
      std::vector<std::jthread> pool;
      const auto workers = static_cast<std::size_t>(std::clamp(threads, 1, resamples));
      for (std::size_t w = 0; w < workers; ++w) {
        pool.emplace_back([&, w] {
          for (std::size_t r = w; r < count; r += workers) {
            drawn[r] = row_of(records, pictures, classes, [&](std::size_t i) {
                         return weights[i * count + r];
                       }).values;
          }
        });
      }
    }
    for (std::size_t v = 0; v < total.values.size(); ++v) {
      if (std::isnan(total.values[v])) continue;
      std::vector<double> known;
      for (const auto& row : drawn) {
        if (!std::isnan(row[v])) known.push_back(row[v]);
      }
      if (known.empty()) continue;
      std::sort(known.begin(), known.end());
      low[v] = percentile(known, 2.5);
      high[v] = percentile(known, 97.5);
    }
  }
  std::size_t at = 0;
  const auto next = [&](const std::string& key) {
    Value v{key, total.values[at], low[at], high[at]};
    ++at;
    return v;
  };
  ClassValues out;
  const std::vector<Value> keys = class_means(total.areas);
  for (const char* prefix : {"", "per_image."}) {
    for (const Value& k : keys) out.means.push_back(next(prefix + k.key));
  }
  for (int c = 0; c < classes; ++c) {
    out.each.emplace_back();
    for (const char* key : {"IoU", "Dice", "precision", "recall"}) out.each.back().push_back(next(key));
  }
  out.areas = std::move(total.areas);
  return out;
}

}  // namespace sam2unet::metrics
