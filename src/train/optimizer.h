// AdamW and the cosine schedule, as PyTorch computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/torch/torch_weights.h"

namespace sam2unet::train {

struct AdamWOptions {
  double lr = 1e-3, weight_decay = 5e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decay_norms_and_biases = true;  ///< the official recipe decays everything that learns
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
  void step(double lr);
  void zero_grad();

  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t n) { steps_ = n; }
  /// The state, to be stored and restored in place.
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  AdamWOptions options_;
  std::vector<Slot> slots_;
  std::int64_t steps_ = 0;
};

/// Scales gradients so that their common 2-norm is at most `largest`; the norm before. 0: only measures.
double clip_gradients(const std::vector<AdamW::Slot>& slots, double largest);

/// CosineAnnealingLR: lr of epoch e of n: eta_min + (lr - eta_min) (1 + cos(pi e / n)) / 2 (train.py:49).
double cosine_lr(double lr, double eta_min, int epoch, int epochs);

}  // namespace sam2unet::train
