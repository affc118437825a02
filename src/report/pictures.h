// The validation pictures that a run keeps: picture, ground truth and map side by side in one file.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sam2unet/runs.h"

namespace sam2unet::report {

/// Figures of all of one run's validation pictures (at most 12), with a heading; "" if there are none.
std::string picture_rows(const TrainingRun& run);

/// For each name that several runs have (at most 8): picture and ground truth once, and every run's map.
std::string compared_pictures(std::span<const TrainingRun> runs);

}  // namespace sam2unet::report
