// Pictures that several threads want segmented at the same time, as batches.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

/// Runs the network in threads of its own, as many batches at a time as keep the device busy. What predict
/// and eval share: their threads decode pictures, wait here for the results, and make of them what was asked
/// for.
class Batcher {
 public:
  /// At most `batch` pictures at once.
  Batcher(const Segmenter& segmenter, const SegmentOptions& options, std::size_t batch);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// From several threads at once. Throws what segmenting this picture alone throws. Adds to `seconds` what
  /// was spent on it, without the waiting.
  Segmentation segment(const ImageView& picture, double* seconds = nullptr);
  /// Runs `work`, which runs the network itself, where the network runs, and throws what it throws.
  void run(const std::function<void()>& work, double* seconds = nullptr);

  /// So many more (or fewer) threads call. As long as one of them may still come a batch waits until it is
  /// full, so that the batches do not depend on who was fast. Where no number was told, a batch is what
  /// waits.
  void expect(int callers);

  /// How many threads must wait here to keep the device busy: those of the batches that are computed, and of
  /// the one that gathers meanwhile.
  std::size_t waiting_for_full() const { return (lanes_.size() + 1) * batch_; }
  /// Spent with the network so far, and on how many pictures.
  double seconds() const;
  std::size_t pictures() const;

 private:
  struct Request {
    ImageView picture;
    const std::function<void()>* work = nullptr;  // in place of the picture
    Segmentation result = {};
    std::exception_ptr failure = {};
    double seconds = 0.0;
    bool done = false;
  };

  void wait_for(Request& request);
  void run_lane();
  std::vector<Request*> gather();
  bool is_full() const;
  void compute(std::span<Request* const> requests);
  void compute_together(std::span<Request* const> requests);

  const Segmenter& segmenter_;
  SegmentOptions options_;
  const std::size_t batch_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable came_, done_;
  std::deque<Request*> waiting_;
  std::size_t computing_ = 0;  // pictures
  int callers_ = 0;
  bool gathering_ = false, closed_ = false;
  double seconds_ = 0.0;
  std::size_t pictures_ = 0;
  std::vector<std::thread> lanes_;  // last: they use all of the above
};

}  // namespace sam2unet::cli
