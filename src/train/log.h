// What a run tells while it goes on: tables of epochs and steps, and TensorBoard's events.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "sam2unet/image.h"
#include "train/events.h"

namespace sam2unet::train {

using Values = std::vector<std::pair<std::string, double>>;

/// log.csv and log.jsonl (a line an epoch), steps.csv and steps.jsonl (a line an optimizer step), and
/// events.out.tfevents.*, all by the number of optimizer steps.
class RunLog {
 public:
  /// Goes on after `epochs` whole epochs and `steps` steps: lines behind those, of a run that was killed and
  /// now repeats them, are taken away; epoch 0 is the validation of the start, -1 keeps nothing. FileError.
  RunLog(const std::filesystem::path& folder, int epochs, std::int64_t steps);
  /// `values` must have the same names in every call.
  void epoch(int epoch, std::int64_t step, const Values& training, const Values& validation);
  void step(int epoch, std::int64_t step, const Values& values);
  void picture(const std::string& name, std::int64_t step, const ImageView& picture);

 private:
  struct Table {
    std::filesystem::path csv, jsonl;
    std::ofstream csv_file, jsonl_file;
    void open(std::int64_t keep, const std::string& key);
    void add(const Values& values);
  };
  Table epochs_, steps_;
  EventWriter events_;
};

}  // namespace sam2unet::train
