// A request's work: pictures (or a tensor) that go through queue, decoding, network and encoding.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"
#include "serve/exchange.h"
#include "serve/models.h"

namespace sam2unet::serve {

/// Why a picture has no result.
struct Problem {
  int status = 500;
  Refusal reason = Refusal::failed;
  std::string text;      ///< for the client
  std::string internal;  ///< for the log alone, where it is another
};
/// What an exception means to a client. Nothing of this machine is in the text.
Problem problem_of(const std::exception_ptr& failure);

/// A file that was made of a picture.
struct Output {
  std::string file_name, content_type;
  Bytes bytes;
};

/// One picture. Each member is written by one stage and read by later ones.
struct Piece {
  std::string name;
  ByteView bytes;  ///< of the file; belongs to the request's body, or to `own`
  Bytes own;
  Image pixels;
  Bytes color_profile;
  Segmentation result;
  std::vector<Output> outputs;
  std::optional<Problem> problem;
  std::array<double, kStages> seconds{};

  double seconds_so_far() const {
    double sum = 0.0;  // of the work, as predict counts: not of waiting
    for (std::size_t i = 1; i < kStages; ++i) sum += seconds.at(i);
    return sum;
  }
};

/// The network's own input, instead of pictures; it takes the way of one picture.
struct Tensor {
  std::vector<float> values;  ///< [count,3,size.height,size.width]
  int count = 0;
  InputSize size;
  std::vector<float> logits;  ///< [count,K,size.height,size.width]
};

struct Task {
  SharedExchange exchange;
  std::string client;  ///< who takes turns
  SharedModel model;
  SegmentOptions segment;
  DecodeOptions decode;
  std::optional<Tensor> tensor;
  std::vector<Piece> pieces;  ///< at least one; of a tensor an empty one
  /// Makes a piece's outputs of its result; in one of several threads.
  std::function<void(Task&, Piece&)> encode;
  /// Once, when all pieces have outputs or a problem; in any thread.
  std::function<void(Task&)> done;
  Clock::time_point accepted, deadline;

  std::size_t next = 0;  ///< first piece not handed out; the queue's
  std::atomic<std::size_t> left{0};
};
using SharedTask = std::shared_ptr<Task>;

/// One piece on its way.
struct Ticket {
  SharedTask task;
  std::size_t index = 0;
  Piece& piece() const { return task->pieces[index]; }
};

/// The piece is through, with or without a problem.
void finish(const Ticket& ticket);
/// Gives the problem to pieces from `first` on.
void fail_rest(const SharedTask& task, std::size_t first, const Problem& problem);

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace sam2unet::serve
