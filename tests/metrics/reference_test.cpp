// Every value PySODMetrics 1.6.2 gives, within 1e-9.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "maps.h"
#include "metrics/scorer.h"
#include "support/shared_data.h"

namespace sam2unet::metrics {
namespace {

using nlohmann::json;

int compared = 0;  // how many values were really there to compare

void expect_near(const json& expected, const std::string& key, double ours) {
  if (!expected.contains(key) || !expected.at(key).is_number())
    return;  // the reference raises or returns NaN
  ++compared;
  EXPECT_NEAR(expected.at(key).get<double>(), ours, 1e-9) << key;
}

void expect_summary(const json& expected, const std::string& key, const Summary& ours) {
  if (!expected.contains(key)) return;
  expect_near(expected.at(key), "adp", ours.adp);
  expect_near(expected.at(key), "mean", ours.mean);
  expect_near(expected.at(key), "max", ours.max);
  expect_near(expected.at(key), "bin", ours.bin);
}

void expect_scores(const json& expected, const ImageScores& ours) {
  expect_near(expected, "S", ours.s);
  expect_near(expected, "wF", ours.weighted_f);
  expect_near(expected, "MAE", ours.mae);
  expect_near(expected, "E_adp", ours.e_adp);
  expect_near(expected, "E_mean", ours.e_mean);
  expect_near(expected, "E_max", ours.e_max);
  expect_near(expected, "HCE", ours.hce);
  expect_summary(expected, "MSIoU", ours.msiou);
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const std::string name(name_of(static_cast<Measure>(m)));
    expect_summary(expected, name, ours.measures[m]);
    expect_near(expected, "sample_" + name, ours.measures[m].bin);
  }
}

void check_maps(const std::filesystem::path& stem) {
  Scorer scorer;
  int index = 0;
  compared = 0;
  for (const test::MapCase& c : test::read_maps(stem)) {
    SCOPED_TRACE("map " + std::to_string(index++) + ", " + c.expected.at("kind").get<std::string>());
    const ImageView picture = c.picture;
    expect_scores(c.expected, scorer.score(c.prediction, c.truth, &picture));
  }
  EXPECT_GE(compared, 50 * index);
}

TEST(Reference, RandomMaps) {
  check_maps(test::repository_data() / "metrics" / "random");
}

}  // namespace
}  // namespace sam2unet::metrics
