// Decoding, inference and encoding of different pictures at the same time.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inputs.h"
#include "queue.h"
#include "results.h"

namespace sam2unet::cli {

/// What became of one picture.
struct Outcome {
  std::string error;                    // one line; empty if it went well
  std::string line;                     // for standard output; may be empty
  std::string note;                     // for a person who wants to know more; may be empty
  double seconds = 0.0;                 // spent on it
  std::vector<ResultBytes> files = {};  // that are still to be written, in the order of the inputs
};

struct Stages {
  std::function<void(Picture&)> decode;  // in several threads: of its input, all but the result
  // In the calling thread: it uses all cores by itself. Gives a batch of pictures, at most, their results.
  std::function<void(std::span<Picture* const>)> segment;
  std::function<Outcome(Picture&, std::size_t)> deliver;  // in several threads; the index of the input
  std::function<void(const Outcome&)> report;             // one at a time, in the order of the inputs
};

class Pipeline {
 public:
  Pipeline(std::vector<Input> inputs, Stages stages, std::size_t batch);

  /// Returns when all pictures are through, or those underway after `stop`. An ImageError or FileError of
  /// `decode`, and an exception of `segment`, is the picture's outcome; one of `deliver` or `report` ends the
  /// run and is thrown here.
  void run();
  /// Begins no more pictures. May be called from a signal handler.
  void stop() { stopped_.store(true); }
  bool stopped() const { return stopped_.load(); }

 private:
  struct Item {
    std::size_t index = 0;
    Picture picture;
  };

  void decode_all();
  void segment_all();
  std::vector<Item> pop_batch();
  bool segment_together(std::vector<Item>& items);
  void segment_alone(Item& item);
  void segment(std::span<Item> items);
  void deliver_all();
  void finish(std::size_t index, Outcome outcome);
  void abort();

  std::vector<Input> inputs_;
  Stages stages_;
  const std::size_t batch_;
  BoundedQueue<Item> decoded_;
  BoundedQueue<Item> segmented_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};

  std::mutex mutex_;                        // of what follows
  std::map<std::size_t, Outcome> waiting_;  // finished before their turn
  std::size_t reported_ = 0;
  std::exception_ptr failure_;
};

}  // namespace sam2unet::cli
