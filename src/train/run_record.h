// run.json: what a run is and how far it came, for people and for reports.
#pragma once

#include <filesystem>
#include <string>

#include "model/config.h"
#include "train/settings.h"
#include "train/state.h"

namespace sam2unet::train {

enum class RunStatus {
  running,        ///< or killed
  stopped,        ///< on request; --resume goes on
  stopped_early,  ///< by --early-stop
  finished,
};

/// What does not change while a run goes on.
struct RunFacts {
  std::string start;  ///< what the weights were before the first step
  model::Config config;
  std::size_t pictures = 0, validation_pictures = 0;
  std::int64_t learned_parameters = 0;
  int processes = 1;
};

/// Replaces FOLDER/run.json (docs/training.md lists its keys). `epochs_done` counts whole epochs. The time of
/// the first start, and the start itself, are kept from the file that is there.
void write_run_record(const std::filesystem::path& folder, const Settings& settings, const RunFacts& facts,
                      const Progress& progress, int epochs_done, RunStatus status);

/// The validation's value that `by` means, as `eval` calls it.
std::string metric_of(BestBy by);

}  // namespace sam2unet::train
