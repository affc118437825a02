// Scores maps of class ids against ground truths, as mmsegmentation does. docs/metrics.md has the formulas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// One class over a data set.
struct ClassScore {
  std::int64_t truth_pixels = 0;             ///< of this class in the ground truths
  std::int64_t predicted_pixels = 0;         ///< in the predictions, where the truth is not ignored
  std::int64_t right_pixels = 0;             ///< in both
  MetricValue iou, dice, precision, recall;  ///< of the sums; NaN: 0 / 0
};

struct ClassEvaluatedImage {
  std::string name;  ///< file name of the ground truth, with the folders below the given one
  std::filesystem::path truth;
  std::filesystem::path prediction;  ///< empty where it was made on the way
  std::filesystem::path picture;     ///< empty where no folder of pictures was given
  int width = 0;
  int height = 0;
  bool resized = false;           ///< the prediction had another size
  std::int64_t ignored = 0;       ///< pixels
  std::vector<double> values;     ///< in the order of ClassEvaluation::image_keys; NaN: not computed
  std::vector<double> class_iou;  ///< [K]; NaN where the class is in neither map
};

/// One method on one data set.
struct ClassEvaluation {
  std::string name;
  ClassTable table;
  /// "mIoU", "mDice", "mAcc", "aAcc", "mPrecision", each also as "foreground.mIoU" ... (without class 0), and
  /// all of these as "per_image.mIoU" ..., the mean over the pictures of each picture's value.
  std::vector<MetricValue> dataset;
  std::vector<ClassScore> classes;  ///< [K]
  /// [K, K + 1] pixels: rows are classes of the truth, columns of the prediction, the last one what is no
  /// class.
  std::vector<std::int64_t> confusion;
  std::int64_t ignored = 0;  ///< pixels
  std::vector<std::string> image_keys;
  std::vector<ClassEvaluatedImage> images;  ///< in the order of their stems
  int resamples = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> warnings;
  std::vector<std::filesystem::path> unpaired;
  std::vector<EvaluationFailure> failures;

  /// The data set's value of `key`; NaN if there is none.
  SAM2UNET_API double value(std::string_view key) const;
};

/// Scores every pair of masks of ids with the same stem; both are read as `read_class_mask` does, so
/// remapping holds for both. A prediction of another size is resized by nearest neighbour, with a warning. Of
/// the options, `empty` and `classic_only` do not count; pictures are only shown. UsageError as of
/// `evaluate`, and of `check_class_table`.
SAM2UNET_API ClassEvaluation evaluate_classes(const std::filesystem::path& predictions,
                                              const std::filesystem::path& truths, const ClassTable& table,
                                              const EvaluateOptions& options = {});
/// The same for maps that are made on the way: the predictor gives ids (gray) for an RGB picture, and
/// `options.pictures` is where the pictures are.
SAM2UNET_API ClassEvaluation evaluate_classes(const Predictor& predictor, const std::filesystem::path& truths,
                                              const ClassTable& table, const EvaluateOptions& options);

/// One evaluation as an object {"name", "count", "classes": {...}, "per_image": [...], ...}; several as an
/// object of such objects by name.
SAM2UNET_API std::string to_json(std::span<const ClassEvaluation> evaluations);
/// name, class, key, value, low, high; `class` is empty for values of all classes.
SAM2UNET_API std::string dataset_csv(std::span<const ClassEvaluation> evaluations);
/// A row per picture: its values, then the IoU of each class.
SAM2UNET_API std::string images_csv(std::span<const ClassEvaluation> evaluations);

/// ClassEvaluation::image_keys of every evaluation.
SAM2UNET_API const std::vector<std::string>& class_image_keys();
/// Indices into `images` of the pictures with the lowest values of `key`, the lowest first.
SAM2UNET_API std::vector<std::size_t> worst_images(const ClassEvaluation& evaluation, std::string_view key,
                                                   std::size_t count);

/// A page that needs nothing else: tables, confusion matrix, worst pictures.
SAM2UNET_API std::string to_html(std::span<const ClassEvaluation> evaluations,
                                 const ReportOptions& options = {});

}  // namespace sam2unet
