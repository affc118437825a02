// Agreement of maps of class ids, as mmsegmentation computes it: pixels are counted per class, counts added
// up over the set, ratios taken of the sums, and the mean over the classes that have a ratio.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "metrics/dataset.h"
#include "sam2unet/image.h"

namespace sam2unet::metrics {

/// Pixels of one class in one picture, or their sums (mmseg/evaluation/metrics/iou_metric.py,
/// intersect_and_union).
struct ClassArea {
  std::int64_t both = 0;   ///< truth and prediction agree on this class
  std::int64_t truth = 0;  ///< of this class in the truth
  std::int64_t predicted =
      0;  ///< of this class in the prediction; ignored pixels of the truth are in neither
};

struct ClassRatios {
  double iou, dice, precision, recall;  ///< NaN: 0 / 0
};
ClassRatios ratios_of(const ClassArea& area);

/// Counts of one picture.
struct ClassRecord {
  std::vector<ClassArea> areas;  ///< [K]
  std::int64_t ignored = 0;      ///< pixels of the truth that count nowhere
};

/// Sums over pictures of who was taken for whom: [K, K + 1] pixels, rows the truth's classes, columns the
/// prediction's, the last one for predicted ids that are no class.
class ClassConfusion {
 public:
  explicit ClassConfusion(int classes);
  /// Counts one pair of gray pictures of one size; pixels where the truth is `ignore` are left out. Ids of
  /// the truth that are no class must not occur. UsageError if sizes do not fit.
  ClassRecord add(const ImageView& prediction, const ImageView& truth, int ignore);
  void add(const ClassConfusion& other);
  int classes() const { return classes_; }
  std::span<const std::int64_t> counts() const { return counts_; }

 private:
  int classes_;
  std::vector<std::int64_t> counts_;
};

/// "mIoU", "mDice", "mAcc" (mean of the recalls) and "aAcc" (share of right pixels) of all classes and, with
/// "foreground." before, of all but class 0; "mPrecision" too. A class without a ratio is left out of a mean
/// (nanmean).
std::vector<Value> class_means(std::span<const ClassArea> areas);

/// Values of a set of pictures.
struct ClassValues {
  std::vector<ClassArea> areas;          ///< [K] sums
  std::vector<std::vector<Value>> each;  ///< [K]: IoU, Dice, precision, recall of the sums
  std::vector<Value> means;  ///< class_means of the sums, then "per_image." the means over pictures of each
                             ///< picture's
};
/// With percentile bootstrap intervals over pictures where `resamples` > 0; the same seed draws the same
/// pictures as dataset_values, for any number of threads.
ClassValues class_values(std::span<const ClassRecord> records, int classes, int resamples, std::uint64_t seed,
                         int threads);

}  // namespace sam2unet::metrics
