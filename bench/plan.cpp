// The memory model of `train --plan` against real training steps: peak of live tensor bytes as LibTorch
// reports them, and of what `--plan` says a process needs against its resident memory.
//
//   bench_plan VARIANT|JSON SIZE BATCH [precision=f32] [freeze=trunk] [recompute=0] [accumulate=1] [scale
//   ...]
#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "model/weight_source.h"
#include "train/measure.h"
#include "train/multi_scale.h"

int main(int argc, char** argv) {
  using namespace sam2unet;
  using namespace sam2unet::train;
  try {
    if (argc < 4) return 2;
    Settings s;
    s.size = std::atoi(argv[2]);
    s.batch = std::atoi(argv[3]);
    if (argc > 4) parse_setting("precision", argv[4], s.precision);
    if (argc > 5) parse_setting("freeze", argv[5], s.freeze);
    s.recompute = argc > 6 && argv[6][0] == '1';
    if (argc > 7) s.accumulate = std::atoi(argv[7]);
    for (int i = 8; i < argc; ++i) s.multi_scale.push_back(std::atof(argv[i]));
    const std::string what = argv[1];
    const auto config = what[0] == '{' ? model::Config::from_json(what) : model::Config::of_variant(what);
    const std::int64_t measured = measured_peak(config, s);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const MemoryNeed need = memory_need(config, s);
    const auto sizes = training_sizes(s.size, s.multi_scale);
    constexpr double kMiB = 1 << 20;
    const std::int64_t process = process_need(need, default_overhead(DeviceKind::cpu));
    const double resident = static_cast<double>(usage.ru_maxrss) / 1024;
    std::printf(
        "%s %d x%d %s %s recompute %d accumulate %d, largest size %d: predicted %.1f MiB, measured %.1f MiB, "
        "ratio %.3f; "
        "process %.0f MiB, resident %.0f MiB, ratio %.3f; weights %.1f optimizer %.1f gradients %.1f batch "
        "%.1f activations %.1f\n",
        what.c_str(), s.size, s.batch, std::string(name_of(s.precision)).c_str(),
        std::string(name_of(s.freeze)).c_str(), s.recompute ? 1 : 0, s.accumulate,
        *std::max_element(sizes.begin(), sizes.end()), static_cast<double>(need.total()) / kMiB,
        static_cast<double>(measured) / kMiB,
        static_cast<double>(need.total()) / static_cast<double>(measured),
        static_cast<double>(process) / kMiB, resident, static_cast<double>(process) / kMiB / resident,
        static_cast<double>(need.parameters) / kMiB, static_cast<double>(need.optimizer) / kMiB,
        static_cast<double>(need.gradients) / kMiB, static_cast<double>(need.batch) / kMiB,
        static_cast<double>(need.activations) / kMiB);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_plan: %s\n", e.what());
    return 1;
  }
}
