// A whole data set through evaluate(), decoding included: time, and memory that must not grow but by the
// records.
//
//   bench_eval_set [pictures=5019] [threads=all] [folder]
//
// The maps, PNG of about 400x300, are made first (an object of soft outline with noise, and its truth), in
// `folder` if one is named, which is then kept and used again.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "metrics/record.h"
#include "sam2unet/evaluate.h"

namespace {

using namespace sam2unet;
namespace fs = std::filesystem;

struct Blob {
  double x, y, radius, waves, height;
};

double depth(const Blob& b, int x, int y) {
  const double angle = std::atan2(y - b.y, x - b.x);
  return b.radius + b.height * std::sin(b.waves * angle) - std::hypot(x - b.x, y - b.y);
}

void make_pair(const fs::path& folder, int index) {
  std::mt19937 random(static_cast<unsigned>(index));
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const int width = static_cast<int>(uniform(380, 420)), height = static_cast<int>(uniform(280, 320));
  const Blob truth{uniform(120, 280), uniform(100, 200), uniform(30, 90), std::floor(uniform(3, 9)),
                   uniform(2, 14)};
  const Blob found{truth.x + uniform(-8, 8), truth.y + uniform(-8, 8), truth.radius * uniform(0.85, 1.1),
                   truth.waves, truth.height * uniform(0.5, 1)};
  const double softness = uniform(1, 6), noise = uniform(0, 12);
  Image p(width, height, 1), t(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double soft = 255 / (1 + std::exp(-depth(found, x, y) / softness));
      // Noise where the map is not sure, as networks have it.
      const double sure = std::abs(soft - 127.5) / 127.5;
      p.row(y)[x] =
          static_cast<std::uint8_t>(std::clamp(soft + (1 - sure) * uniform(-noise, noise), 0.0, 255.0));
      t.row(y)[x] = depth(truth, x, y) > 0 ? 255 : 0;
    }
  }
  char name[32];
  std::snprintf(name, sizeof name, "%05d.png", index);
  write_png(folder / "pred" / name, p);
  write_png(folder / "gt" / name, t);
}

void make_set(const fs::path& folder, int count, int threads) {
  fs::create_directories(folder / "pred");
  fs::create_directories(folder / "gt");
  std::vector<std::jthread> pool;
  for (int k = 0; k < threads; ++k) {
    pool.emplace_back([=, &folder] {
      for (int i = k; i < count; i += threads) make_pair(folder, i);
    });
  }
}

double megabytes_resident() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024e-6;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void score(const fs::path& folder, int threads, int resamples) {
  EvaluateOptions options;
  options.threads = threads;
  options.resamples = resamples;
  const double processor = processor_seconds();
  const auto start = std::chrono::steady_clock::now();
  const Evaluation e = evaluate(folder / "pred", folder / "gt", options);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  std::printf(
      "%6zu pictures  %4d resamples  %d threads: %6.2f s, processor %6.2f s; S %.4f  peak resident %.0f MB\n",
      e.counted, resamples, threads, wall.count(), processor_seconds() - processor, e.value("S"),
      megabytes_resident());
}

void run(int count, int threads, const std::string& folder) {
  const fs::path root = folder.empty()
                            ? fs::temp_directory_path() / ("bench_eval_set_" + std::to_string(getpid()))
                            : fs::path(folder);
  const fs::path whole = root / std::to_string(count), part = root / std::to_string(count / 8);
  for (const auto& [path, n] : {std::pair{part, count / 8}, std::pair{whole, count}}) {
    if (!fs::exists(path)) make_set(path, n, threads);
  }
  std::printf("a record is %zu bytes\n", sizeof(metrics::ImageScores));
  score(part, threads, 0);
  score(whole, threads, 0);
  score(whole, threads, 1000);
  if (folder.empty()) fs::remove_all(root);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? std::atoi(argv[1]) : 5019,
        argc > 2 ? std::atoi(argv[2]) : static_cast<int>(std::thread::hardware_concurrency()),
        argc > 3 ? argv[3] : "");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_eval_set: %s\n", e.what());
    return 1;
  }
}
