// From pictures to data sets: policies for empty ground truths, resampling, order.
#include "metrics/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "metrics/bootstrap.h"
#include "metrics/resize.h"
#include "metrics/scorer.h"
#include "metrics/value_table.h"
#include "sam2unet/errors.h"
#include "support/instruction_sets.h"

namespace sam2unet::metrics {
namespace {

Image noise(int w, int h, unsigned seed, int levels) {
  std::mt19937 random(seed);
  Image m(w, h, 1);
  for (auto& v : m.pixels)
    v = static_cast<std::uint8_t>(random() % static_cast<unsigned>(levels) * 255u /
                                  static_cast<unsigned>(levels - 1));
  return m;
}

std::vector<ImageScores> some_records(unsigned count) {
  Scorer scorer;
  std::vector<ImageScores> out;
  for (unsigned i = 0; i < count; ++i)
    out.push_back(scorer.score(noise(31, 20, i, 9), noise(31, 20, 1000 + i, 2)));
  return out;
}

double value(const std::vector<Value>& values, const std::string& key) {
  const auto at = std::find_if(values.begin(), values.end(), [&](const Value& v) { return v.key == key; });
  EXPECT_NE(at, values.end()) << key;
  return at == values.end() ? kNotComputed : at->value;
}

TEST(Dataset, MeansAndMaximaOfMeanCurves) {
  const std::vector<ImageScores> records = some_records(7);
  const std::vector<Value> v = dataset_values(records, 0, 0, 1);
  double s = 0, best_of_means = 0, mean_of_bests = 0;
  for (const ImageScores& r : records) {
    s += r.s / 7;
    mean_of_bests += r.measures[0].max / 7;
  }
  for (std::size_t i = 0; i < 256; ++i) {
    double mean = 0;
    for (const ImageScores& r : records) {
      MeasureCurves curves;
      measure_curves(r.counts, r.binary.tp + r.binary.fn, r.binary.fp + r.binary.tn, curves);
      mean += curves[0][i] / 7;
    }
    best_of_means = std::max(best_of_means, mean);
  }
  EXPECT_NEAR(value(v, "S"), s, 1e-12);
  EXPECT_NEAR(value(v, "fm.max"), best_of_means, 1e-12);
  EXPECT_LE(value(v, "fm.max"), mean_of_bests);
  Confusion sum;
  for (const ImageScores& r : records) sum += r.binary;
  EXPECT_EQ(value(v, "overall_iou"), measures_of(sum)[static_cast<std::size_t>(Measure::iou)]);
  EXPECT_TRUE(std::isnan(value(v, "CCM")));
}

// Picture i is right at thresholds above 35 + 30 i (the first above 0) up to 60 + 30 i alone; a pixel of 0
// and one of 255 keep the range.
TEST(Dataset, TheMaximumIsOfTheMeanCurve) {
  Scorer scorer;
  Image truth(8, 4, 1);
  for (std::size_t i = 0; i < 16; ++i) truth.pixels[i] = 255;
  std::vector<ImageScores> records;
  for (int i = 0; i < 5; ++i) {
    Image map(8, 4, 1);
    for (std::size_t p = 0; p < map.pixels.size(); ++p)
      map.pixels[p] = static_cast<std::uint8_t>(p < 16 ? 60 + 30 * i : i == 0 ? 0 : 35 + 30 * i);
    map.pixels.front() = 255;
    map.pixels.back() = 0;
    records.push_back(scorer.score(map, truth));
    EXPECT_NEAR(records.back().measures[static_cast<std::size_t>(Measure::iou)].max, 1, 1e-12) << i;
  }
  // The mean is best where the first is right, and the others are white but for the last pixel: 16 of 31.
  EXPECT_NEAR(value(dataset_values(records, 0, 0, 1), "iou.max"), (1 + 4 * 16.0 / 31) / 5, 1e-12);
}

TEST(Dataset, NothingGivesNothing) {
  for (const Value& v : dataset_values({}, 100, 0, 2)) EXPECT_TRUE(std::isnan(v.value)) << v.key;
}

TEST(Dataset, EmptyGroundTruthPolicies) {
  Scorer scorer;
  const Image black(20, 20, 1);
  Image dot = black;
  dot.row(3)[3] = 255;
  const Image gt = noise(20, 20, 1, 2);
  const std::vector<ImageScores> all = {scorer.score(black, black), scorer.score(dot, black),
                                        scorer.score(gt, gt)};
  EXPECT_TRUE(all[0].empty_truth);
  EXPECT_TRUE(all[0].empty_prediction);
  EXPECT_FALSE(all[1].empty_prediction);

  const auto under = [&](EmptyTruth policy) {
    std::vector<ImageScores> counted;
    for (ImageScores s : all) {
      if (apply_policy(policy, s)) counted.push_back(s);
    }
    return counted;
  };
  const std::vector<ImageScores> paper = under(EmptyTruth::paper), skip = under(EmptyTruth::skip),
                                 one = under(EmptyTruth::one_if_correct);
  EXPECT_EQ(paper.size(), 3u);
  EXPECT_EQ(skip.size(), 1u);
  EXPECT_EQ(one.size(), 3u);
  EXPECT_NEAR(value(dataset_values(paper, 0, 0, 1), "sample_iou"), 1.0 / 3, 1e-12);
  EXPECT_NEAR(value(dataset_values(skip, 0, 0, 1), "sample_iou"), 1, 1e-12);
  const std::vector<Value> v = dataset_values(one, 0, 0, 1);
  EXPECT_NEAR(value(v, "sample_iou"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(value(v, "iou.mean"),
              (2 + 255.0 / 256 * 0 + value(dataset_values(skip, 0, 0, 1), "iou.mean") - 1) / 3, 1e-12);
  EXPECT_NEAR(value(v, "wF"), 2.0 / 3, 1e-9);
  EXPECT_EQ(value(v, "MAE"), value(dataset_values(paper, 0, 0, 1), "MAE"));
}

TEST(Dataset, IntervalsAreSeededAndFreeOfThreads) {
  const std::vector<ImageScores> records = some_records(23);
  const std::vector<Value> a = dataset_values(records, 203, 5, 1), b = dataset_values(records, 203, 5, 3);
  const std::vector<Value> c = dataset_values(records, 203, 6, 3);
  bool differs = false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (std::isnan(a[k].value)) continue;
    EXPECT_EQ(a[k].low, b[k].low) << a[k].key;
    EXPECT_EQ(a[k].high, b[k].high) << a[k].key;
    EXPECT_LE(a[k].low, a[k].high);
    differs = differs || a[k].low != c[k].low;
  }
  EXPECT_TRUE(differs);
}

// The standard error of a mean is known: the interval of the bootstrap must be near it.
TEST(Dataset, IntervalsHaveTheRightWidth) {
  const std::vector<ImageScores> records = some_records(150);
  double mean = 0, squares = 0;
  for (const ImageScores& r : records) mean += r.mae / 150;
  for (const ImageScores& r : records) squares += (r.mae - mean) * (r.mae - mean) / 150;
  const double error = std::sqrt(squares / 150);
  for (const Value& v : dataset_values(records, 2000, 1, 2)) {
    if (v.key != "MAE") continue;
    EXPECT_NEAR(v.low, mean - 1.96 * error, 0.15 * error);
    EXPECT_NEAR(v.high, mean + 1.96 * error, 0.15 * error);
  }
}

// A resampled data set is a data set: the value of drawn pictures, computed directly, with numbers of one
// seed.
TEST(Dataset, OnePictureHasNoSpread) {
  const std::vector<ImageScores> records = some_records(1);
  for (const Value& v : dataset_values(records, 50, 3, 2)) {
    if (std::isnan(v.value)) continue;
    EXPECT_NEAR(v.low, v.value, 1e-12 * std::max(1.0, std::abs(v.value))) << v.key;
    EXPECT_NEAR(v.high, v.value, 1e-12 * std::max(1.0, std::abs(v.value))) << v.key;
  }
}

TEST(Dataset, KeysAreUnique) {
  std::vector<std::string> keys;
  for (const ValueEntry& e : value_table()) keys.push_back(e.key);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  EXPECT_TRUE(higher_is_better("S"));
  // Errors, rates of errors and distances: the rest of a table is agreement.
  std::vector<std::string> lower;
  for (const std::string& key : keys) {
    const std::string stem = key.substr(0, key.find('.'));
    if (!higher_is_better(key) && std::find(lower.begin(), lower.end(), stem) == lower.end())
      lower.push_back(stem);
  }
  EXPECT_EQ(lower, (std::vector<std::string>{"ASSD", "HCE", "HD95", "MAE", "SIMAE", "ber", "fpr", "mirror",
                                             "overall_ber", "overall_fpr", "sample_ber", "sample_fpr"}));
  for (const char* key : {"mirror.F", "mirror.Acc", "mirror.IoU"}) EXPECT_TRUE(higher_is_better(key)) << key;
}

// cv2.resize(..., interpolation=cv2.INTER_LINEAR), OpenCV 4.12, of map[y][x] = (x * 37 + y * 91) % 256, 13x9.
TEST(Resize, AsOpenCv) {
  Image map(13, 9, 1);
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 13; ++x) map.row(y)[x] = static_cast<std::uint8_t>((x * 37 + y * 91) % 256);
  }
  const auto sum = [](const Image& m) {
    std::uint32_t h = 2166136261u;  // FNV-1a of the bytes
    for (const auto v : m.pixels) h = (h ^ v) * 16777619u;
    return h;
  };
  EXPECT_EQ(sum(resize_linear(map, 13, 9)), sum(map));
  EXPECT_EQ(sum(resize_linear(map, 29, 31)), 1921573262u);
  EXPECT_EQ(sum(resize_linear(map, 7, 5)), 1182546176u);
  EXPECT_EQ(sum(resize_linear(map, 1, 1)), 3473672221u);
  EXPECT_EQ(sum(resize_linear(map, 100, 3)), 1307808970u);
  EXPECT_THROW(resize_linear(map, 0, 3), UsageError);
}

// Nothing is there and nothing was found: agreement is 1 and every error is 0, as with a picture that is
// right.
TEST(Dataset, OneIfCorrectGivesEveryErrorItsBestValue) {
  Scorer scorer;
  const Image black(20, 20, 1);
  ImageScores right = scorer.score(black, black);
  ASSERT_TRUE(apply_policy(EmptyTruth::one_if_correct, right));
  const std::vector<Value> v = image_values(right);
  for (const char* key : {"mirror.BER", "fpr.mean", "sample_ber", "MAE", "mirror.MAE"})
    EXPECT_EQ(value(v, key), 0) << key;
  for (const char* key : {"mirror.IoU", "mirror.acc", "S", "E_mean", "fm.max", "BIoU", "MSIoU.mean"})
    EXPECT_EQ(value(v, key), 1) << key;
}

// numpy.percentile: between the two nearest, in proportion.
TEST(Bootstrap, PercentilesAreNumpys) {
  EXPECT_DOUBLE_EQ(percentile({1, 2, 4, 8, 16}, 2.5), 1.1);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 4, 8, 16}, 97.5), 15.2);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 4, 8, 16}, 100), 16);
  EXPECT_DOUBLE_EQ(percentile({3}, 2.5), 3);
}

// A resample is a data set of the pictures that were drawn, some of them several times: its values are
// computed here like those of any other, and the interval reaches from numpy's percentile 2.5 to 97.5 of
// them. Seven resamples and 19 pictures are no whole number of what is summed up at a time.
TEST(Bootstrap, IntervalsAreOfTheDataSetsThatWereDrawn) {
  constexpr std::size_t kImages = 19, kResamples = 7;
  const std::vector<ImageScores> records = some_records(kImages);
  const std::vector<std::uint16_t> weights = draw_weights(kImages, kResamples, 5);
  std::vector<std::vector<double>> drawn(value_table().size());
  for (std::size_t r = 0; r < kResamples; ++r) {
    std::vector<ImageScores> set;
    for (std::size_t i = 0; i < kImages; ++i)
      for (int n = 0; n < weights[i * kResamples + r]; ++n) set.push_back(records[i]);
    const std::vector<Value> values = dataset_values(set, 0, 0, 1);
    for (std::size_t k = 0; k < values.size(); ++k) drawn[k].push_back(values[k].value);
  }
  for (auto& d : drawn) std::sort(d.begin(), d.end());
  for (const std::int64_t target : test::instruction_sets()) {
    const test::InstructionSet use(target);
    SCOPED_TRACE(test::name_of(target));
    for (const int threads : {1, 2, 3}) {
      const std::vector<Value> values = dataset_values(records, kResamples, 5, threads);
      for (std::size_t k = 0; k < values.size(); ++k) {
        if (std::isnan(values[k].value)) continue;
        const std::vector<double>& d = drawn[k];
        const double within = 1e-9 * std::max(1.0, std::abs(d[6]));
        EXPECT_NEAR(values[k].low, d[0] + 0.15 * (d[1] - d[0]), within) << values[k].key;
        EXPECT_NEAR(values[k].high, d[5] + 0.85 * (d[6] - d[5]), within) << values[k].key;
      }
    }
  }
}

// Of three pictures one has the value: three resamples of ten have none of it.
TEST(Bootstrap, AResampleWithoutAValueIsLeftOut) {
  std::vector<ImageScores> records = some_records(3);
  records[0].ccm = 0.5;
  for (const Value& v : dataset_values(records, 60, 3, 1)) {
    if (v.key != "CCM") continue;
    EXPECT_EQ(v.value, 0.5);
    EXPECT_EQ(v.low, 0.5);
    EXPECT_EQ(v.high, 0.5);
  }
}

// A resample draws as many pictures as there are, each as often as any other.
TEST(Bootstrap, AResampleHasAsManyPicturesAsTheSet) {
  constexpr std::size_t kImages = 7, kResamples = 600;
  const std::vector<std::uint16_t> w = draw_weights(kImages, kResamples, 11);
  std::vector<double> mean(kImages);
  for (std::size_t r = 0; r < kResamples; ++r) {
    unsigned drawn = 0;
    for (std::size_t i = 0; i < kImages; ++i) {
      drawn += w[i * kResamples + r];
      mean[i] += static_cast<double>(w[i * kResamples + r]) / kResamples;
    }
    EXPECT_EQ(drawn, kImages);
  }
  // One each, with a standard error of sqrt(6 / 7 / 600) = 0.038.
  for (const double m : mean) EXPECT_NEAR(m, 1, 0.16);
}

}  // namespace
}  // namespace sam2unet::metrics
