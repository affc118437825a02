// Scores predictions against ground truths as the papers do: PySODMetrics 1.6.2's numbers and HetNet's mirror
// protocol. docs/metrics.md has each formula, its parameters, edge cases and source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/export.h"
#include "sam2unet/image.h"
#include "sam2unet/listing.h"

namespace sam2unet {

/// What to do with pictures whose ground truth has no foreground.
enum class EmptyPolicy {
  paper,           ///< what PySODMetrics computes: most measures of agreement are 0 there
  skip,            ///< they are left out of every mean
  one_if_correct,  ///< where the prediction is empty too (nothing above 0.5), measures of agreement count as
                   ///< 1
};

struct EvaluateOptions {
  /// Name of the method; empty: the folder's name.
  std::string name;
  EmptyPolicy empty = EmptyPolicy::paper;
  /// Unpaired files, and predictions of another size than their ground truth, are errors instead of warnings.
  bool strict = false;
  /// Only S, E, the F family, weighted F and MAE.
  bool classic_only = false;
  /// Resamples for the 95 % confidence intervals; 0: none.
  int resamples = 1000;
  std::uint64_t seed = 0;
  /// Threads that decode and score; 0: all cores.
  int threads = 0;
  /// Turn pictures and maps as their EXIF orientation says.
  bool apply_exif_orientation = true;
  /// Folder of the pictures, paired by name too; with it the camouflage context measure is computed.
  std::filesystem::path pictures;
  /// Look into subfolders too; names then pair with the folders below.
  bool recursive = false;
  /// What the names of one side have beside the shared part.
  NameAffix prediction_affix, truth_affix, picture_affix;
  /// Called now and then, by one thread at a time, with the number of pictures done.
  std::function<void(std::size_t done, std::size_t total)> progress;
  /// For a predictor that gathers batches: so many more threads may be in it, beside `threads` that decode
  /// and score.
  int predicting = 0;
};

/// A value of a data set or a picture. `key` spells its place in the JSON: "S", "fm.max", "mirror.IoU".
struct MetricValue {
  std::string key;
  double value = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not computed
  double low = std::numeric_limits<double>::quiet_NaN();    ///< 95 % confidence interval; NaN: none
  double high = std::numeric_limits<double>::quiet_NaN();
};

struct EvaluatedImage {
  std::string name;  ///< file name of the ground truth, with the folders below the given one
  std::filesystem::path truth;
  std::filesystem::path prediction;  ///< empty where it was made on the way
  std::filesystem::path picture;     ///< empty where no folder of pictures was given
  int width = 0;
  int height = 0;
  bool empty_truth = false;
  bool counted = true;         ///< false: left out by EmptyPolicy::skip
  bool resized = false;        ///< the prediction had another size
  std::vector<double> values;  ///< in the order of Evaluation::image_keys; NaN: not computed
};

/// Means over the data set; entry t belongs to threshold t of 0..255.
struct ThresholdCurves {
  std::vector<double> precision, recall, f, e;
};

struct EvaluationFailure {
  std::filesystem::path file;
  std::string message;
};

/// One method on one data set.
struct Evaluation {
  std::string name;
  std::vector<std::string> image_keys;
  std::vector<EvaluatedImage> images;  ///< in the order of their stems
  std::vector<MetricValue> dataset;
  ThresholdCurves curves;
  std::size_t counted = 0;       ///< pictures in the means
  std::size_t empty_truths = 0;  ///< pictures whose ground truth has no foreground, counted or not
  std::size_t dim_truths = 0;    ///< of those, truths that hold something, but no level above 128
  EmptyPolicy empty = EmptyPolicy::paper;
  int resamples = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> warnings;            ///< unpaired files, resized predictions
  std::vector<std::filesystem::path> unpaired;  ///< files that have no partner
  std::vector<EvaluationFailure> failures;      ///< pictures that could not be read or scored

  /// The data set's value of `key`; NaN if there is none.
  SAM2UNET_API double value(std::string_view key) const;
};

/// Scores every pair of gray maps with the same name; the places are folders or patterns. PairingError if
/// they cannot be paired; under `strict` also for unpaired files and other sizes. One unreadable file is a
/// failure in the result, and the others are scored.
SAM2UNET_API Evaluation evaluate(const std::filesystem::path& predictions,
                                 const std::filesystem::path& truths, const EvaluateOptions& options = {});

/// Makes the map of an RGB picture: gray, 8 bits. It is called from several threads at once.
using Predictor = std::function<Image(const ImageView& picture)>;

/// The same for maps that are made on the way and never written. `options.pictures` is where the pictures
/// are.
SAM2UNET_API Evaluation evaluate(const Predictor& predictor, const std::filesystem::path& truths,
                                 const EvaluateOptions& options);

/// Every value of one pair of gray maps of one size; with `picture` (RGB, the same size) the camouflage
/// context measure too. UsageError if sizes or channels do not fit.
SAM2UNET_API std::vector<MetricValue> evaluate_pair(const ImageView& prediction, const ImageView& truth,
                                                    const ImageView* picture = nullptr);

/// OpenCV's cv2.resize(..., INTER_LINEAR) of a gray map, which is what the usual evaluation scripts do.
SAM2UNET_API Image resize_linear(const ImageView& map, int width, int height);

/// Whether a larger value of `key` is better.
SAM2UNET_API bool higher_is_better(std::string_view key);

/// One evaluation as an object with `dataset` and `per_image`; several as an object of such objects by name.
SAM2UNET_API std::string to_json(std::span<const Evaluation> evaluations);
/// name, key, value, low, high.
SAM2UNET_API std::string dataset_csv(std::span<const Evaluation> evaluations);
/// A row per picture, a column per value.
SAM2UNET_API std::string images_csv(std::span<const Evaluation> evaluations);

/// Indices into `images` of the pictures with the worst values of `key`, the worst first.
SAM2UNET_API std::vector<std::size_t> worst_images(const Evaluation& evaluation, std::string_view key,
                                                   std::size_t count);

/// A column of a table as the papers print them.
struct TableColumn {
  std::string title;
  std::string key;
};

/// "cod", "sod", "marine", "mirror" or "polyp": the columns of that field's tables, in their order; "common"
/// and "all". UsageError for another name.
SAM2UNET_API std::vector<TableColumn> table_columns(std::string_view protocol);

/// What the papers' tables call the value `key` ("mDice" for "dice.mean"); `key` itself where they have no
/// name.
SAM2UNET_API std::string column_title(std::string_view key);

/// What is published of SAM2-UNet, of which a source was read.
struct PublishedResult {
  std::string task;  ///< a protocol's name
  std::string dataset;
  std::vector<MetricValue> values;
  std::string source;
  /// The source is neither the paper nor its authors' or its listing: to be shown with that, not to judge by.
  bool second_hand = false;
};
SAM2UNET_API const std::vector<PublishedResult>& published_results();
/// The row of a data set, however its name is written ("COD10K", "cod-10k"); null if none is known.
SAM2UNET_API const PublishedResult* find_published(std::string_view dataset);

struct ReportOptions {
  std::string title = "Evaluation";
  std::string protocol = "common";  ///< columns of the first table
  std::size_t worst = 6;            ///< pictures shown for each evaluation
  std::string worst_by = "S";       ///< of a page of classes one of class_image_keys(), else mIoU
  const PublishedResult* published = nullptr;
  bool apply_exif_orientation = true;
  Predictor predictor;  ///< makes the maps of the worst pictures again where none were written
};

/// A page that needs nothing else: table, curves, worst pictures. The pictures are read again.
SAM2UNET_API std::string to_html(std::span<const Evaluation> evaluations, const ReportOptions& options = {});

}  // namespace sam2unet
