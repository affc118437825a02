// Every value PySODMetrics 1.6.2 gives, within 1e-9.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "maps.h"
#include "metrics/dataset.h"
#include "metrics/scorer.h"
#include "support/instruction_sets.h"
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
  expect_near(expected, "CM", ours.cm);
  expect_near(expected, "CCM", ours.ccm);
  expect_near(expected, "SIMAE", ours.simae);
  expect_summary(expected, "SI_sample_fm", ours.size_invariant.sample);
  if (expected.contains("SI_overall_fm")) {
    const json& overall = expected.at("SI_overall_fm");
    Curve curve = ours.size_invariant.target_sum;
    for (double& v : curve) v /= static_cast<double>(ours.size_invariant.targets);
    expect_near(overall, "mean", mean_of(curve));
    expect_near(overall, "max", max_of(curve));
    expect_near(overall, "bin", f_measure(ours.size_invariant.binary, 0.3));
  }
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

class Reference : public ::testing::TestWithParam<std::int64_t> {
  test::InstructionSet instructions_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(On, Reference, ::testing::ValuesIn(test::instruction_sets()),
                         [](const auto& i) { return test::name_of(i.param); });

TEST_P(Reference, RandomMaps) {
  check_maps(test::repository_data() / "metrics" / "random");
}

// What a file says instead of a number: the reference raised, or gave NaN.
void count_leaves(const json& expected, int& numbers, std::set<std::string>& others,
                  const std::string& at = "") {
  for (const auto& [key, value] : expected.items()) {
    if (value.is_object()) {
      count_leaves(value, numbers, others, at + key + ".");
    } else if (value.is_number()) {
      ++numbers;
    } else if (key != "name") {
      others.insert(at + key);
    }
  }
}

// The 16x16 maps that edge_cases.json describes.
Image edge_map(const std::string& name) {
  Image m(16, 16, 1);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) {
      const bool box = y >= 4 && y <= 11 && x >= 4 && x <= 11;
      int v = 0;
      if (name == "gt1" || name == "pred255") v = 255;
      if (name == "gtbox") v = box ? 255 : 0;
      if (name == "gt_lastrow") v = y == 15 && x >= 4 && x <= 11 ? 255 : 0;
      if (name == "ramp") v = 16 * y + x;
      if (name == "const128") v = 128;
      m.row(y)[x] = static_cast<std::uint8_t>(v);
    }
  }
  return m;
}

TEST_P(Reference, EdgeCases) {
  const json file = json::parse(std::ifstream(test::repository_data() / "metrics" / "edge_cases.json"));
  compared = 0;
  int there = 0;
  std::set<std::string> undefined;
  for (const auto& [name, expected] : file.at("cases").items()) {
    SCOPED_TRACE(name);
    const std::size_t cut = name.rfind('_');
    const std::string pred = name.substr(cut + 1);
    const Image gt = edge_map(name.substr(0, cut));
    Scorer scorer;
    expect_scores(expected, scorer.score(pred == "perfect" ? gt : edge_map(pred), gt));
    count_leaves(expected, there, undefined);
  }
  EXPECT_EQ(compared, there);
  EXPECT_EQ(there, 315);
  EXPECT_EQ(undefined, (std::set<std::string>{"S", "SIMAE"}));  // see DefinedWhereTheReferenceIsNot
}

// Two targets whose boxes share one column (and no pixel): PySODMetrics 1.6.2 says the same on its side.
TEST_P(Reference, SizeInvariantErrorOfBoxesThatShareAColumnOrARow) {
  const auto fill = [](Image& map, int x0, int x1, int y0, int y1) {
    for (int y = y0; y < y1; ++y) std::fill(map.row(y) + x0, map.row(y) + x1, std::uint8_t{255});
  };
  Image truth(18, 14, 1), map(18, 14, 1);
  fill(truth, 1, 5, 1, 13);
  fill(truth, 5, 9, 1, 3);
  fill(truth, 8, 15, 4, 13);
  for (int y = 0; y < 14; ++y) {
    for (int x = 0; x < 18; ++x) map.row(y)[x] = static_cast<std::uint8_t>(13 * x + 7 * y);
  }
  Image truth_turned(14, 18, 1), map_turned(14, 18, 1);
  for (int y = 0; y < 14; ++y) {
    for (int x = 0; x < 18; ++x) {
      truth_turned.row(x)[y] = truth.row(y)[x];
      map_turned.row(x)[y] = map.row(y)[x];
    }
  }
  Scorer scorer;
  EXPECT_NEAR(scorer.score(map, truth).simae, 0.4363789758622659, 1e-12);
  EXPECT_NEAR(scorer.score(map_turned, truth_turned).simae, 0.4363789758622659, 1e-12);
}

// Values that the reference does not have for the edge cases: ours are defined in docs/metrics.md.
TEST_P(Reference, DefinedWhereTheReferenceIsNot) {
  Scorer scorer;
  const Image last_row = edge_map("gt_lastrow");
  EXPECT_NEAR(scorer.score(last_row, last_row).s, 1, 1e-9);
  const Image full = edge_map("gt1");
  EXPECT_EQ(scorer.score(full, full).simae, 0);
  EXPECT_EQ(scorer.score(edge_map("pred0"), full).simae, 1);
  EXPECT_NEAR(scorer.score(edge_map("ramp"), full).simae, 0.5, 1e-12);
}

// A folder of predictions against a folder of ground truths, per picture and as a data set: every number of
// the file is compared. `undefined` lists what is none.
void check_set(const json& expected, const std::filesystem::path& truths,
               const std::filesystem::path& predictions, const std::set<std::string>& undefined) {
  Scorer scorer;
  std::vector<ImageScores> records;
  EXPECT_EQ(expected.at("per_image").size(), expected.at("count"));
  for (const json& picture : expected.at("per_image")) {
    const std::filesystem::path name = picture.at("name").get<std::string>();
    SCOPED_TRACE(name.string());
    DecodeOptions gray;
    gray.mode = ColorMode::gray;
    const Image truth = read_image(truths / name, gray);
    const Image prediction = read_image(predictions / (name.stem().string() + ".png"), gray);
    records.push_back(scorer.score(prediction, truth));
    compared = 0;
    expect_scores(picture, records.back());
    int there = 0;
    std::set<std::string> none;
    count_leaves(picture, there, none);
    EXPECT_EQ(compared, there);
    EXPECT_THAT(none, testing::IsEmpty());
  }
  compared = 0;
  for (const Value& v : dataset_values(records, 0, 0, 1)) {
    const std::size_t dot = v.key.find('.');
    const json* place = &expected.at("dataset");
    if (dot != std::string::npos) {
      if (!place->contains(v.key.substr(0, dot))) continue;
      place = &place->at(v.key.substr(0, dot));
    }
    SCOPED_TRACE(v.key);
    expect_near(*place, dot == std::string::npos ? v.key : v.key.substr(dot + 1), v.value);
  }
  int there = 0;
  std::set<std::string> none;
  count_leaves(expected.at("dataset"), there, none);
  EXPECT_EQ(compared, there);
  EXPECT_EQ(none, undefined);
}

TEST_P(Reference, SharedSets) {
  const auto shared = test::shared_data();
  if (!shared) GTEST_SKIP() << "needs the development data beside the checkout";
  const json file = json::parse(std::ifstream(test::repository_data() / "metrics" / "expected.json"));
  const std::filesystem::path metrics = *shared / "metrics", predict = *shared / "golden" / "predict";
  {
    SCOPED_TRACE("samples");
    check_set(file.at("samples"), metrics / "samples" / "gt", metrics / "samples" / "pred", {"CCM"});
  }
  {
    SCOPED_TRACE("dss40");  // in one picture a target's box is the whole picture: SIMAE is 0 / 0
    check_set(file.at("dss40"), metrics / "dss40" / "gt", metrics / "dss40" / "pred", {"CCM", "SIMAE"});
  }
  SCOPED_TRACE("predict");
  check_set(file.at("predict"), predict / "mask", predict / "pred", {"CCM"});
}

}  // namespace
}  // namespace sam2unet::metrics
