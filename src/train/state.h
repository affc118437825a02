// What a run is at one moment, stored so that it goes on from there bit for bit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

#include "sam2unet/classes.h"
#include "train/optimizer.h"
#include "train/settings.h"
#include "train/trainable_network.h"

namespace sam2unet::train {

/// The moving average of the parameters that learn.
class Ema {
 public:
  Ema(const AdamW& optimizer, double decay);
  bool enabled() const { return decay_ > 0; }
  /// Settles the numbers of the optimizer's step, behind its begin_step.
  void begin_step(const AdamW& optimizer);
  /// Moves towards the parameters, where `ok` (not defined: always) says so; can be recorded as AdamW's.
  void update(const AdamW& optimizer, const at::Tensor& ok = {});
  /// Exchanges average and parameters; twice is nothing.
  void swap(const AdamW& optimizer);
  const std::vector<at::Tensor>& averages() const { return averages_; }

 private:
  double decay_, weight_ = 0.0;  // weight: of the parameters in the step's mean
  at::Tensor device_weight_;     // [], where AdamW's numbers are tensors too
  std::vector<at::Tensor> averages_;
};

/// Counters beside the tensors. Order, augmentation and weights come from the seed and these alone.
struct Progress {
  int epoch = 0;                                           ///< being trained
  std::size_t batch = 0;                                   ///< of the epoch, next to be trained
  std::int64_t step = 0;                                   ///< optimizer steps so far
  double loss_sum = 0.0;                                   ///< over the epoch's batches so far
  double best = std::numeric_limits<double>::quiet_NaN();  ///< value of --best-by in the best epoch
  int best_epoch = 0;                                      ///< 0: the start
  int epochs_since_best = 0;
  double start = std::numeric_limits<double>::quiet_NaN();  ///< value of --best-by before the first step
  std::string data;  ///< fingerprint of the pictures' names; empty in states of version 0.1
};

enum class WeightsPart {
  all,
  task,  ///< all but the frozen trunk
};
/// Weights alone, with the network's configuration and how it was trained (size, fit) in the metadata: what
/// `predict` and `convert` read.
void save_weights(const std::filesystem::path& path, const TrainableNetwork& net, int size, WeightsPart part,
                  const ClassTable& classes = {}, Fit fit = Fit::squash);
/// The reference's format: a state_dict that its test.py loads strictly.
void save_pth(const std::filesystem::path& path, const TrainableNetwork& net);

void save_state(const std::filesystem::path& path, const TrainableNetwork& net, const AdamW& optimizer,
                const Ema& ema, const Progress& progress, const Settings& settings,
                const ClassTable& classes = {});
/// The table of classes stored in a state file; empty of one foreground.
ClassTable stored_classes(const std::filesystem::path& path);
/// The settings stored in a state file.
Settings stored_settings(const std::filesystem::path& path);
/// Restores everything in place. FormatError or WeightsError if the file is not of this run.
Progress load_state(const std::filesystem::path& path, TrainableNetwork& net, AdamW& optimizer, Ema& ema);

}  // namespace sam2unet::train
