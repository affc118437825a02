// Gradients summed over processes while the backward pass still runs.
#pragma once

#include <functional>
#include <vector>

#include "train/optimizer.h"
#include "train/parallel.h"

namespace sam2unet::train {

/// Buckets of gradients, in about the order in which the backward pass makes them: the last layers first. A
/// bucket goes out as soon as it is whole and those before it are out, so all processes send alike.
class GradientReducer {
 public:
  /// Listens to the parameters' gradients as long as it lives. Does nothing for one process.
  GradientReducer(const std::vector<AdamW::Slot>& slots, Group& group, std::size_t bucket_bytes = 25U << 20);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  /// The next backward pass is the last of this step: its gradients are complete.
  void start();
  /// Waits; every gradient is now the sum over all processes.
  void finish();

 private:
  struct Hook;
  struct Member {
    at::Tensor parameter, part;  // part: its place in the bucket
    bool is_ready = false;
  };
  struct Bucket {
    at::Tensor flat;
    std::vector<Member> members;
    std::size_t ready = 0;
    std::function<void()> wait;
  };
  void ready(std::size_t bucket, std::size_t member);
  void send(Bucket& bucket);

  Group& group_;
  std::vector<Bucket> buckets_;
  std::size_t sent_ = 0;
  bool is_last_pass_ = false;
};

}  // namespace sam2unet::train
