// The threads that turn waiting pictures into results: some decode, one runs the network (several where the
// device takes several batches at a time), some encode. As in `predict`, they work on different pictures at
// the same time.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "serve/batcher.h"
#include "serve/handover.h"
#include "serve/metrics.h"
#include "serve/options.h"
#include "serve/queue.h"

namespace sam2unet::serve {

class Workshop {
 public:
  Workshop(const Options& options, Metrics& metrics);
  /// Ends its threads; what still waits is dropped.
  ~Workshop() { stop(); }
  void stop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  FairQueue& queue() { return queue_; }
  const FairQueue& queue() const { return queue_; }
  /// Runs `f` in the thread that takes bodies apart; in order.
  void prepare(std::function<void()> f);

 private:
  void decode_all();
  void encode_all();
  void decode(const Ticket& ticket);
  void encode(const Ticket& ticket);

  Metrics& metrics_;
  FairQueue queue_;
  Batcher batcher_;
  Handover<std::function<void()>> bodies_;
  Handover<Ticket> computed_;
  std::vector<std::thread> decoders_, encoders_, network_;
  std::thread preparer_;
};

}  // namespace sam2unet::serve
