#include "sam2unet/gain.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "metrics/bootstrap.h"

namespace sam2unet {
namespace {

struct Pair {
  const std::vector<double>* with = nullptr;
  const std::vector<double>* without = nullptr;
};

bool is_counted(const EvaluatedImage& image) {
  return image.counted;
}
bool is_counted(const ClassEvaluatedImage&) {
  return true;
}

template <class AnyEvaluation>
std::vector<Pair> pairs_of(const AnyEvaluation& with, const AnyEvaluation& without) {
  std::map<std::filesystem::path, const std::vector<double>*> others;
  for (const auto& image : without.images) {
    if (is_counted(image)) others[image.truth] = &image.values;
  }
  std::vector<Pair> out;
  for (const auto& image : with.images) {
    const auto other = others.find(image.truth);
    if (is_counted(image) && other != others.end()) out.push_back({&image.values, other->second});
  }
  return out;
}

// Resamples without any of the pictures are left out.
void add_interval(const std::vector<double>& differences, const std::vector<bool>& known,
                  const std::vector<std::uint16_t>& weights, std::size_t resamples, Gain& gain) {
  std::vector<double> drawn;
  for (std::size_t r = 0; r < resamples; ++r) {
    double sum = 0.0, count = 0.0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      if (!known[i]) continue;
      const double weight = weights[i * resamples + r];
      sum += weight * differences[i];
      count += weight;
    }
    if (count > 0.0) drawn.push_back(sum / count);
  }
  if (drawn.empty()) return;
  std::sort(drawn.begin(), drawn.end());
  gain.low = metrics::percentile(drawn, 2.5);
  gain.high = metrics::percentile(drawn, 97.5);
}

template <class AnyEvaluation>
std::vector<Gain> gains_of(const AnyEvaluation& with, const AnyEvaluation& without) {
  const std::vector<Pair> pairs = pairs_of(with, without);
  const auto resamples = static_cast<std::size_t>(std::max(with.resamples, 0));
  const auto weights = metrics::draw_weights(pairs.size(), pairs.empty() ? 0 : resamples, with.seed);
  std::vector<Gain> out;
  for (std::size_t k = 0; k < with.image_keys.size(); ++k) {
    Gain gain;
    gain.key = with.image_keys[k];
    const auto at = std::find(without.image_keys.begin(), without.image_keys.end(), gain.key);
    if (at == without.image_keys.end()) continue;
    const auto other = static_cast<std::size_t>(at - without.image_keys.begin());
    std::vector<double> differences(pairs.size());
    std::vector<bool> known(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const double a = (*pairs[i].with)[k], b = (*pairs[i].without)[other];
      known[i] = std::isfinite(a) && std::isfinite(b);
      if (!known[i]) continue;
      differences[i] = a - b;
      gain.with += a;
      gain.without += b;
      ++gain.pictures;
    }
    if (gain.pictures == 0) continue;
    const auto n = static_cast<double>(gain.pictures);
    gain.with /= n;
    gain.without /= n;
    gain.difference = gain.with - gain.without;
    if (resamples > 0) add_interval(differences, known, weights, resamples, gain);
    out.push_back(gain);
  }
  return out;
}

}  // namespace

std::vector<Gain> paired_gains(const Evaluation& with, const Evaluation& without) {
  return gains_of(with, without);
}

std::vector<Gain> paired_gains(const ClassEvaluation& with, const ClassEvaluation& without) {
  return gains_of(with, without);
}

}  // namespace sam2unet
