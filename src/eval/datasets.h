// The papers' test sets: how they and their folders are called.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sam2unet::eval {

struct KnownDataset {
  std::string_view task, name;
  std::size_t pictures;                       ///< of the test set
  std::span<const std::string_view> folders;  ///< names of folders, folded
  std::span<const std::string_view> weights;  ///< words in the names of weight files, folded, the best first
};

/// In the order of the papers' tables.
std::span<const KnownDataset> known_datasets();

/// The data set that a folder is called after; null if none.
const KnownDataset* known_dataset(std::string_view folder);

/// Letters and digits in lower case: "COD-10K" is "cod10k".
std::string folded(std::string_view name);

}  // namespace sam2unet::eval
