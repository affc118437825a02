// How much memory a training step takes, computed without taking it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "train/settings.h"

namespace sam2unet::train {

/// Bytes of tensors. The peak is that of a whole step: forward, backward, update.
struct MemoryNeed {
  std::int64_t parameters = 0;  ///< with BatchNorm's statistics
  std::int64_t optimizer = 0;   ///< AdamW's two moments, and the moving average where there is one
  std::int64_t gradients = 0;   ///< of all that learns, alive together at the end of the backward pass
  std::int64_t batch = 0;       ///< pictures and masks of one step
  std::int64_t activations =
      0;  ///< what else is alive at the peak: kept for the backward pass, and temporary

  std::int64_t total() const { return parameters + optimizer + gradients + batch + activations; }
};

/// One step of the settings' batch, size, precision, accumulation, recompute, freeze and moving average, on
/// this network. Counts live tensors as LibTorch makes them on the CPU; allocators and libraries take more
/// (see docs).
MemoryNeed memory_need(const model::Config& config, const Settings& settings);

/// What a process takes before its first tensor, where nobody says otherwise.
std::int64_t default_overhead(DeviceKind device);

/// Bytes of a process: the tensors, a tenth of them for what allocators and libraries keep besides, and
/// `overhead`.
std::int64_t process_need(const MemoryNeed& need, std::int64_t overhead);

/// One row of a plan.
struct PlanEntry {
  std::string variant;
  ComputeType precision = ComputeType::f32;
  bool recompute = false;
  int largest_batch = 0;  ///< that fits without accumulation; 0: not even one picture
  int accumulate = 0;     ///< parts with which the settings' batch fits; 0: it does not
  MemoryNeed need;        ///< with that accumulation (of one picture where nothing fits)
};

struct Plan {
  std::int64_t memory = 0, overhead = 0;  ///< bytes there are, and of them the process's own
  std::vector<PlanEntry> entries;
  /// Index of what to use: the largest network asked for, in the precision asked for, with as little
  /// recomputation and accumulation as fits; -1: nothing fits.
  int recommended = -1;
  std::string command;  ///< that starts it; empty where nothing fits
};

/// All variants (or the settings' own network) in f32 and bf16 with and without recompute. `overhead` bytes
/// are set aside for the process and its libraries.
Plan make_plan(const Settings& settings, std::int64_t memory, std::int64_t overhead);

/// "12G", "800M", "6.5GiB" as bytes; K, M, G, T are powers of 1024. UsageError.
std::int64_t parse_bytes(const std::string& text);

std::string to_text(const Plan& plan, const Settings& settings);
std::string to_json(const Plan& plan, const Settings& settings);

}  // namespace sam2unet::train
