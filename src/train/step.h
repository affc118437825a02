// One optimizer step up to its gradients: forward and backward, in parts, on all processes.
#pragma once

#include "train/loss.h"
#include "train/reducer.h"
#include "train/trainable_network.h"

namespace sam2unet::train {

struct StepOptions {
  LossOptions loss;
  int accumulate = 1;  ///< parts a process's pictures are computed in
  bool sync_bn = false;
};

class GradientStep {
 public:
  GradientStep(TrainableNetwork& net, const AdamW& optimizer, Group& group, const StepOptions& options);
  ~GradientStep();
  GradientStep(const GradientStep&) = delete;
  GradientStep& operator=(const GradientStep&) = delete;

  struct Outcome {
    double loss = 0.0;   ///< mean over the pictures of all processes
    bool stops = false;  ///< some process was asked to stop
    int bad_rank = -1;   ///< the first process whose loss is no number, if any
  };
  /// Leaves the gradients of the mean loss over the `total` pictures of all processes in the parameters; this
  /// one's are [B,S,S,3] and [B,S,S,1] in the compute type. Running statistics become the processes' mean.
  Outcome compute(const at::Tensor& image, const at::Tensor& mask, std::size_t total, bool stops);

 private:
  TrainableNetwork& net_;
  Group& group_;
  StepOptions options_;
  GradientReducer reducer_;
  std::vector<at::Tensor> statistics_;  // BatchNorm's running mean and variance
};

}  // namespace sam2unet::train
