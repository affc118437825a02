// Pictures that several threads want segmented at the same time, as batches.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

/// Whoever finds the network idle runs it, for the others that wait too; meanwhile the next batch gathers.
class Batcher {
 public:
  /// At most `batch` pictures at once.
  Batcher(const Segmenter& segmenter, const SegmentOptions& options, std::size_t batch)
      : segmenter_(segmenter), options_(options), batch_(batch) {
    options_.batch = static_cast<int>(batch);
  }

  /// From several threads at once. Throws what segmenting this picture alone throws.
  Segmentation segment(const ImageView& picture);
  /// Spent with the network so far, and on how many pictures.
  double seconds() const;
  std::size_t pictures() const;

 private:
  struct Request {
    ImageView picture;
    Segmentation result;
    std::exception_ptr failure;
    bool done = false;
  };

  void run(std::vector<Request*>& requests);

  const Segmenter& segmenter_;
  SegmentOptions options_;
  const std::size_t batch_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request*> waiting_;
  bool busy_ = false;
  double seconds_ = 0.0;
  std::size_t pictures_ = 0;
};

}  // namespace sam2unet::cli
