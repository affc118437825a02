// Decoding, inference and encoding of different pictures at the same time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"
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

/// All but `report` are called in several threads, of one picture one after the other.
struct Stages {
  std::function<void(Picture&)> decode;  // of its input, all but the result
  // Its result; waits for the network, and for pictures to go with. With the index of the input.
  std::function<void(Picture&, std::size_t)> segment;
  std::function<Outcome(Picture&, std::size_t)> deliver;
  std::function<void(const Outcome&)> report;  // one at a time, in the order of the inputs
  std::function<void(int)> expect;             // so many more (or fewer) threads may come to `segment`
};

/// How many pictures may be underway: `few` of any size, more as long as all take less than `bytes`. What is
/// made of a picture takes about as much again.
struct Room {
  std::size_t few = 8;
  std::size_t bytes = std::size_t{2} << 30;
};

class Pipeline {
 public:
  /// `workers` threads take a picture each through all stages.
  Pipeline(std::vector<Input> inputs, Stages stages, std::size_t workers, Room room = {});

  /// Returns when all pictures are through, or those underway after `stop`. An ImageError or FileError of
  /// `decode`, and an exception of `segment`, is the picture's outcome; one of `deliver` or `report` ends the
  /// run and is thrown here.
  void run();
  /// Begins no more pictures. May be called from a signal handler.
  void stop() { stopped_.store(true); }
  bool stopped() const { return stopped_.load(); }

 private:
  void work();
  std::optional<Outcome> outcome_of(std::size_t index, std::size_t& bytes);
  void finish(std::size_t index, Outcome outcome);
  void abort(std::exception_ptr failure);
  bool has_room() const;
  void enter();
  void take(std::size_t bytes);
  void leave(std::size_t bytes);

  std::vector<Input> inputs_;
  Stages stages_;
  const std::size_t workers_;
  const Room room_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};

  std::mutex mutex_;                        // of what follows
  std::map<std::size_t, Outcome> waiting_;  // finished before their turn
  std::size_t reported_ = 0;
  std::exception_ptr failure_;

  std::mutex room_mutex_;  // of what follows
  std::condition_variable room_changed_;
  std::size_t underway_ = 0, undecoded_ = 0;  // pictures; of the latter the size is not known
  std::size_t bytes_ = 0;                     // of the decoded ones
  std::size_t seen_ = 0, seen_bytes_ = 0;     // all that were decoded, to tell what others may take
};

}  // namespace sam2unet::cli
