// Attention of one tile by itself, on every instruction set: beside the softmax of its scores in double
// precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "ops/cpu/kernels.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops {
namespace {

using Rows = std::vector<std::vector<float>>;

// Behind the last number lie a few that a whole vector reads, and that count for nothing.
Rows noise(int count, int dim, float most, std::mt19937& random) {
  Rows rows(static_cast<std::size_t>(count), std::vector<float>(static_cast<std::size_t>(dim) + 64, 1e30F));
  for (auto& row : rows)
    for (int c = 0; c < dim; ++c)
      row[static_cast<std::size_t>(c)] = most * (static_cast<float>(random() % 2001) / 1000.0F - 1.0F);
  return rows;
}
std::vector<const float*> pointers(const Rows& rows) {
  std::vector<const float*> out;
  for (const auto& row : rows) out.push_back(row.data());
  return out;
}

// softmax(q k^T / sqrt(dim)) v of one query, the largest of its rows; the last key stands for seven.
std::vector<double> wanted(const Rows& q, std::size_t first, int q_rows, const Rows& k, const Rows& v,
                           int dim, double pad) {
  std::vector<double> scores;
  for (const auto& key : k) {
    double score = 0;
    for (std::size_t c = 0; c < static_cast<std::size_t>(dim); ++c) {
      double largest = q[first][c];
      for (std::size_t r = 1; r < static_cast<std::size_t>(q_rows); ++r)
        largest = std::max<double>(largest, q[first + r][c]);
      score += largest * key[c];
    }
    scores.push_back(score / std::sqrt(dim));
  }
  scores.back() += pad;
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - most);
  std::vector<double> out(static_cast<std::size_t>(dim), 0.0);
  for (std::size_t i = 0; i < k.size(); ++i)
    for (std::size_t c = 0; c < out.size(); ++c) out[c] += scores[i] / sum * v[i][c];
  return out;
}

// Scores of hundreds, which only the largest makes small enough; keys, queries and channels beside whole
// blocks.
TEST(AttentionTiles, AreTheSoftmaxOfTheirScores) {
  std::mt19937 random(4);
  for (const std::int64_t set : sam2unet::test::instruction_sets()) {
    const sam2unet::test::InstructionSet use(set);
    const int most = kernels::attention_tile_queries();
    for (const int dim : {1, 8, 16, 17, 33, 48, 49, 72}) {
      for (const int keys : {1, 2, 5, 6, 7, 13, 16}) {
        // One vector of queries or two, whole or not.
        const std::vector<int> counts = {1, 3, 4, 5, most / 2, most / 2 + 1, most - 3, most};
        const int queries = std::clamp(counts[static_cast<std::size_t>(dim + keys) % counts.size()], 1, most);
        const int q_rows = keys % 2 == 0 ? 4 : 1;
        const bool has_pads = keys % 3 != 0;
        const Rows q = noise(queries * q_rows, dim, 20.0F, random), k = noise(keys, dim, 20.0F, random),
                   v = noise(keys, dim, 3.0F, random);
        Rows out(static_cast<std::size_t>(queries),
                 std::vector<float>(static_cast<std::size_t>(dim) + 16, -7.0F));
        const auto q_at = pointers(q), k_at = pointers(k), v_at = pointers(v);
        std::vector<float*> out_at;
        for (auto& row : out) out_at.push_back(row.data());
        std::vector<float> scratch(static_cast<std::size_t>(kernels::attention_scratch(keys, dim)) + 16);
        auto* aligned = scratch.data();
        while (reinterpret_cast<std::uintptr_t>(aligned) % 64 != 0) ++aligned;
        const float pad = has_pads ? std::log(7.0F) : 0.0F;
        kernels::attention({q_at, q_rows, k_at, v_at, pad, has_pads, dim, out_at}, aligned);
        for (std::size_t i = 0; i < out.size(); ++i) {
          const auto want = wanted(q, i * static_cast<std::size_t>(q_rows), q_rows, k, v, dim, pad);
          for (std::size_t c = 0; c < want.size(); ++c)
            ASSERT_NEAR(out[i][c], want[c], 2e-3)
                << sam2unet::test::name_of(set) << ", dim " << dim << ", " << keys << " keys, query " << i
                << " of " << queries << ", channel " << c;
          EXPECT_EQ(std::count(out[i].begin(), out[i].end(), -7.0F), 16) << dim;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet::ops
