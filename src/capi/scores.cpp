// s2u_scorer, s2u_scores, s2u_dataset: every metric of a picture at once, and of a data set.
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "capi/planes.h"
#include "capi/status.h"
#include "core/forked.h"
#include "metrics/dataset.h"
#include "metrics/scorer.h"
#include "metrics/value_table.h"
#include "sam2unet/errors.h"
#include "sam2unet/s2u_metrics.h"

using namespace sam2unet;
using namespace sam2unet::capi;
using namespace sam2unet::metrics;

struct s2u_scorer {
  bool has_context;
  Scorer scorer;
};

struct s2u_scores {
  ImageScores record;
};

struct s2u_dataset {
  EmptyTruth empty;
  std::vector<ImageScores> records;
  std::size_t empty_truths = 0;
};

namespace {

constexpr std::array<char, 8> kMagic = {'s', '2', 'u', 's', 'c', 'o', 'r', '1'};

// Every field of a record, once. Numbers are written as they lie in memory: the bytes travel between
// processes of one machine or of machines alike.
template <typename Record, typename Visit>
void each_field(Record& r, const Visit& visit) {
  const auto counts = [&](auto& c) {
    for (auto& v : c.foreground) visit(v);
    for (auto& v : c.background) visit(v);
  };
  const auto confusion = [&](auto& c) {
    for (auto* v : {&c.tp, &c.fp, &c.tn, &c.fn}) visit(*v);
  };
  const auto summary = [&](auto& s) {
    for (auto* v : {&s.adp, &s.mean, &s.max, &s.bin}) visit(*v);
  };
  for (auto* v : {&r.width, &r.height}) visit(*v);
  for (auto* v : {&r.empty_truth, &r.correct_empty, &r.empty_prediction}) visit(*v);
  for (auto* v :
       {&r.s, &r.weighted_f, &r.mae, &r.e_adp, &r.e_mean, &r.e_max, &r.hce, &r.cm, &r.ccm, &r.simae,
        &r.boundary_iou, &r.hd95, &r.assd, &r.mirror.iou, &r.mirror.accuracy, &r.mirror.mae, &r.mirror.ber})
    visit(*v);
  for (auto& m : r.measures) summary(m);
  confusion(r.binary);
  counts(r.counts);
  summary(r.msiou);
  for (auto& v : r.msiou_curve) visit(v);
  summary(r.size_invariant.sample);
  for (auto& v : r.size_invariant.target_sum) visit(v);
  visit(r.size_invariant.targets);
  confusion(r.size_invariant.binary);
  counts(r.mirror.counts);
}

std::string written(const ImageScores& record) {
  std::string out(kMagic.begin(), kMagic.end());
  each_field(record, [&](const auto& v) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(v)>, bool>) {
      out.push_back(v ? 1 : 0);
    } else {
      out.append(reinterpret_cast<const char*>(&v), sizeof v);
    }
  });
  return out;
}

// What a picture's counts can be; sums over a data set then fit 64 bits.
void check_counts(const Confusion& c, const LevelCounts& levels) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  for (const std::int64_t v : {c.tp, c.fp, c.tn, c.fn}) {
    if (v < 0 || v > kMost) throw FormatError("a picture's record: a count of pixels that no picture has");
  }
  std::int64_t foreground = 0, background = 0;
  for (const std::uint32_t v : levels.foreground) foreground += v;
  for (const std::uint32_t v : levels.background) background += v;
  if (foreground != c.tp + c.fn || background != c.fp + c.tn)
    throw FormatError("a picture's record: its counts contradict each other");
}

ImageScores read(const char* bytes, std::size_t size) {
  ImageScores out;
  const std::size_t needed = written(out).size();
  if (size != needed || std::memcmp(bytes, kMagic.data(), kMagic.size()) != 0) {
    throw FormatError("a picture's record: " + std::to_string(size) +
                      " bytes that this version has not written");
  }
  const char* at = bytes + kMagic.size();
  each_field(out, [&](auto& v) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(v)>, bool>) {
      v = *at++ != 0;
    } else {
      std::memcpy(&v, at, sizeof v);
      at += sizeof v;
    }
  });
  check_counts(out.binary, out.counts);
  const SizeInvariantScores& si = out.size_invariant;
  if (si.targets < 0 || si.targets > (std::int64_t{1} << 32))
    throw FormatError("a picture's record: a number of targets that no picture has");
  for (const std::int64_t v : {si.binary.tp, si.binary.fp, si.binary.tn, si.binary.fn}) {
    if (v < 0 || v > (std::int64_t{1} << 60))
      throw FormatError("a picture's record: a count that no picture has");
  }
  return out;
}

EmptyTruth policy_of(s2u_empty empty) {
  switch (empty) {
    case S2U_EMPTY_PAPER:
      return EmptyTruth::paper;
    case S2U_EMPTY_SKIP:
      return EmptyTruth::skip;
    case S2U_EMPTY_ONE_IF_CORRECT:
      return EmptyTruth::one_if_correct;
  }
  throw UsageError("there is no such policy for empty truths: " + std::to_string(static_cast<int>(empty)));
}

}  // namespace

extern "C" {

s2u_status* s2u_scorer_new(uint32_t groups, s2u_scorer** out) {
  return guarded([&] {
    need(out, "the output");
    if ((groups & ~S2U_GROUP_ALL) != 0) throw UsageError("groups has bits that name no group");
    MetricSet set;
    set.hce = (groups & S2U_GROUP_HCE) != 0;
    set.msiou = (groups & S2U_GROUP_MSIOU) != 0;
    set.context = (groups & S2U_GROUP_CONTEXT) != 0;
    set.size_invariant = (groups & S2U_GROUP_SIZE_INVARIANT) != 0;
    set.boundary = (groups & S2U_GROUP_BOUNDARY) != 0;
    set.mirror = (groups & S2U_GROUP_MIRROR) != 0;
    *out = new s2u_scorer{set.context, Scorer(set)};
  });
}

void s2u_scorer_free(s2u_scorer* scorer) {
  delete scorer;
}

s2u_status* s2u_scorer_score(s2u_scorer* scorer, const s2u_plane* prediction, const s2u_plane* truth,
                             const s2u_plane* picture, s2u_scores** out) {
  return guarded([&] {
    need(scorer, "the scorer");
    need(out, "the output");
    const ImageView pred = bytes_of(prediction, "the prediction", 1), gt = bytes_of(truth, "the truth", 1);
    ImageView rgb;
    if (picture != nullptr && scorer->has_context) rgb = bytes_of(picture, "the picture", 3);
    auto scores = std::make_unique<s2u_scores>();
    scores->record = scorer->scorer.score(pred, gt, rgb.data == nullptr ? nullptr : &rgb);
    *out = scores.release();
  });
}

void s2u_scores_free(s2u_scores* scores) {
  delete scores;
}

s2u_status* s2u_scores_write(const s2u_scores* scores, void* bytes, size_t* size) {
  return guarded([&] {
    need(scores, "the scores");
    need(size, "the size");
    const std::string text = written(scores->record);
    if (bytes != nullptr && *size >= text.size()) std::memcpy(bytes, text.data(), text.size());
    *size = text.size();
  });
}

s2u_status* s2u_scores_read(const void* bytes, size_t size, s2u_scores** out) {
  return guarded([&] {
    need(bytes, "the record");
    need(out, "the output");
    *out = new s2u_scores{read(static_cast<const char*>(bytes), size)};
  });
}

size_t s2u_value_count(void) {
  return value_table().size();
}

const char* s2u_value_key(size_t index) {
  return index < value_table().size() ? value_table()[index].key.c_str() : nullptr;
}

int32_t s2u_value_higher_is_better(size_t index) {
  return index < value_table().size() && value_table()[index].better == Better::higher ? 1 : 0;
}

s2u_status* s2u_scores_values(const s2u_scores* scores, double* values) {
  return guarded([&] {
    need(scores, "the scores");
    need(values, "the output");
    for (const ValueEntry& entry : value_table())
      *values++ = entry.of_image == nullptr ? kNotComputed : entry.of_image(scores->record, entry.index);
  });
}

s2u_status* s2u_dataset_new(s2u_empty empty, s2u_dataset** out) {
  return guarded([&] {
    need(out, "the output");
    *out = new s2u_dataset{policy_of(empty), {}, 0};
  });
}

void s2u_dataset_free(s2u_dataset* dataset) {
  delete dataset;
}

s2u_status* s2u_dataset_add(s2u_dataset* dataset, const s2u_scores* scores) {
  return guarded([&] {
    need(dataset, "the data set");
    need(scores, "the scores");
    ImageScores record = scores->record;
    const bool counted = apply_policy(dataset->empty, record);
    if (counted) dataset->records.push_back(record);
    dataset->empty_truths += record.empty_truth ? 1 : 0;
  });
}

s2u_status* s2u_dataset_merge(s2u_dataset* dataset, const s2u_dataset* from) {
  return guarded([&] {
    need(dataset, "the data set");
    need(from, "the data set to add");
    if (dataset->empty != from->empty)
      throw UsageError("the two data sets treat truths without foreground differently");
    std::vector<ImageScores> both = dataset->records;  // `from` may be the same
    both.insert(both.end(), from->records.begin(), from->records.end());
    dataset->records = std::move(both);
    dataset->empty_truths += from->empty_truths;
  });
}

s2u_status* s2u_dataset_count(const s2u_dataset* dataset, size_t* counted, size_t* empty_truths) {
  return guarded([&] {
    need(dataset, "the data set");
    if (counted != nullptr) *counted = dataset->records.size();
    if (empty_truths != nullptr) *empty_truths = dataset->empty_truths;
  });
}

s2u_status* s2u_dataset_scores(const s2u_dataset* dataset, size_t index, s2u_scores** out) {
  return guarded([&] {
    need(dataset, "the data set");
    need(out, "the output");
    if (index >= dataset->records.size()) {
      throw UsageError("the data set has " + std::to_string(dataset->records.size()) +
                       " pictures; there is no " + std::to_string(index));
    }
    *out = new s2u_scores{dataset->records[index]};
  });
}

s2u_status* s2u_dataset_values(const s2u_dataset* dataset, int32_t resamples, uint64_t seed, int32_t threads,
                               double* values, double* low, double* high) {
  return guarded([&] {
    need(dataset, "the data set");
    need(values, "the output");
    if (resamples < 0 || resamples > 1'000'000) throw UsageError("resamples must lie in 0..1000000");
    if (threads < 1 || threads > 1024) throw UsageError("threads must lie in 1..1024");
    const std::vector<Value> all =
        dataset_values(dataset->records, resamples, seed, forked() ? 1 : static_cast<int>(threads));
    for (std::size_t k = 0; k < all.size(); ++k) {
      values[k] = all[k].value;
      if (low != nullptr) low[k] = all[k].low;
      if (high != nullptr) high[k] = all[k].high;
    }
  });
}
}
