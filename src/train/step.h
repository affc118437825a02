// An optimizer step: forward, loss, backward, clipping, AdamW, moving average. Nothing in it waits for a
// device: what came of a step is read when the next one is under way.
#pragma once

#include <c10/core/Event.h>

#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "train/input.h"
#include "train/loader.h"
#include "train/loss.h"
#include "train/recorder.h"
#include "train/reducer.h"
#include "train/state.h"
#include "train/trainable_network.h"

namespace sam2unet::train {

struct StepOptions {
  LossOptions loss;
  int accumulate = 1;  ///< parts a process's pictures are computed in
  bool sync_bn = false;
  double clip = 0.0;                     ///< largest norm of the gradients; 0: any
  at::ScalarType type = at::kFloat;      ///< that the network is computed in
  std::shared_ptr<Recorder> recorder{};  ///< where there is one, steps are recorded and repeated
};

/// What this process was asked since the step before; a step tells the others.
enum class Request { none, stop };

/// What came of a step.
struct StepOutcome {
  double loss = 0.0;   ///< mean over the pictures of all processes
  double norm = 0.0;   ///< of the gradients before clipping
  bool stops = false;  ///< some process was asked to stop
  int bad_rank = -1;   ///< the first process whose loss is no number, if any
  /// Whether the step was made. Where not, parameters, moments, average and statistics are as before it.
  bool ok() const { return bad_rank < 0 && std::isfinite(norm); }
};

class TrainingStep {
 public:
  TrainingStep(TrainableNetwork& net, AdamW& optimizer, Ema& ema, Group& group, const StepOptions& options);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /// Starts a step on a batch, resized to `size`, of the `total` pictures of all processes. The batch's
  /// memory is held until the outcome is read.
  void start(const Batch& batch, int size, std::size_t total, double lr, Request request);
  /// Steps whose outcome has not been read.
  std::size_t under_way() const { return under_way_.size(); }
  /// Of the oldest of them; waits for it. The state is complete when none is left.
  StepOutcome finish();
  /// Whether steps are recorded and repeated; false also where recording was tried and failed.
  bool is_recorded() const { return options_.recorder != nullptr; }
  /// Why recording failed; empty where it did not.
  const std::string& failure() const { return failure_; }

 private:
  // The memory of one shape of batch, and the recorded work on it.
  struct Place {
    at::Tensor image, mask;
    std::unique_ptr<Recording> recording;
  };
  struct UnderWay {
    Batch batch;  // held, since it may still be copied from
    at::Tensor values;
    std::optional<c10::Event> is_there;
    std::int64_t parts = 1;
  };
  using Shape = std::tuple<std::int64_t, int, std::size_t, at::ScalarType>;

  Place& place_of(const Batch& batch, int size, std::size_t total);
  void record(Place& place, int size, std::size_t total);
  void work(const at::Tensor& image, const at::Tensor& mask, int size, std::size_t total);
  void compute_gradients(const at::Tensor& image, const at::Tensor& mask, std::size_t total);
  void sum_report(const at::Tensor& loss);
  void share_statistics();
  void restore_statistics(const at::Tensor& ok, const at::Tensor& before);
  std::int64_t parts_of(std::size_t total) const;
  at::Tensor mask_at_size(const at::Tensor& mask, int size) const;

  TrainableNetwork& net_;
  AdamW& optimizer_;
  Ema& ema_;
  Group& group_;
  StepOptions options_;
  GradientReducer reducer_;
  at::Device device_;
  InputMaker input_;
  std::vector<at::Tensor> statistics_;  // BatchNorm's running mean and variance
  at::Tensor counts_;                   // [] bool: false while a step is only recorded
  at::Tensor stops_;                    // [] float64
  at::Tensor report_;  // [2 + world] float64: loss, stop, and for each process whether its loss is no number
  at::Tensor values_;  // [3 + world]: these and the norm
  std::function<void()> wait_report_;
  std::map<Shape, Place> places_;
  std::string failure_;
  std::deque<UnderWay> under_way_;
};

}  // namespace sam2unet::train
