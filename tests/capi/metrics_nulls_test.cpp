// What the C API of the metrics says where a pointer is null that must not be: each of each call, the others
// good.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "capi/maps.h"
#include "capi/nulls.h"

namespace sam2unet {
namespace {

TEST_F(CMetrics, NullsAreToldByTheirNames) {
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8), b = plane(boolean, S2U_BOOL);
  s2u_plane without = plane(values, S2U_F64), rgb = plane(levels, S2U_U8);
  without.data = nullptr;
  rgb.channels = 3;
  double v = 0.0;
  std::vector<double> two(2 * 2 * kPoints);
  std::vector<std::int64_t> pixels(3);
  const s2u_measure measure = S2U_IOU;
  s2u_pair* pair = of_levels;
  expect_told({{s2u_pair_new(nullptr), "the output"},
               {s2u_pair_set(nullptr, &p, &g), "the pair"},
               {s2u_pair_set(pair, nullptr, &g), "the prediction"},
               {s2u_pair_set(pair, &p, nullptr), "the truth"},
               {s2u_pair_set(pair, &without, &b), "the prediction's data"},
               {s2u_pair_mae(nullptr, &v), "the pair"},
               {s2u_pair_mae(pair, nullptr), "the output"},
               {s2u_pair_s_measure(nullptr, 0.5, &v), "the pair"},
               {s2u_pair_s_measure(pair, 0.5, nullptr), "the output"},
               {s2u_pair_e_measure(nullptr, &v, nullptr), "the pair"},
               {s2u_pair_weighted_f(nullptr, 1.0, &v), "the pair"},
               {s2u_pair_weighted_f(pair, 1.0, nullptr), "the output"},
               {s2u_pair_hce(nullptr, 5, 2.0, &v), "the pair"},
               {s2u_pair_hce(pair, 5, 2.0, nullptr), "the output"},
               {s2u_pair_confusion(nullptr, nullptr, nullptr, nullptr), "the pair"},
               {s2u_pair_measures(nullptr, &measure, &v, 1, two.data()), "the pair"},
               {s2u_pair_measures(pair, nullptr, &v, 1, two.data()), "the list of measures"},
               {s2u_pair_measures(pair, &measure, nullptr, 1, two.data()), "the list of beta2"},
               {s2u_pair_measures(pair, &measure, &v, 1, nullptr), "the output"},
               {s2u_pair_msiou(nullptr, 10, 0, nullptr, &v, nullptr), "the pair"},
               {s2u_pair_context(nullptr, 1.0, 6.0, &v), "the pair"},
               {s2u_pair_context(pair, 1.0, 6.0, nullptr), "the output"},
               {s2u_pair_camouflage(nullptr, &rgb, 1.0, 6.0, 8.0, 20.0, &v), "the pair"},
               {s2u_pair_camouflage(pair, nullptr, 1.0, 6.0, 8.0, 20.0, &v), "the picture"},
               {s2u_pair_camouflage(pair, &rgb, 1.0, 6.0, 8.0, 20.0, nullptr), "the output"},
               {s2u_pair_target_count(pair, nullptr), "the output"},
               {s2u_pair_target_confusion(nullptr, 2, nullptr, nullptr, nullptr), "the pair"},
               {s2u_pair_target_measures(nullptr, 2, &measure, &v, 1, two.data()), "the pair"},
               {s2u_pair_target_measures(pair, 2, nullptr, &v, 1, two.data()), "the list of measures"},
               {s2u_pair_target_measures(pair, 2, &measure, nullptr, 1, two.data()), "the list of beta2"},
               {s2u_pair_target_measures(pair, 2, &measure, &v, 1, nullptr), "the output"},
               {s2u_pair_target_errors(nullptr, 2, two.data(), pixels.data()), "the pair"},
               {s2u_pair_target_errors(pair, 2, nullptr, pixels.data()), "the output"},
               {s2u_pair_target_errors(pair, 2, two.data(), nullptr), "the output"}});
  std::size_t targets = 0;
  expect_told({{s2u_pair_target_count(nullptr, &targets), "the pair"}});
  // Where nothing is asked for, nothing is needed.
  MUST(s2u_pair_measures(pair, nullptr, nullptr, 0, nullptr));
  MUST(s2u_pair_target_measures(pair, 2, nullptr, nullptr, 0, nullptr));
  MUST(s2u_pair_target_confusion(pair, 2, nullptr, nullptr, nullptr));
}

TEST_F(CMetrics, NullsOfScoresAndDataSetsAreToldByTheirNames) {
  const s2u_plane p = plane(levels, S2U_U8), g = plane(truth, S2U_U8);
  s2u_scorer* scorer = nullptr;
  s2u_scores *scores = nullptr, *none = nullptr;
  s2u_dataset* set = nullptr;
  MUST(s2u_scorer_new(0, &scorer));
  MUST(s2u_scorer_score(scorer, &p, &g, nullptr, &scores));
  MUST(s2u_dataset_new(S2U_EMPTY_PAPER, &set));
  MUST(s2u_dataset_add(set, scores));
  std::size_t size = 0;
  MUST(s2u_scores_write(scores, nullptr, &size));
  std::vector<char> bytes(size);
  std::vector<double> all(s2u_value_count());
  expect_told({{s2u_scorer_new(0, nullptr), "the output"},
               {s2u_scorer_score(nullptr, &p, &g, nullptr, &none), "the scorer"},
               {s2u_scorer_score(scorer, nullptr, &g, nullptr, &none), "the prediction"},
               {s2u_scorer_score(scorer, &p, nullptr, nullptr, &none), "the truth"},
               {s2u_scorer_score(scorer, &p, &g, nullptr, nullptr), "the output"},
               {s2u_scores_write(nullptr, bytes.data(), &size), "the scores"},
               {s2u_scores_write(scores, bytes.data(), nullptr), "the size"},
               {s2u_scores_read(nullptr, size, &none), "the record"},
               {s2u_scores_read(bytes.data(), size, nullptr), "the output"},
               {s2u_scores_values(nullptr, all.data()), "the scores"},
               {s2u_scores_values(scores, nullptr), "the output"},
               {s2u_dataset_new(S2U_EMPTY_PAPER, nullptr), "the output"},
               {s2u_dataset_add(nullptr, scores), "the data set"},
               {s2u_dataset_add(set, nullptr), "the scores"},
               {s2u_dataset_merge(nullptr, set), "the data set"},
               {s2u_dataset_merge(set, nullptr), "the data set to add"},
               {s2u_dataset_count(nullptr, nullptr, nullptr), "the data set"},
               {s2u_dataset_scores(nullptr, 0, &none), "the data set"},
               {s2u_dataset_scores(set, 0, nullptr), "the output"},
               {s2u_dataset_values(nullptr, 0, 0, 1, all.data(), nullptr, nullptr), "the data set"},
               {s2u_dataset_values(set, 0, 0, 1, nullptr, nullptr, nullptr), "the output"}});
  EXPECT_EQ(none, nullptr);
  // Without a place for them nothing is written, however large it is said to be.
  std::size_t large = std::numeric_limits<std::size_t>::max();
  MUST(s2u_scores_write(scores, nullptr, &large));
  EXPECT_EQ(large, size);
  s2u_dataset_free(set);
  s2u_scores_free(scores);
  s2u_scorer_free(scorer);
  s2u_dataset_free(nullptr);
  s2u_scores_free(nullptr);
  s2u_scorer_free(nullptr);
  s2u_pair_free(nullptr);
}

}  // namespace
}  // namespace sam2unet
