// The metrics of `eval` on the validation pictures.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sam2unet/image.h"
#include "train/dataset.h"
#include "train/log.h"
#include "train/parallel.h"
#include "train/trainable_network.h"

namespace sam2unet::train {

struct ValidationOptions {
  int size = 352;
  int batch = 8;
  int workers = 2;  ///< threads that decode and score while the network computes
  at::ScalarType type = at::kFloat;
  at::Device device = at::kCPU;
  const ClassTable* classes = nullptr;  ///< of networks of several classes; masks are ids then
  Fit fit = Fit::squash;
};

struct Validation {
  /// Of the data set, called as `eval` calls them: S, E_adp, ..., MAE, fm.adp, ..., dice.max; of classes
  /// mIoU, mDice,
  /// ..., foreground.mIoU, ..., and IoU.NAME of each class (NaN where it never occurs).
  Values values;
  struct Row {
    std::string name;
    Image picture;  ///< picture, ground truth and prediction side by side
  };
  std::vector<Row> rows;  ///< a few of this process's pictures, the same every time; small enough to look at

  /// NaN if there is none of that name.
  double value(const std::string& key) const;
};

/// "mean Dice 0.8123, MAE ...", the criterion first; of classes "mIoU 0.8123, ...; IoU background 0.9512,
/// ...".
std::string summary(const Validation& validation, const ClassTable* classes, const std::string& criterion);

/// Predicts each picture by the running statistics and scores the map at the ground truth's own size.
/// Collective: each process takes every world-th picture, and the values are those of all.
Validation validate(TrainableNetwork& net, const std::vector<Pair>& pairs, const ValidationOptions& options,
                    Group& group);

}  // namespace sam2unet::train
