// How fast this machine computes the network, and how near that is to what the machine can do at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "sam2unet/export.h"
#include "sam2unet/segmenter.h"

namespace sam2unet {

struct BenchOptions {
  /// "t", "s", "b+" or "l" with weights that are a function of their names; or a file of weights (or
  /// a model's name). One of them.
  std::string variant;
  std::filesystem::path weights;
  InputSize size = InputSize::square(0);  ///< 0: what the weights were trained at, else 352
  int batch = 1;
  int rounds = 20;  ///< that count
  int warm_up = 2;
  SegmenterOptions run;
  /// So many threads run batches at the same time, each all the rounds, so that what is copied for one goes
  /// beside what is computed for another. On the device "cpu" they share the threads, and more than one
  /// are timed as a whole, without stages and floor. It stands in for `run.streams`, which is not read: that
  /// one only divides the CPU's threads, and may be 0.
  int streams = 1;
};

/// Time of a part of the network and of each kind of operation in it.
struct BenchStage {
  std::string name;  ///< "stage 1" ... "stage 4" of the encoder, "neck 1" ..., "up 1" ..., "head"
  double ms = 0.0;
  struct Share {
    std::string kind;  ///< "linear", "attention", "convolution" ...
    double ms = 0.0;
  };
  std::vector<Share> kinds;
};

/// One operation of the fastest round, from its begin on.
struct BenchEvent {
  std::string kind, stage;
  double begin_us = 0.0, us = 0.0;
};

struct BenchResult {
  std::string variant, device, arithmetic;
  Precision precision = Precision::f32;
  InputSize size;
  int batch = 1, threads = 1;
  std::vector<double> ms;    ///< of each round of each stream, a batch; sorted
  double gflop = 0.0;        ///< operations of a batch without padding, a multiply-add as two, in 1e9
  double peak_gflops = 0.0;  ///< of the precision's fastest instruction on all threads, measured between the
                             ///< rounds; 0 on other devices than "cpu", as is what follows from it
  double floor_ms = 0.0;     ///< gflop at that peak
  double peak_rss_mb = 0.0;  ///< of the process, the weights' reading included
  std::vector<BenchStage> stages;  ///< of the fastest round, on "cpu"
  std::vector<BenchEvent> events;
  int streams = 1;
  std::string choice;    ///< as SegmenterInfo has it
  double total_s = 0.0;  ///< from the begin of the first round that counts to the end of the last; 0 of one
                         ///< stream on "cpu"

  /// The value that `share` of the rounds do not exceed, 0 to 1.
  SAM2UNET_API double percentile(double share) const;
  /// Of one stream by the median round, of several by what they did together.
  double images_per_s() const {
    return streams == 1 ? 1e3 * batch / percentile(0.5) : static_cast<double>(ms.size()) * batch / total_s;
  }
  double achieved_gflops() const { return gflop / ms.front() * 1e3; }
  double ratio_to_floor() const { return floor_ms > 0.0 ? ms.front() / floor_ms : 0.0; }
};

/// Times the network alone: pictures are neither read nor resized. UsageError; errors of weights as
/// Segmenter's.
SAM2UNET_API BenchResult bench(const BenchOptions& options);

}  // namespace sam2unet
