// A picture, or a batch of them, through the network, float32, after warm-up, against the floor: the
// network's own operations without padding, at the multiply-add peak measured before and after in the same
// run.
//
//   bench_forward [variant=t] [size=352] [threads=all] [rounds=10] [batch=1]
//
// Pictures/s of T and L at batch 1, 4 and 16: for v in t l; do for b in 1 4 16; do bench_forward $v 352 2 5
// $b; done; done
#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "float32_peak.h"
#include "model/gflop.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/cpu/cpu_ops.h"

namespace {

using namespace sam2unet;

void run(const std::string& variant, int size, int threads, int pictures, int batch) {
  const auto config = model::Config::of_variant(variant);
  model::DeterministicWeights source;
  ops::CpuWeights weights(source);
  const auto net = model::Network<ops::CpuWeights>::make(weights, config);
  ops::CpuOps o(threads);
  const double before = peak_gflops(threads);
  std::vector<double> ms;
  for (int i = 0; i < pictures + 2; ++i) {
    auto image = o.make({batch, size, size, 3});
    std::fill_n(image.data(), image.extent().numel(), 0.25F);
    const auto start = std::chrono::steady_clock::now();
    const auto maps = model::sam2unet(o, net, image);
    const std::chrono::duration<double, std::milli> t = std::chrono::steady_clock::now() - start;
    if (i >= 2) ms.push_back(t.count());
  }
  const double peak = std::max(before, peak_gflops(threads));
  std::sort(ms.begin(), ms.end());
  const double median = ms[ms.size() / 2], gflop = batch * model::network_gflop(config, {1, size, size, 3}),
               floor_ms = gflop / peak * 1e3;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("variant %s  size %d  threads %d\n", variant.c_str(), size, threads);
  std::printf("peak %.1f GFLOP/s  operations %.1f GFLOP  floor %.1f ms\n", peak, gflop, floor_ms);
  std::printf("picture min %.1f  median %.1f  max %.1f ms  ratio to floor: min %.2f  median %.2f\n",
              ms.front(), median, ms.back(), ms.front() / floor_ms, median / floor_ms);
  std::printf("batch %d  pictures/s best %.3f  median %.3f\n", batch, 1e3 * batch / ms.front(),
              1e3 * batch / median);
  std::printf("arena %.1f MB  peak resident %.0f MB\n", static_cast<double>(o.arena_bytes()) * 1e-6,
              static_cast<double>(usage.ru_maxrss) * 1024e-6);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "t", argc > 2 ? std::atoi(argv[2]) : 352,
        argc > 3 ? std::atoi(argv[3]) : omp_get_num_procs(), argc > 4 ? std::atoi(argv[4]) : 10,
        argc > 5 ? std::atoi(argv[5]) : 1);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_forward: %s\n", e.what());
    return 1;
  }
}
