// Training runs, read again from their folders: one page for each, and several side by side. Nothing here
// needs the training component.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/export.h"

namespace sam2unet {

/// A line of a run's train.toml.
struct RunSetting {
  std::string key;
  std::string value;  ///< as a person would write it, strings without quotes
};

struct RunValue {
  std::string key;  ///< "loss", "lr", or a validation's value under `eval`'s name: "S", "MAE", "dice.mean"
  double value = std::numeric_limits<double>::quiet_NaN();
};

/// A line of a run's log.jsonl.
struct RunEpoch {
  int epoch = 0;  ///< from 1; 0: the start, validated before any step
  std::int64_t step = 0;
  std::vector<RunValue> values;

  /// NaN if there is none of that key.
  SAM2UNET_API double value(std::string_view key) const;
};

struct TrainingRun {
  std::filesystem::path folder;
  std::string name;                  ///< the folder's
  std::vector<RunSetting> settings;  ///< in the order of the file
  std::vector<RunEpoch> epochs;      ///< as far as the run is
  int epochs_planned = 0;
  /// As run.json says: "running" (also where it was killed), "stopped", "stopped early", "finished"; "" if it
  /// does not say.
  std::string status;
  std::string best_key;            ///< the value that decides which epoch is best; "" without validation
  std::size_t best = 0;            ///< index into `epochs` of the best one, of the last without validation
  std::vector<std::string> notes;  ///< what could not be read

  /// "" if there is none of that key.
  SAM2UNET_API std::string setting(std::string_view key) const;
  /// Of the best epoch; NaN if there is none.
  SAM2UNET_API double value(std::string_view key) const;
};

/// Reads train.toml and log.jsonl. FileError or FormatError if the folder is not a run's; lines of the log
/// that cannot be read (a run that is writing, or was killed) are left out.
SAM2UNET_API TrainingRun read_run(const std::filesystem::path& folder);

/// The runs in these folders: each is a run's, or holds runs in folders of its own, which come sorted by
/// name. Names are made different by the folders before them. FileError if a folder holds none.
SAM2UNET_API std::vector<TrainingRun> read_runs(std::span<const std::filesystem::path> folders);

/// A value over the runs of a group, each at its best epoch.
struct RunSpread {
  std::string key;
  double mean = 0.0;
  double deviation = 0.0;  ///< standard deviation of a sample (n - 1)
  double min = 0.0, max = 0.0;
};

/// Runs that differ in nothing but seed or fold (and in what changes no result: folder, threads,
/// checkpoints).
struct RunGroup {
  std::vector<std::size_t> members;  ///< indices, at least two
  std::vector<RunSpread> values;     ///< those that every member has
};
SAM2UNET_API std::vector<RunGroup> group_runs(std::span<const TrainingRun> runs);

/// The values a comparison shows, the deciding one first: those that some run has of `eval`'s common columns.
SAM2UNET_API std::vector<std::string> compared_keys(std::span<const TrainingRun> runs);
/// The settings in which these runs differ, other than their folders.
SAM2UNET_API std::vector<std::string> differing_settings(std::span<const TrainingRun> runs);

/// A page that needs nothing else: curves, validation pictures, configuration, how to go on.
SAM2UNET_API std::string run_html(const TrainingRun& run);
/// The same for several runs, side by side.
SAM2UNET_API std::string runs_html(std::span<const TrainingRun> runs);
/// `runs`, each with its settings and the values of its best epoch, and `groups` with mean and spread.
SAM2UNET_API std::string runs_json(std::span<const TrainingRun> runs);

}  // namespace sam2unet
