// The training loop.
#pragma once

#include <functional>
#include <string>

#include "train/settings.h"

namespace sam2unet::train {

/// Where a run stands after an optimizer step.
struct StepReport {
  int epoch = 0, epochs = 0;           ///< epoch counts from 1
  std::size_t batch = 0, batches = 0;  ///< of the epoch
  std::int64_t step = 0;
  double loss = 0.0;
  double lr = 0.0;
  double gradient_norm = 0.0;   ///< before clipping
  double pictures_per_s = 0.0;  ///< of all processes
  double seconds_left = 0.0;    ///< of the whole run, by what this process has seen of it
};

/// Told what happens; the loop itself prints nothing. Only the first of several processes tells.
struct Listener {
  std::function<void(const std::string& line)> message = [](const std::string&) {};
  std::function<void(const StepReport&)> step = [](const StepReport&) {};
  /// True asks for a checkpoint and a clean end (SIGINT, SIGTERM); asked on every process.
  std::function<bool()> stop = [] { return false; };
};

struct RunResult {
  bool finished = false;                     ///< false: stopped on request; resume goes on
  double first_loss = 0.0, last_loss = 0.0;  ///< means over an epoch
  double start = 0.0;  ///< value of --best-by before the first step; NaN without validation
  double best = 0.0;   ///< value of --best-by in the best epoch; NaN without validation
  int best_epoch = 0;  ///< 0: the start
};

enum class Begin {
  fresh,   ///< the folder may hold no run
  resume,  ///< where the folder's state says
};

/// Trains into settings.out: train.toml, run.json, log.csv, log.jsonl, steps.csv, steps.jsonl, TensorBoard
/// events, last.safetensors and best.safetensors (weights), state.safetensors (to resume), validation/. Where
/// torchrun, srun or mpirun started several processes, each calls this; LostProcess if one of them ends.
RunResult run(const Settings& settings, Begin begin, const Listener& listener);

}  // namespace sam2unet::train
