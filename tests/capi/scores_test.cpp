// Every metric at once, data sets and records by the C API of the metrics.
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "capi/maps.h"

namespace sam2unet {
namespace {

// Every metric at once is what each is by itself.
class CScores : public CMetrics {
 protected:
  std::map<std::string, double> scored(std::uint32_t groups, bool with_picture = true) {
    s2u_scorer* scorer = nullptr;
    EXPECT_EQ(told(s2u_scorer_new(groups, &scorer)).code, S2U_OK);
    const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), rgb = picture_plane();
    s2u_scores* scores = nullptr;
    const Told t = told(s2u_scorer_score(scorer, &p, &g, with_picture ? &rgb : nullptr, &scores));
    EXPECT_EQ(t.code, S2U_OK) << t.text;
    std::vector<double> all(s2u_value_count());
    EXPECT_EQ(told(s2u_scores_values(scores, all.data())).code, S2U_OK);
    s2u_scores_free(scores);
    s2u_scorer_free(scorer);
    std::map<std::string, double> out;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!std::isnan(all[i])) out[s2u_value_key(i)] = all[i];
    return out;
  }
  s2u_plane picture_plane() const {
    s2u_plane p = plane(picture, S2U_U8);
    p.channels = 3;
    p.stride = std::ptrdiff_t{3} * kW;
    return p;
  }
  // Colours that say nothing of the place.
  const std::vector<std::uint8_t> picture = [] {
    std::vector<std::uint8_t> out;
    for (std::uint32_t i = 0; i < 3 * kN; ++i)
      out.push_back(static_cast<std::uint8_t>(i * 2654435761U >> 24U));
    return out;
  }();
};

TEST_F(CScores, AreThoseOfThePair) {
  const auto all = scored(S2U_GROUP_ALL);
  const auto one = [&](const std::function<s2u_status*(double*)>& call) {
    double v = -1;
    EXPECT_EQ(told(call(&v)).code, S2U_OK);
    return v;
  };
  const s2u_plane rgb = picture_plane();
  for (s2u_pair* pair : {of_levels, of_doubles}) {
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_s_measure(pair, 0.5, v); }), all.at("S"), 1e-12);
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_weighted_f(pair, 1, v); }), all.at("wF"), 1e-12);
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_mae(pair, v); }), all.at("MAE"), 1e-12);
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_e_measure(pair, v, nullptr); }), all.at("E_adp"), 1e-12);
    EXPECT_EQ(one([&](double* v) { return s2u_pair_hce(pair, 5, 2, v); }), all.at("HCE"));
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_context(pair, 1, 6, v); }), all.at("CM"), 1e-12);
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_camouflage(pair, &rgb, 1.2, 6, 8, 20, v); }),
                all.at("CCM"), 1e-12);
    EXPECT_NEAR(one([&](double* v) { return s2u_pair_msiou(pair, 10, 0, v, nullptr, nullptr); }),
                all.at("MSIoU.adp"), 1e-12);
    // Each parameter counts.
    const auto differs = [&](const char* key, const std::function<s2u_status*(double*)>& call) {
      EXPECT_GT(std::abs(one(call) - all.at(key)), 1e-9) << key;
    };
    differs("S", [&](double* v) { return s2u_pair_s_measure(pair, 0.25, v); });
    differs("wF", [&](double* v) { return s2u_pair_weighted_f(pair, 2, v); });
    differs("HCE", [&](double* v) { return s2u_pair_hce(pair, 0, 2, v); });
    differs("CM", [&](double* v) { return s2u_pair_context(pair, 2, 6, v); });
    differs("CM", [&](double* v) { return s2u_pair_context(pair, 1, 3, v); });
    for (const auto& [beta2, alpha, gamma, lambda] : {std::array{2.0, 6.0, 8.0, 20.0},
                                                      {1.2, 3.0, 8.0, 20.0},
                                                      {1.2, 6.0, 4.0, 20.0},
                                                      {1.2, 6.0, 8.0, 2.0}}) {
      differs("CCM", [&, b = beta2, a = alpha, g = gamma, l = lambda](double* v) {
        return s2u_pair_camouflage(pair, &rgb, b, a, g, l, v);
      });
    }
  }
  for (const double wrong : {0.0, -1.0, 1000.5, std::nan("")}) {
    double v = 0;
    REFUSED(s2u_pair_context(of_levels, 1, wrong, &v), S2U_INVALID_ARGUMENT,
            "alpha must be a number from 0 (not included) to 1000");
    REFUSED(s2u_pair_camouflage(of_levels, &rgb, 1, wrong, 8, 20, &v), S2U_INVALID_ARGUMENT, "alpha");
  }
  for (const double wrong : {-0.5, 1e30, std::nan("")}) {
    double v = 0;
    REFUSED(s2u_pair_hce(of_levels, 5, wrong, &v), S2U_INVALID_ARGUMENT,
            "epsilon must be a number from 0 to 1e30");
  }
}

// A group brings its own values and no others; a picture is asked for by the context measures alone.
TEST_F(CScores, GroupsAreWhatTheyAreCalled) {
  const auto keys_of = [&](std::uint32_t groups, bool with_picture = true) {
    std::vector<std::string> out;
    const auto classic = scored(0);
    for (const auto& [key, value] : scored(groups, with_picture))
      if (!classic.contains(key)) out.push_back(key);
    return out;
  };
  using testing::ElementsAre;
  EXPECT_THAT(keys_of(0), ElementsAre());
  EXPECT_THAT(keys_of(S2U_GROUP_HCE), ElementsAre("HCE"));
  EXPECT_THAT(keys_of(S2U_GROUP_MSIOU), ElementsAre("MSIoU.adp", "MSIoU.bin", "MSIoU.max", "MSIoU.mean"));
  EXPECT_THAT(keys_of(S2U_GROUP_CONTEXT), ElementsAre("CCM", "CM"));
  EXPECT_THAT(keys_of(S2U_GROUP_CONTEXT, false), ElementsAre("CM"));
  EXPECT_THAT(keys_of(S2U_GROUP_SIZE_INVARIANT),
              ElementsAre("SIMAE", "SIfm.adp", "SIfm.max", "SIfm.mean", "sample_SIfm"));
  EXPECT_THAT(keys_of(S2U_GROUP_BOUNDARY), ElementsAre("ASSD", "BIoU", "HD95"));
  EXPECT_THAT(keys_of(S2U_GROUP_MIRROR), ElementsAre("mirror.BER", "mirror.IoU", "mirror.MAE", "mirror.acc"));
  EXPECT_EQ(scored(0).size(), 6U + 11 * 4);
  s2u_scorer* scorer = nullptr;
  REFUSED(s2u_scorer_new(S2U_GROUP_ALL + 1, &scorer), S2U_INVALID_ARGUMENT,
          "groups has bits that name no group");
}

TEST_F(CScores, WhatIsBetterIsTold) {
  const std::vector<std::string> lower{"MAE", "HCE", "SIMAE", "HD95", "ASSD", "mirror.MAE", "mirror.BER"};
  for (std::size_t i = 0; i < s2u_value_count(); ++i) {
    const std::string key = s2u_value_key(i);
    const bool is_lower = std::find(lower.begin(), lower.end(), key) != lower.end() ||
                          key.find("ber") != std::string::npos || key.find("fpr") != std::string::npos;
    EXPECT_EQ(s2u_value_higher_is_better(i), is_lower ? 0 : 1) << key;
  }
  EXPECT_EQ(s2u_value_higher_is_better(s2u_value_count()), 0);
}

// Pictures without foreground, by each policy; what is told of a set and of its pictures.
TEST_F(CScores, DatasetsAndTheirPolicies) {
  s2u_scorer* scorer = nullptr;
  MUST(s2u_scorer_new(0, &scorer));
  const std::vector<std::uint8_t> nothing(kN, 0);
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), none = plane(nothing, S2U_U8);
  s2u_scores *one = nullptr, *of_none = nullptr;
  MUST(s2u_scorer_score(scorer, &p, &g, nullptr, &one));
  MUST(s2u_scorer_score(scorer, &none, &none, nullptr, &of_none));
  std::vector<double> own(s2u_value_count());
  MUST(s2u_scores_values(one, own.data()));
  std::size_t iou = 0, mae = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (s2u_value_key(i) == std::string("iou.mean")) iou = i;
    if (s2u_value_key(i) == std::string("MAE")) mae = i;
  }
  s2u_dataset* other = nullptr;
  MUST(s2u_dataset_new(S2U_EMPTY_SKIP, &other));
  for (const auto& [policy, pictures, of_empty] : {std::tuple(S2U_EMPTY_PAPER, 2U, 0.0),
                                                   {S2U_EMPTY_SKIP, 1U, 0.0},
                                                   {S2U_EMPTY_ONE_IF_CORRECT, 2U, 1.0}}) {
    s2u_dataset* set = nullptr;
    MUST(s2u_dataset_new(policy, &set));
    MUST(s2u_dataset_add(set, of_none));
    MUST(s2u_dataset_add(set, one));
    std::size_t counted = 9, empty = 9;
    MUST(s2u_dataset_count(set, &counted, &empty));
    MUST(s2u_dataset_count(set, nullptr, nullptr));
    EXPECT_EQ(counted, pictures);
    EXPECT_EQ(empty, 1U);
    std::vector<double> all(own.size()), low(own.size(), 7.0), high(own.size(), 7.0);
    MUST(s2u_dataset_values(set, 0, 0, 1, all.data(), low.data(), high.data()));
    EXPECT_NEAR(all[iou], pictures == 1 ? own[iou] : (own[iou] + of_empty) / 2, 1e-12);
    EXPECT_NEAR(all[mae], own[mae] / pictures, 1e-12);
    EXPECT_TRUE(std::isnan(low[mae]) && std::isnan(high[mae]));
    std::vector<double> again(own.size());
    MUST(s2u_dataset_values(set, 200, 4, 3, all.data(), low.data(), high.data()));
    MUST(s2u_dataset_values(set, 200, 4, 1, all.data(), again.data(), nullptr));
    EXPECT_EQ(low[mae], again[mae]);  // on any number of threads
    EXPECT_EQ(low[mae], pictures == 1 ? own[mae] : 0.0);
    EXPECT_EQ(high[mae], own[mae]);
    s2u_scores* last = nullptr;
    MUST(s2u_dataset_scores(set, pictures - 1, &last));
    std::vector<double> of_last(own.size());
    MUST(s2u_scores_values(last, of_last.data()));
    EXPECT_EQ(of_last[mae], own[mae]);
    s2u_scores_free(last);
    REFUSED(s2u_dataset_scores(set, pictures, &last), S2U_INVALID_ARGUMENT,
            "the data set has " + std::to_string(pictures) + " pictures; there is no " +
                std::to_string(pictures));
    if (policy != S2U_EMPTY_SKIP) {
      REFUSED(s2u_dataset_merge(set, other), S2U_INVALID_ARGUMENT,
              "the two data sets treat truths without foreground differently");
    }
    for (const int wrong : {-1, 1'000'001})
      REFUSED(s2u_dataset_values(set, wrong, 0, 1, all.data(), nullptr, nullptr), S2U_INVALID_ARGUMENT,
              "resamples must lie in 0..1000000");
    for (const int wrong : {0, 1025})
      REFUSED(s2u_dataset_values(set, 0, 0, wrong, all.data(), nullptr, nullptr), S2U_INVALID_ARGUMENT,
              "threads must lie in 1..1024");
    s2u_dataset_free(set);
  }
  REFUSED(s2u_dataset_new(static_cast<s2u_empty>(3), &other), S2U_INVALID_ARGUMENT,
          "there is no such policy for empty truths: 3");
  s2u_dataset_free(other);
  s2u_scores_free(one);
  s2u_scores_free(of_none);
  s2u_scorer_free(scorer);
}

// A picture is looked at where the context measures are, and must then be of three colours.
TEST_F(CScores, PicturesAreLookedAtWhereTheyCount) {
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), gray = plane(levels, S2U_U8);
  for (const std::uint32_t groups : {std::uint32_t{0}, std::uint32_t{S2U_GROUP_ALL & ~S2U_GROUP_CONTEXT}}) {
    s2u_scorer* scorer = nullptr;
    MUST(s2u_scorer_new(groups, &scorer));
    s2u_scores* scores = nullptr;
    MUST(s2u_scorer_score(scorer, &p, &g, &gray, &scores));
    s2u_scores_free(scores);
    s2u_scorer_free(scorer);
  }
  s2u_scorer* scorer = nullptr;
  MUST(s2u_scorer_new(S2U_GROUP_CONTEXT, &scorer));
  s2u_scores* none = nullptr;
  REFUSED(s2u_scorer_score(scorer, &p, &g, &gray, &none), S2U_INVALID_ARGUMENT,
          "the picture has 1 channels and must have 3");
  EXPECT_EQ(none, nullptr);
  s2u_scorer_free(scorer);
}

// Intervals are of the seed and of how often was drawn; what is merged comes behind what was there.
TEST_F(CScores, IntervalsAreOfTheSeedAndSetsKeepTheirOrder) {
  s2u_scorer* scorer = nullptr;
  MUST(s2u_scorer_new(0, &scorer));
  s2u_dataset *set = nullptr, *more = nullptr;
  MUST(s2u_dataset_new(S2U_EMPTY_PAPER, &set));
  MUST(s2u_dataset_new(S2U_EMPTY_PAPER, &more));
  std::size_t mae = 0;
  while (s2u_value_key(mae) != std::string("MAE")) ++mae;
  std::vector<double> want;
  for (int i = 0; i < 9; ++i) {
    // Maps of one value are not stretched: each is off by another share.
    const std::vector<std::uint8_t> flat(kN, static_cast<std::uint8_t>(25 * i + 5)), white(kN, 255);
    const s2u_plane p = plane(flat, S2U_U8), g = plane(white, S2U_U8);
    s2u_scores* scores = nullptr;
    MUST(s2u_scorer_score(scorer, &p, &g, nullptr, &scores));
    MUST(s2u_dataset_add(i < 4 ? set : more, scores));
    s2u_scores_free(scores);
    want.push_back(1 - (25 * i + 5) / 255.0);
  }
  MUST(s2u_dataset_merge(set, more));
  for (std::size_t i = 0; i < want.size(); ++i) {
    s2u_scores* scores = nullptr;
    MUST(s2u_dataset_scores(set, i, &scores));
    std::vector<double> own(s2u_value_count());
    MUST(s2u_scores_values(scores, own.data()));
    EXPECT_NEAR(own[mae], want[i], 1e-12) << i;
    s2u_scores_free(scores);
  }
  const auto interval = [&](int resamples, std::uint64_t seed) {
    std::vector<double> all(s2u_value_count()), low(all), high(all);
    EXPECT_EQ(told(s2u_dataset_values(set, resamples, seed, 1, all.data(), low.data(), high.data())).code,
              S2U_OK);
    EXPECT_LT(low[mae], all[mae]);
    EXPECT_GT(high[mae], all[mae]);
    return std::pair(low[mae], high[mae]);
  };
  const auto first = interval(100, 1);
  EXPECT_EQ(interval(100, 1), first);
  EXPECT_NE(interval(100, 2), first);
  EXPECT_NE(interval(101, 1), first);
  std::size_t counted = 0;
  MUST(s2u_dataset_count(more, &counted, nullptr));
  EXPECT_EQ(counted, 5u);  // it keeps its own
  s2u_dataset_free(set);
  s2u_dataset_free(more);
  s2u_scorer_free(scorer);
}

// Points of an outline that may be off by so much are no effort: of a disc that was missed fewer are left.
TEST_F(CScores, HumanEffortIsOfTheAllowedDistance) {
  std::vector<std::uint8_t> disc, shape;
  std::vector<double> found;
  for (int i = 0; i < kN; ++i) {
    const int dx = i % kW - 20, dy = i / kW - 18;
    disc.push_back(dx * dx + dy * dy <= 225 ? 255 : 0);
    shape.push_back(disc.back() != 0 ? 1 : 0);
    found.push_back(dx * dx + dy * dy <= 9 ? 1.0 : 0.0);
  }
  std::vector<std::uint8_t> level;
  for (const double v : found) level.push_back(v > 0 ? 255 : 0);
  const s2u_plane p = plane(level, S2U_U8), g = plane(disc, S2U_U8), d = plane(found, S2U_F64),
                  b = plane(shape, S2U_BOOL);
  MUST(s2u_pair_set(of_levels, &p, &g));
  MUST(s2u_pair_set(of_doubles, &d, &b));
  double before = 0.0;
  for (const double epsilon : {0.0, 2.0, 10.0}) {
    double effort[2] = {-1, -1};
    MUST(s2u_pair_hce(of_levels, 0, epsilon, &effort[0]));
    MUST(s2u_pair_hce(of_doubles, 0, epsilon, &effort[1]));
    EXPECT_EQ(effort[0], effort[1]);
    if (epsilon > 0.0) {
      EXPECT_LT(effort[0], before) << epsilon;
    }
    before = effort[0];
  }
}

// 256 dots of 8 cells each that were all missed, and two levels, the second of which is one cell: 1 / (2048 +
// 1) and 1 / 2, where a float16 adds that one 1 / 2048.
TEST_F(CScores, MultiScaleIouAddsItsOneAsAskedFor) {
  constexpr int kSide = 64;
  std::vector<std::uint8_t> dots(std::size_t{kSide} * kSide, 0), none(dots);
  for (std::size_t i = 0; i < 256; ++i) dots[(2 + i / 16 * 4) * kSide + 2 + i % 16 * 4] = 1;
  std::vector<std::uint8_t> white = dots;
  for (std::uint8_t& v : white) v = v != 0 ? 255 : 0;
  const std::vector<double> nothing(dots.size(), 0.0);
  const auto of = [](const auto& pixels, s2u_type type) {
    s2u_plane p = plane(pixels, type);
    p.width = p.height = kSide;
    p.stride = static_cast<std::ptrdiff_t>(kSide * sizeof pixels[0]);
    return p;
  };
  const s2u_plane p = of(none, S2U_U8), g = of(white, S2U_U8), d = of(nothing, S2U_F64),
                  b = of(dots, S2U_BOOL);
  MUST(s2u_pair_set(of_levels, &p, &g));
  MUST(s2u_pair_set(of_doubles, &d, &b));
  for (s2u_pair* pair : {of_levels, of_doubles}) {
    for (const int half : {0, 1}) {
      double binary = -1;
      MUST(s2u_pair_msiou(pair, 2, half, nullptr, &binary, nullptr));
      EXPECT_NEAR(binary, (1.0 / (half == 1 ? 2048 : 2049) + 0.5) / 2, 1e-15) << half;
    }
  }
}

// A record travels whole: every value of a picture and of a set with it; what contradicts itself is refused.
TEST_F(CScores, RecordsTravelWholeOrNotAtAll) {
  s2u_scorer* scorer = nullptr;
  MUST(s2u_scorer_new(S2U_GROUP_ALL, &scorer));
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), rgb = picture_plane();
  s2u_scores *scores = nullptr, *copy = nullptr;
  MUST(s2u_scorer_score(scorer, &p, &g, &rgb, &scores));
  std::size_t size = 0;
  MUST(s2u_scores_write(scores, nullptr, &size));
  std::vector<char> bytes(size), few(size);
  std::size_t less = size - 1;
  MUST(s2u_scores_write(scores, few.data(), &less));
  EXPECT_EQ(less, size);
  EXPECT_EQ(few, std::vector<char>(size));
  MUST(s2u_scores_write(scores, bytes.data(), &size));
  MUST(s2u_scores_read(bytes.data(), size, &copy));
  const auto of_set = [](const s2u_scores* s) {
    s2u_dataset* set = nullptr;
    EXPECT_EQ(told(s2u_dataset_new(S2U_EMPTY_PAPER, &set)).code, S2U_OK);
    EXPECT_EQ(told(s2u_dataset_add(set, s)).code, S2U_OK);
    std::vector<double> out(s2u_value_count());
    EXPECT_EQ(told(s2u_dataset_values(set, 0, 0, 1, out.data(), nullptr, nullptr)).code, S2U_OK);
    s2u_dataset_free(set);
    return out;
  };
  const auto a = of_set(scores), b = of_set(copy);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(double)), 0);
  EXPECT_EQ(std::count_if(a.begin(), a.end(), [](double v) { return std::isnan(v); }), 0);
  // Of another version, or of none: eight bytes by which it is known.
  for (std::size_t i = 0; i < 8; ++i) {
    std::vector<char> changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    s2u_scores* none = nullptr;
    REFUSED(s2u_scores_read(changed.data(), size, &none), S2U_FORMAT_ERROR,
            std::to_string(size) + " bytes that this version has not written");
  }
  std::map<std::string, int> refused;
  // 2^62 and 2^60 more among them.
  for (std::size_t i = 8; i < 2 * size - 8; ++i) {
    const std::size_t at = i < size ? i : i - size + 8;
    std::vector<char> changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (i < size ? 0x40 : 0x10));
    s2u_scores* none = nullptr;
    const Told t = told(s2u_scores_read(changed.data(), size, &none));
    if (t.code != S2U_OK) {
      EXPECT_EQ(t.code, S2U_FORMAT_ERROR);
      ++refused[t.text];
    }
    s2u_scores_free(none);
  }
  // Any byte of the 512 numbers of pixels by level, and of what they must add up to.
  EXPECT_GE(refused["a picture's record: its counts contradict each other"], 2048);
  EXPECT_GE(refused["a picture's record: a count of pixels that no picture has"], 4);
  EXPECT_GE(refused["a picture's record: a count that no picture has"], 7);  // one is 0
  EXPECT_GE(refused["a picture's record: a number of targets that no picture has"], 1);
  EXPECT_EQ(refused.size(), 4U);
  s2u_scores_free(scores);
  s2u_scores_free(copy);
  s2u_scorer_free(scorer);
}

}  // namespace
}  // namespace sam2unet
