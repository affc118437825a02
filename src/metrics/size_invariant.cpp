#include "metrics/size_invariant.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "metrics/bitmap.h"
#include "metrics/components.h"
#include "metrics/numpy_sum.h"

namespace sam2unet::metrics {

namespace {

constexpr std::int64_t kSmallestTarget = 50;
constexpr double kBeta2 = 0.3;
// The reference keeps the boxes of all targets in one double per pixel, target k as 2^(k - 1): from the 54th
// target on overlapping boxes are rounded, from the 64th on it raises.
constexpr std::size_t kExactTargets = 53;
constexpr std::size_t kReferenceTargets = 63;

// A target's part of the picture: its box, or what rounding has made of it.
struct Target {
  Box box;
  std::vector<std::uint8_t> mask;  // [height, width] where it is not the whole box; empty otherwise

  bool covers(int x, int y, int width) const {
    return mask.empty() || mask[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                                static_cast<std::size_t>(x)] != 0;
  }
};

// Targets of at least 50 pixels; if there are none, all that are as large as the largest.
std::vector<Target> targets_of(const Sample& s) {
  const std::vector<Component> parts = components4(truth_of(s));
  std::int64_t least = kSmallestTarget;
  std::int64_t largest = 0;
  for (const Component& c : parts) largest = std::max(largest, c.area);
  least = std::min(least, largest);
  std::vector<Target> out;
  for (const Component& c : parts) {
    if (c.area >= least) out.push_back({c.box, {}});
  }
  return out;
}

// What is left of the boxes after the reference's sum of powers of two in double and its test of bit k - 1.
void apply_reference_rounding(const Sample& s, std::vector<Target>& targets) {
  if (targets.size() <= kExactTargets || targets.size() > kReferenceTargets) return;
  const auto width = static_cast<std::size_t>(s.width);
  std::vector<double> weights(width * static_cast<std::size_t>(s.height), 0);
  for (std::size_t k = 0; k < targets.size(); ++k) {
    const Box& b = targets[k].box;
    for (int y = b.y0; y <= b.y1; ++y) {
      for (int x = b.x0; x <= b.x1; ++x) {
        weights[static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)] +=
            static_cast<double>(std::uint64_t{1} << k);
      }
    }
  }
  for (std::size_t k = 0; k < targets.size(); ++k) {
    targets[k].mask.resize(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      targets[k].mask[i] = static_cast<std::uint8_t>((static_cast<std::uint64_t>(weights[i]) >> k) & 1);
    }
    targets[k].box = {0, 0, s.width - 1, s.height - 1};
  }
}

Histograms histograms_in(const Sample& s, const Target& t) {
  Histograms h;
  for (int y = t.box.y0; y <= t.box.y1; ++y) {
    const std::uint8_t* p = s.prediction_row(y);
    const std::uint8_t* g = s.truth_row(y);
    for (int x = t.box.x0; x <= t.box.x1; ++x) {
      if (t.covers(x, y, s.width)) ++(g[x] != 0 ? h.foreground : h.background)[p[x]];
    }
  }
  return h;
}

std::int64_t sum_of(const std::array<std::uint32_t, 256>& counts) {
  std::int64_t n = 0;
  for (const std::uint32_t c : counts) n += c;
  return n;
}

// Sum of |pred - gt| over the pixels of a histogram, times the range.
std::int64_t error_sum(const Levels& l, const Histograms& h) {
  std::int64_t sum = 0;
  for (int v = l.low; v <= l.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const std::int64_t x = v - l.offset;
    sum += x * h.background[i] + (l.range - x) * h.foreground[i];
  }
  return sum;
}

bool overlap(const Box& a, const Box& b) {
  return a.x0 <= b.x1 && b.x0 <= a.x1 && a.y0 <= b.y1 && b.y0 <= a.y1;
}

bool all_apart(const std::vector<Target>& targets) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (overlap(targets[i].box, targets[k].box)) return false;
    }
  }
  return true;
}

// Pixels that no target covers.
Histograms histograms_outside(const Sample& s, const std::vector<Target>& targets,
                              const std::vector<Histograms>& inside) {
  if (targets.size() <= 64 && all_apart(targets)) {
    Histograms rest = s.histogram;
    for (const Histograms& h : inside) {
      for (std::size_t v = 0; v < 256; ++v) {
        rest.foreground[v] -= h.foreground[v];
        rest.background[v] -= h.background[v];
      }
    }
    return rest;
  }
  Bitmap covered(s.width, s.height);
  for (const Target& t : targets) {
    for (int y = t.box.y0; y <= t.box.y1; ++y) {
      for (int x = t.box.x0; x <= t.box.x1; ++x) {
        if (t.covers(x, y, s.width)) covered.set(x, y);
      }
    }
  }
  Histograms outside;
  for (int y = 0; y < s.height; ++y) {
    for (int x = 0; x < s.width; ++x) {
      if (!covered.at(x, y))
        ++(s.truth_row(y)[x] != 0 ? outside.foreground : outside.background)[s.prediction_row(y)[x]];
    }
  }
  return outside;
}

// mae = r * sum_bg / area_bg * factor + sum over targets of sum_k / area_k * factor, where r = area_bg /
// (area - area_bg) and factor = 1 / (targets + r)
double mae_of(const Sample& s, const std::vector<Target>& targets, const std::vector<Histograms>& inside) {
  const Histograms outside = histograms_outside(s, targets, inside);
  const std::int64_t area = sum_of(outside.foreground) + sum_of(outside.background);
  const double range = s.levels.range;
  const double ratio = static_cast<double>(area) / static_cast<double>(s.pixels() - area);
  const double factor = 1 / (static_cast<double>(targets.size()) + ratio);
  double mae = 0;
  if (area > 0) {
    mae = ratio * (static_cast<double>(error_sum(s.levels, outside)) / range) / static_cast<double>(area) *
          factor;
  }
  for (const Histograms& h : inside) {
    const std::int64_t n = sum_of(h.foreground) + sum_of(h.background);
    if (n > 0) mae += static_cast<double>(error_sum(s.levels, h)) / range / static_cast<double>(n) * factor;
  }
  return mae;
}

// Foreground of pred * mask at its own adaptive threshold, min(2 mean over the whole picture, 1). Pixels
// outside are 0.
Confusion adaptive_confusion(const Sample& s, const Target& t, const Histograms& h, std::int64_t outside) {
  const Levels& l = s.levels;
  std::int64_t sum = 0;
  for (int v = l.low; v <= l.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    sum += std::int64_t{v - l.offset} * (h.foreground[i] + h.background[i]);
  }
  const double n = static_cast<double>(s.pixels());
  double threshold = 2 * (static_cast<double>(sum) / l.range / n);
  bool close = false;
  for (int v = l.low; v <= l.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const double difference = l.value[i] - threshold;
    close = close || (h.foreground[i] + h.background[i] != 0 && difference < 1e-9 && difference > -1e-9);
  }
  if (close) {
    threshold = 2 *
                numpy_sum<double>(
                    [&](std::int64_t i) {
                      const int x = static_cast<int>(i % s.width);
                      const int y = static_cast<int>(i / s.width);
                      const bool in = x >= t.box.x0 && x <= t.box.x1 && y >= t.box.y0 && y <= t.box.y1 &&
                                      t.covers(x, y, s.width);
                      return in ? l.value[s.prediction_row(y)[x]] : 0.0;
                    },
                    s.pixels()) /
                n;
  }
  threshold = std::min(threshold, 1.0);
  Confusion c;
  (0.0 >= threshold ? c.fp : c.tn) += outside;
  for (int v = l.low; v <= l.high; ++v) {
    const auto i = static_cast<std::size_t>(v);
    const bool predicted = l.value[i] >= threshold;
    (predicted ? c.tp : c.fn) += h.foreground[i];
    (predicted ? c.fp : c.tn) += h.background[i];
  }
  return c;
}

ThresholdCounts counts_of(const Sample& s, const Target& t, const Histograms& h) {
  ThresholdCounts out;
  out.foreground = sum_of(h.foreground);
  out.background = s.pixels() - out.foreground;
  const std::int64_t outside = out.background - sum_of(h.background);
  out.counts = quantized_counts(h, s.levels);
  out.counts.background[0] += static_cast<std::uint32_t>(outside);
  out.adaptive = adaptive_confusion(s, t, h, outside);
  out.binary = confusion_at(h, s.levels.binary_cut);
  out.binary.tn += outside;
  return out;
}

void add_target(const ThresholdCounts& target, SizeInvariantScores& out) {
  Curve curve;
  for_each_threshold(target.counts, target.foreground, target.background,
                     [&](int i, const Confusion& c, bool same) {
                       const auto at = static_cast<std::size_t>(i);
                       curve[at] = same ? curve[at - 1] : f_measure(c, kBeta2);
                     });
  for (std::size_t i = 0; i < curve.size(); ++i) out.target_sum[i] += curve[i];
  out.sample.adp += f_measure(target.adaptive, kBeta2);
  out.sample.mean += mean_of(curve);
  out.sample.max += max_of(curve);
  out.sample.bin += f_measure(target.binary, kBeta2);
  out.binary += target.binary;
  ++out.targets;
}

std::vector<Histograms> histograms_of(const Sample& s, const std::vector<Target>& targets) {
  std::vector<Histograms> inside;
  inside.reserve(targets.size());
  for (const Target& t : targets) inside.push_back(histograms_in(s, t));
  return inside;
}

std::vector<Target> rounded_targets_of(const Sample& s) {
  std::vector<Target> targets = targets_of(s);
  apply_reference_rounding(s, targets);
  return targets;
}

}  // namespace

std::size_t count_targets(const Sample& s) {
  return targets_of(s).size();
}

std::vector<ThresholdCounts> target_counts(const Sample& s) {
  std::vector<ThresholdCounts> out;
  for (const Target& t : rounded_targets_of(s)) out.push_back(counts_of(s, t, histograms_in(s, t)));
  return out;
}

TargetErrors target_errors(const Sample& s) {
  const std::vector<Target> targets = rounded_targets_of(s);
  const std::vector<Histograms> inside = histograms_of(s, targets);
  const Histograms outside = histograms_outside(s, targets, inside);
  const auto error_of = [&](const Histograms& h) {
    return ErrorSum{static_cast<double>(error_sum(s.levels, h)) / s.levels.range,
                    sum_of(h.foreground) + sum_of(h.background)};
  };
  TargetErrors out{error_of(outside), {}};
  for (const Histograms& h : inside) out.targets.push_back(error_of(h));
  return out;
}

std::vector<std::vector<std::uint8_t>> target_masks(const Sample& s) {
  std::vector<std::vector<std::uint8_t>> out;
  for (const Target& t : rounded_targets_of(s)) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(s.pixels()), 0);
    for (int y = t.box.y0; y <= t.box.y1; ++y) {
      for (int x = t.box.x0; x <= t.box.x1; ++x)
        mask[static_cast<std::size_t>(std::int64_t{y} * s.width + x)] = t.covers(x, y, s.width) ? 1 : 0;
    }
    out.push_back(std::move(mask));
  }
  return out;
}

SizeInvariantResult size_invariant(const Sample& s) {
  SizeInvariantResult out;
  out.f.sample = {};
  const std::vector<Target> targets = rounded_targets_of(s);
  if (targets.empty()) {  // no foreground: the plain measures of the whole picture
    out.mae = static_cast<double>(error_sum(s.levels, s.histogram)) / s.levels.range /
              static_cast<double>(s.pixels());
    add_target(counts_of(s, {{0, 0, s.width - 1, s.height - 1}, {}}, s.histogram), out.f);
    return out;
  }
  const std::vector<Histograms> inside = histograms_of(s, targets);
  out.mae = mae_of(s, targets, inside);
  for (std::size_t k = 0; k < targets.size(); ++k) add_target(counts_of(s, targets[k], inside[k]), out.f);
  const auto n = static_cast<double>(out.f.targets);
  out.f.sample = {out.f.sample.adp / n, out.f.sample.mean / n, out.f.sample.max / n, out.f.sample.bin / n};
  return out;
}

}  // namespace sam2unet::metrics
