// The papers' test sets on this disk, and how near one's own numbers come to the published ones.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/evaluate.h"
#include "sam2unet/export.h"

namespace sam2unet {

/// A test set that was found: its pictures and its ground truths.
struct DatasetFolder {
  std::string task;     ///< a protocol's name: "cod", "sod", "marine", "mirror" or "polyp"
  std::string dataset;  ///< as the papers write it: "COD10K"
  std::filesystem::path images, truths;
  std::size_t pictures_published = 0;  ///< how many the papers test on
};

struct DatasetSearch {
  std::vector<DatasetFolder> found;    ///< in the order of the papers' tables, each data set once
  std::vector<std::string> not_found;  ///< names of data sets
  std::vector<std::string> notes;      ///< folders of a data set's name that were passed over, and why
};

/// Looks for folders with the usual names of the papers' test sets (CAMO, COD10K, DUTS-TE, CVC-300 ...) at
/// most four levels below `root`, and in them for pictures and masks under their usual names (Imgs and GT,
/// images and masks, test/image and test/mask ...); also for Imgs/CAMO beside GT/CAMO. Folders of training
/// data are passed over. FileError if `root` cannot be listed.
SAM2UNET_API DatasetSearch find_datasets(const std::filesystem::path& root);

/// Which of these weight files is for a data set, by the words of its name: the data set's
/// ("SAM2-UNet-MAS3K"), else the task's ("sod", "polyp"). Empty if none; UsageError if several are as good.
SAM2UNET_API std::filesystem::path weights_for(const DatasetFolder& dataset,
                                               std::span<const std::filesystem::path> files);

/// A published value and the one that was reached.
struct ReproducedValue {
  std::string key, title;
  double ours = 0.0, published = 0.0;
  /// ours - published
  double difference() const { return ours - published; }
  /// Whether they differ by at most `tolerance`; NaN does not.
  SAM2UNET_API bool agrees(double tolerance) const;
};

/// One data set, predicted and scored.
struct Reproduction {
  DatasetFolder folder;
  std::filesystem::path weights;
  Evaluation evaluation;
  const PublishedResult* published = nullptr;
  std::vector<ReproducedValue> values;  ///< of the task's columns, those that are published
  std::string passes;  ///< the tiles and variants it was predicted with, in words; empty: as test.py does
};

/// Compares with the published row of the data set.
SAM2UNET_API Reproduction compare_with_published(DatasetFolder folder, std::filesystem::path weights,
                                                 Evaluation evaluation);

/// Whether every picture was scored, and every published value is reached within `tolerance`; second-hand
/// values do not count.
SAM2UNET_API bool is_reproduced(const Reproduction& reproduction, double tolerance);

/// A page that needs nothing else: every value, ours, the papers' and the difference.
SAM2UNET_API std::string to_html(std::span<const Reproduction> all, double tolerance);
SAM2UNET_API std::string to_json(std::span<const Reproduction> all, double tolerance);

}  // namespace sam2unet
