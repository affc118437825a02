// Which pairs a run learns from and is validated on, and whether they are fit for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sam2unet/listing.h"
#include "train/dataset.h"
#include "train/settings.h"

namespace sam2unet::train {

struct Data {
  std::vector<Pair> train, validation;
};

/// Told what the user should know.
using Notes = std::function<void(const std::string& line)>;

struct FindOptions {
  bool recursive = false;
  bool skip_bad = false;
  NameAffix image_affix = {}, mask_affix = {};
};

/// The pairs of one data set by name, of folders or patterns. PairingError if a side is empty or nothing
/// pairs, and UsageError, unless `skip_bad`, if a picture has no mask.
std::vector<Pair> find_pairs(const std::filesystem::path& images, const std::filesystem::path& masks,
                             const FindOptions& options = {}, const Notes& note = {});

/// All data sets of the settings, part of the training pictures split off where val_split says so. No file is
/// opened.
Data find_data(const Settings& settings, const Notes& note);

struct CheckOptions {
  int threads = 2;
  bool skip_bad = false;
  const ClassTable* classes = nullptr;  ///< masks are ids then
  Notes note = [](const std::string&) {};
  std::function<void(std::size_t done, std::size_t total)> progress;
};

/// Decodes every file once, on all threads, and looks for what `doctor` looks for. Data sets of 0 and 1 are
/// marked to be scaled. Pairs that would teach nothing or nonsense (unreadable, of different shapes, masks
/// without a level that means foreground) are left out with `skip_bad`; otherwise ImageError names them and
/// says how to mend them. The rest is noted: empty and inverted masks, compressed or coloured ones, EXIF
/// turns, duplicates between training and validation. UsageError if nothing is left to train on, or no mask
/// of the training data has any foreground.
void check_data(Data& data, const CheckOptions& options);

/// Notes a batch that is larger than the training data: every epoch is then a single step.
void note_large_batch(const Settings& settings, std::size_t pictures, const Notes& note);

}  // namespace sam2unet::train
