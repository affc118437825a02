// Every metric on one pair of maps, in nanoseconds per pixel: alone on a prepared sample, and as `eval`
// scores a picture ("classic": S, E, the F family with IoU, Dice and BER, weighted F, MAE; "all": everything
// but the camouflage context measure).
//
//   bench_metrics [prediction.png truth.png] [Google Benchmark's options]
//
// Without files the maps are made here, 400x300: an object of soft outline and its slightly shifted truth.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "metrics/camouflage.h"
#include "metrics/context.h"
#include "metrics/e_measure.h"
#include "metrics/hce.h"
#include "metrics/mirror.h"
#include "metrics/msiou.h"
#include "metrics/s_measure.h"
#include "metrics/scorer.h"
#include "metrics/size_invariant.h"
#include "metrics/surface.h"
#include "metrics/weighted_f.h"

namespace {

using namespace sam2unet;
using namespace sam2unet::metrics;

struct Maps {
  Image prediction, truth, picture;
  Sample sample;
};

Maps& maps() {
  static Maps m;
  return m;
}

// A wavy blob: distance to its outline in pixels, positive inside.
double depth(int x, int y, double cx, double cy) {
  const double angle = std::atan2(y - cy, x - cx);
  return 90 + 12 * std::sin(5 * angle) + 6 * std::sin(11 * angle) - std::hypot(x - cx, (y - cy) * 1.2);
}

void make_maps() {
  Maps& m = maps();
  m.prediction = Image(400, 300, 1);
  m.truth = Image(400, 300, 1);
  for (int y = 0; y < 300; ++y) {
    for (int x = 0; x < 400; ++x) {
      const double soft = 1 / (1 + std::exp(-depth(x, y, 203, 148) / 4));
      m.prediction.row(y)[x] = static_cast<std::uint8_t>(255 * soft);
      m.truth.row(y)[x] = depth(x, y, 198, 152) > 0 ? 255 : 0;
    }
  }
}

void make_picture() {
  Maps& m = maps();
  m.picture = Image(m.truth.width, m.truth.height, 3);
  for (std::size_t i = 0; i < m.picture.pixels.size(); ++i)
    m.picture.pixels[i] = static_cast<std::uint8_t>((i * 2654435761U) >> 24);
}

// Calls f again and again, and reports time per pixel.
template <typename F>
void measure(const char* name, const F& f) {
  benchmark::RegisterBenchmark(name, [f](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(f());
    state.counters["per pixel"] =
        benchmark::Counter(static_cast<double>(maps().sample.pixels()),
                           benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  })->Unit(benchmark::kMicrosecond);
}

void measure_scoring() {
  static Scorer classic(kClassicSet), all;
  measure("classic", [] { return classic.score(maps().prediction, maps().truth).s; });
  measure("all", [] { return all.score(maps().prediction, maps().truth).s; });
}

void measure_metrics() {
  static const Sample& s = maps().sample;
  static Sample again;
  static LevelCounts counts = quantized_counts(s.histogram, s.levels);
  measure("sample (normalisation, histograms)", [] {
    again.assign(maps().prediction, maps().truth);
    return again.foreground;
  });
  measure("S", [] { return s_measure(s); });
  measure("E curve", [] {
    Curve e;
    e_curve(counts, s.foreground, s.background(), e);
    return e[0];
  });
  measure("eleven measures, curves", [] {
    static MeasureCurves curves;
    measure_curves(counts, s.foreground, s.background(), curves);
    return curves[0][0];
  });
  measure("weighted F", [] {
    static WeightedFBuffers buffers;
    return weighted_f(s, buffers);
  });
  measure("HCE", [] { return human_correction_effort(predicted_at(s, s.levels.binary_cut), truth_of(s)); });
  measure("MSIoU", [] {
    MsiouCurve curve;
    again.assign(maps().prediction, maps().truth);  // as PySODMetrics' step() begins
    return msiou(again, curve).mean;
  });
  measure("CM", [] { return context_measure(s, context_maps(s, prediction_values(s)), kContextBeta2, {}); });
  measure("camouflage degree", [] { return camouflage_degree(s, maps().picture)[0]; });
  measure("SIMAE and size-invariant F", [] { return size_invariant(s).mae; });
  measure("BIoU", [] { return boundary_iou(s); });
  measure("HD95 and ASSD", [] { return surface_distances(s).assd; });
  measure("mirror", [] { return mirror_scores(maps().prediction, maps().truth).iou; });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    benchmark::Initialize(&argc, argv);
    if (argc == 3) {
      maps().prediction = read_image(argv[1], {.mode = ColorMode::gray});
      maps().truth = read_image(argv[2], {.mode = ColorMode::gray});
    } else if (argc == 1) {
      make_maps();
    } else {
      std::fprintf(stderr, "usage: bench_metrics [prediction.png truth.png] [--benchmark_...]\n");
      return 2;
    }
    make_picture();
    maps().sample.assign(maps().prediction, maps().truth);
    measure_scoring();
    measure_metrics();
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_metrics: %s\n", e.what());
    return 1;
  }
}
