// AdamW and the cosine schedule, as PyTorch computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/torch/torch_weights.h"

namespace sam2unet::train {

/// Where the numbers live that change from step to step: rate, step number, decay of an average.
enum class StepNumbers {
  as_device,  ///< on the host where the parameters are, else on the device
  host,       ///< read as they are
  device,     ///< in tensors, so that a recorded step sees the next ones
};
bool on_device(StepNumbers numbers, const at::Tensor& parameter);

struct AdamWOptions {
  double lr = 1e-3, weight_decay = 5e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decay_norms_and_biases = true;  ///< the official recipe decays everything that learns
  StepNumbers numbers = StepNumbers::as_device;
};

class AdamW {
 public:
  struct Slot {
    std::string name;
    at::Tensor parameter, mean, square;
    double weight_decay = 0.0;
  };

  AdamW(const std::vector<ops::ParameterSet::Entry>& parameters, const AdamWOptions& options);

  /// One update by the gradients that are there.
  void step(double lr) {
    begin_step(lr);
    update({});
  }
  /// Counts a step and settles its numbers; nothing waits for a device.
  void begin_step(double lr);
  /// The update of the step that was begun, which can be recorded where its numbers are tensors. `ok` []
  /// bool: whether it may be made; all stays as it is where not.
  void update(const at::Tensor& ok);
  void zero_grad();

  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t n) { steps_ = n; }
  /// The state, to be stored and restored in place.
  const std::vector<Slot>& slots() const { return slots_; }
  const AdamWOptions& options() const { return options_; }

 private:
  struct Many {
    std::vector<at::Tensor> parameters, gradients, means, squares;
  };
  Many next_together(std::size_t& at, std::int64_t most) const;
  void update_on_host();
  void update_on_device(const at::Tensor& ok);

  AdamWOptions options_;
  std::vector<Slot> slots_;
  std::int64_t steps_ = 0;
  double lr_ = 0.0;
  at::Tensor device_lr_, device_step_;  // [] float32, where the numbers are tensors
};

/// Scales gradients so that their common 2-norm is at most `largest`, as PyTorch's clip_grad_norm_; the norm
/// before, [] float64 on their device. 0: only measures.
at::Tensor clip_gradients(const std::vector<AdamW::Slot>& slots, double largest);

/// CosineAnnealingLR: lr of epoch e of n: eta_min + (lr - eta_min) (1 + cos(pi e / n)) / 2 (train.py:49).
double cosine_lr(double lr, double eta_min, int epoch, int epochs);

}  // namespace sam2unet::train
