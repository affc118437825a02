// Class metrics against a naive implementation, and against mmsegmentation's published numbers.
#include "metrics/class_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metrics/bootstrap.h"
#include "sam2unet/errors.h"

namespace sam2unet::metrics {
namespace {

Image map_of(std::initializer_list<std::initializer_list<int>> rows) {
  Image out(static_cast<int>(rows.begin()->size()), static_cast<int>(rows.size()), 1);
  auto to = out.pixels.begin();
  for (const auto& row : rows) {
    for (const int v : row) *to++ = static_cast<std::uint8_t>(v);
  }
  return out;
}

double value(const std::vector<Value>& values, const std::string& key) {
  for (const Value& v : values) {
    if (v.key == key) return v.value;
  }
  ADD_FAILURE() << key;
  return kNotComputed;
}

// Both NaN, or within 1e-12.
void expect_same(double got, double want, const std::string& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": " << got;
  } else {
    EXPECT_NEAR(got, want, 1e-12) << what;
  }
}

// The definition, pixel by pixel and class by class, in the words of numpy: nanmean of divide(intersect,
// union).
struct Naive {
  std::vector<double> both, truth, predicted;

  Naive(const std::vector<std::pair<Image, Image>>& pairs, int classes, int ignore)
      : both(static_cast<std::size_t>(classes)), truth(both), predicted(both) {
    for (int c = 0; c < classes; ++c) {
      const auto k = static_cast<std::size_t>(c);
      for (const auto& [p, t] : pairs) {
        for (std::size_t i = 0; i < t.pixels.size(); ++i) {
          if (t.pixels[i] == ignore) continue;
          both[k] += p.pixels[i] == c && t.pixels[i] == c;
          truth[k] += t.pixels[i] == c;
          predicted[k] += p.pixels[i] == c;
        }
      }
    }
  }
  double iou(std::size_t c) const { return both[c] / (truth[c] + predicted[c] - both[c]); }
  double dice(std::size_t c) const { return 2 * both[c] / (truth[c] + predicted[c]); }
  double recall(std::size_t c) const { return both[c] / truth[c]; }
  double precision(std::size_t c) const { return both[c] / predicted[c]; }
  double mean(double (Naive::*ratio)(std::size_t) const, std::size_t first) const {
    double sum = 0, n = 0;
    for (std::size_t c = first; c < both.size(); ++c) {
      const double v = (this->*ratio)(c);
      if (!std::isnan(v)) sum += v, ++n;
    }
    return sum / n;
  }
  double accuracy(std::size_t first) const {
    double b = 0, t = 0;
    for (std::size_t c = first; c < both.size(); ++c) b += both[c], t += truth[c];
    return b / t;
  }
  std::map<std::string, double> all() const {
    std::map<std::string, double> out;
    for (const auto& [prefix, first] : {std::pair(std::string(), std::size_t{0}), {"foreground.", 1}}) {
      out[prefix + "mIoU"] = mean(&Naive::iou, first);
      out[prefix + "mDice"] = mean(&Naive::dice, first);
      out[prefix + "mAcc"] = mean(&Naive::recall, first);
      out[prefix + "mPrecision"] = mean(&Naive::precision, first);
      out[prefix + "aAcc"] = accuracy(first);
    }
    return out;
  }
};

TEST(ClassMetrics, MmsegmentationsPublishedExample) {
  // The example of its mean IoU in the metric card of Hugging Face's evaluate ("mean_iou"), ten classes, 255
  // ignored.
  const std::vector<std::pair<Image, Image>> pairs{
      {map_of({{1, 2}, {3, 4}, {5, 255}}), map_of({{0, 3}, {5, 4}, {6, 255}})},
      {map_of({{2, 7}, {9, 2}, {3, 6}}), map_of({{1, 7}, {9, 2}, {3, 6}})},
      {map_of({{2, 2, 3}, {8, 2, 4}, {3, 255, 2}}), map_of({{1, 2, 2}, {8, 2, 1}, {3, 255, 1}})}};
  ClassConfusion confusion(10);
  std::vector<ClassRecord> records;
  for (const auto& [p, t] : pairs) records.push_back(confusion.add(p, t, 255));
  const ClassValues v = class_values(records, 10, 0, 0, 1);
  EXPECT_NEAR(value(v.means, "mIoU"), 0.47750000000000004, 1e-15);
  EXPECT_NEAR(value(v.means, "mAcc"), 0.5916666666666666, 1e-15);
  EXPECT_NEAR(value(v.means, "aAcc"), 0.5263157894736842, 1e-15);
  const std::vector<double> iou{0, 0, 0.375, 0.4, 0.5, 0, 0.5, 1, 1, 1};
  const std::vector<double> accuracy{0, 0, 0.75, 2.0 / 3, 1, 0, 0.5, 1, 1, 1};
  for (std::size_t c = 0; c < 10; ++c) {
    EXPECT_NEAR(value(v.each[c], "IoU"), iou[c], 1e-15) << c;
    EXPECT_NEAR(value(v.each[c], "recall"), accuracy[c], 1e-15) << c;
  }
}

TEST(ClassMetrics, EqualANaiveImplementationOn500RandomPairs) {
  std::mt19937 random(7);
  for (int round = 0; round < 100; ++round) {  // sets of five pairs
    const int classes = 2 + static_cast<int>(random() % 7);
    const int ignore = round % 3 == 0 ? 200 : 255;
    const auto absent =
        static_cast<int>(random() % static_cast<unsigned>(classes));  // in truths, or everywhere
    const bool absent_everywhere = round % 2 == 0;
    std::vector<std::pair<Image, Image>> pairs;
    for (int i = 0; i < 5; ++i) {
      const int w = 1 + static_cast<int>(random() % 23), h = 1 + static_cast<int>(random() % 19);
      Image p(w, h, 1), t(w, h, 1);
      const auto draw = [&](bool leave_out) {
        const auto c = static_cast<int>(random() % static_cast<unsigned>(classes));
        return static_cast<std::uint8_t>(leave_out && c == absent ? (c + 1) % classes : c);
      };
      for (std::size_t k = 0; k < t.pixels.size(); ++k) {
        t.pixels[k] = random() % 7 == 0 ? static_cast<std::uint8_t>(ignore) : draw(true);
        p.pixels[k] = random() % 3 != 0 ? t.pixels[k] : draw(absent_everywhere);
        if (random() % 40 == 0) p.pixels[k] = 255;  // no class: wrong, whatever the truth is
      }
      if (round % 10 == 9) std::fill(t.pixels.begin(), t.pixels.end(), static_cast<std::uint8_t>(ignore));
      pairs.emplace_back(std::move(p), std::move(t));
    }
    ClassConfusion confusion(classes);
    std::vector<ClassRecord> records;
    std::map<std::string, std::pair<double, double>> pictures;  // sum and number
    for (const auto& pair : pairs) {
      records.push_back(confusion.add(pair.first, pair.second, ignore));
      for (const auto& [key, v] : Naive({pair}, classes, ignore).all()) {
        if (!std::isnan(v)) pictures[key].first += v, pictures[key].second += 1;
      }
    }
    const Naive naive(pairs, classes, ignore);
    const ClassValues got = class_values(records, classes, 0, 0, 1);
    for (const auto& [key, want] : naive.all()) {
      expect_same(value(got.means, key), want, key);
      expect_same(value(got.means, "per_image." + key), pictures[key].first / pictures[key].second,
                  "per_image." + key);
    }
    for (std::size_t c = 0; c < static_cast<std::size_t>(classes); ++c) {
      expect_same(value(got.each[c], "IoU"), naive.iou(c), "IoU");
      expect_same(value(got.each[c], "Dice"), naive.dice(c), "Dice");
      expect_same(value(got.each[c], "precision"), naive.precision(c), "precision");
      expect_same(value(got.each[c], "recall"), naive.recall(c), "recall");
      EXPECT_EQ(static_cast<double>(got.areas[c].truth), naive.truth[c]);
      std::int64_t row = 0, column = 0;
      const auto k = static_cast<std::size_t>(classes);
      for (std::size_t o = 0; o <= k; ++o) row += confusion.counts()[c * (k + 1) + o];
      for (std::size_t o = 0; o < k; ++o) column += confusion.counts()[o * (k + 1) + c];
      EXPECT_EQ(row, got.areas[c].truth);
      EXPECT_EQ(column, got.areas[c].predicted);
      EXPECT_EQ(confusion.counts()[c * (k + 1) + c], got.areas[c].both);
    }
  }
}

TEST(ClassMetrics, IntervalsAreThoseOfResampledPictures) {
  std::mt19937 random(3);
  ClassConfusion confusion(3);
  std::vector<ClassRecord> records;
  for (int i = 0; i < 12; ++i) {
    Image p(9, 9, 1), t(9, 9, 1);
    for (std::size_t k = 0; k < t.pixels.size(); ++k) {
      t.pixels[k] = static_cast<std::uint8_t>(random() % 3);
      p.pixels[k] = random() % static_cast<unsigned>(2 + i) == 0 ? t.pixels[k]
                                                                 : static_cast<std::uint8_t>(random() % 3);
    }
    records.push_back(confusion.add(p, t, 255));
  }
  const ClassValues one = class_values(records, 3, 400, 5, 1), four = class_values(records, 3, 400, 5, 4);
  for (std::size_t i = 0; i < one.means.size(); ++i) {
    EXPECT_EQ(one.means[i].low, four.means[i].low) << one.means[i].key;
    EXPECT_LT(one.means[i].low, one.means[i].value) << one.means[i].key;
    EXPECT_GT(one.means[i].high, one.means[i].value) << one.means[i].key;
  }
  const ClassValues other = class_values(records, 3, 400, 6, 1);
  EXPECT_NE(one.means[0].low, other.means[0].low);
  // One picture is always drawn alone: no spread.
  const ClassValues single = class_values(std::span(records).first(1), 3, 50, 5, 2);
  EXPECT_EQ(single.means[0].low, single.means[0].value);
  EXPECT_EQ(single.means[0].high, single.means[0].value);
}

// A mean over pictures has a known standard error: 95 % lie within 1.96 of it.
TEST(ClassMetrics, IntervalsHaveTheRightWidth) {
  std::mt19937 random(7);
  ClassConfusion confusion(3);
  std::vector<ClassRecord> records;
  std::vector<double> each;
  const auto find = [](const ClassValues& values) {
    const auto it = std::ranges::find(values.means, "per_image.mIoU", &Value::key);
    EXPECT_NE(it, values.means.end());
    return *it;
  };
  for (unsigned i = 0; i < 150; ++i) {
    Image p(9, 9, 1), t(9, 9, 1);
    for (std::size_t k = 0; k < t.pixels.size(); ++k) {
      t.pixels[k] = static_cast<std::uint8_t>(random() % 3);
      p.pixels[k] = random() % (2 + i % 7) == 0 ? t.pixels[k] : static_cast<std::uint8_t>(random() % 3);
    }
    records.push_back(confusion.add(p, t, 255));
    each.push_back(find(class_values(std::span(records).last(1), 3, 0, 1, 1)).value);
  }
  const double n = static_cast<double>(each.size()),
               mean = std::accumulate(each.begin(), each.end(), 0.0) / n;
  double squares = 0;
  for (const double v : each) squares += (v - mean) * (v - mean) / n;
  const double error = std::sqrt(squares / n);
  const Value got = find(class_values(records, 3, 2000, 1, 2));
  EXPECT_NEAR(got.value, mean, 1e-12);
  EXPECT_NEAR(got.low, mean - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(got.high, mean + 1.96 * error, 0.15 * error);
}

// A resample is a set of the pictures that were drawn, some of them several times: its values are computed
// here like those of any other, and the interval reaches from numpy's percentile 2.5 to 97.5 of those there
// are. Class 2 is in one picture alone, so some sets have no value of it; class 3 is nowhere.
TEST(ClassMetrics, IntervalsAreOfTheSetsThatWereDrawn) {
  constexpr std::size_t kImages = 5, kResamples = 7;
  std::mt19937 random(11);
  ClassConfusion confusion(4);
  std::vector<ClassRecord> records;
  for (std::size_t i = 0; i < kImages; ++i) {
    Image p(7, 5, 1), t(7, 5, 1);
    const unsigned classes = i == 1 ? 3 : 2;
    for (std::size_t k = 0; k < t.pixels.size(); ++k) {
      t.pixels[k] = static_cast<std::uint8_t>(random() % classes);
      p.pixels[k] = random() % (2 + i) == 0 ? t.pixels[k] : static_cast<std::uint8_t>(random() % classes);
    }
    records.push_back(confusion.add(p, t, 255));
  }
  // Means, then the ratios of each class.
  const auto row = [](const ClassValues& values) {
    std::vector<Value> out = values.means;
    for (const auto& each : values.each) out.insert(out.end(), each.begin(), each.end());
    return out;
  };
  const std::vector<std::uint16_t> weights = draw_weights(kImages, kResamples, 5);
  std::vector<std::vector<double>> drawn(20 + 4 * 4);
  for (std::size_t r = 0; r < kResamples; ++r) {
    std::vector<ClassRecord> set;
    for (std::size_t i = 0; i < kImages; ++i)
      for (int n = 0; n < weights[i * kResamples + r]; ++n) set.push_back(records[i]);
    const std::vector<Value> values = row(class_values(set, 4, 0, 0, 1));
    ASSERT_EQ(values.size(), drawn.size());
    for (std::size_t k = 0; k < values.size(); ++k)
      if (!std::isnan(values[k].value)) drawn[k].push_back(values[k].value);
  }
  const auto at = [](std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const double above = values[std::min(below + 1, values.size() - 1)];
    return values[below] + (place - static_cast<double>(below)) * (above - values[below]);
  };
  std::set<std::size_t> sets;
  for (const int threads : {1, 3}) {
    const std::vector<Value> values = row(class_values(records, 4, kResamples, 5, threads));
    for (std::size_t k = 0; k < values.size(); ++k) {
      sets.insert(drawn[k].size());
      const std::string what = std::to_string(k) + " " + values[k].key;
      expect_same(values[k].low, drawn[k].empty() ? kNotComputed : at(drawn[k], 0.025), what);
      expect_same(values[k].high, drawn[k].empty() ? kNotComputed : at(drawn[k], 0.975), what);
    }
  }
  EXPECT_EQ(*sets.begin(), 0U);           // of the class that is nowhere
  EXPECT_EQ(*sets.rbegin(), kResamples);  // of the others
  EXPECT_EQ(sets.size(), 3U);             // of the one that some sets are without
}

TEST(ClassMetrics, WhatDoesNotFitIsRefused) {
  ClassConfusion confusion(2);
  EXPECT_THROW(confusion.add(Image(2, 2, 1), Image(2, 3, 1), 255), UsageError);
  EXPECT_THROW(confusion.add(Image(2, 2, 3), Image(2, 2, 1), 255), UsageError);
  EXPECT_THROW(confusion.add(Image(1, 1, 1), map_of({{2}}), 255), UsageError);
  EXPECT_THROW(confusion.add(ClassConfusion(3)), UsageError);
  EXPECT_EQ(class_values({}, 2, 100, 0, 2).means.size(), 20u);
}

}  // namespace
}  // namespace sam2unet::metrics
