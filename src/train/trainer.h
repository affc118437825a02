// The training loop.
#pragma once

#include <functional>
#include <string>

#include "train/settings.h"

namespace sam2unet::train {

/// Told what happens; the loop itself prints nothing.
struct Listener {
  std::function<void(const std::string& line)> message = [](const std::string&) {};
  /// After each optimizer step.
  std::function<void(int epoch, std::size_t batch, std::size_t batches, double loss, double pictures_per_s)>
      step = [](int, std::size_t, std::size_t, double, double) {};
  /// True asks for a checkpoint and a clean end (SIGINT, SIGTERM).
  std::function<bool()> stop = [] { return false; };
};

struct RunResult {
  bool finished = false;                     ///< false: stopped on request; resume goes on
  double first_loss = 0.0, last_loss = 0.0;  ///< means over an epoch
  double best_mae = 0.0;                     ///< of the validation; infinite without one
};

/// Trains into settings.out: train.toml, log.csv, log.jsonl, TensorBoard events, last.safetensors and
/// best.safetensors (weights), state.safetensors (to resume). With `resume`, goes on where that file says.
RunResult run(const Settings& settings, bool resume, const Listener& listener);

}  // namespace sam2unet::train
