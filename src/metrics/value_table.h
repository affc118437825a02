// The one list of values: how each is called, where a picture's own comes from, how pictures make a data
// set's.
#pragma once

#include <string>
#include <vector>

#include "metrics/record.h"

namespace sam2unet::metrics {

/// Curves over thresholds that data-set values are made of: the mean curve's maximum is not a mean of maxima.
enum class CurveOf { none, e, measure, msiou, size_invariant };

enum class Combine {
  mean,             ///< mean of the pictures' values
  mean_curve_max,   ///< maximum of the mean curve
  curve_mean_mean,  ///< mean of the mean curve, for curves that pictures share unequally (size-invariant
                    ///< targets)
  overall,          ///< from the confusion matrices added up
  mirror_f,         ///< from mean precision and mean recall
};

enum class Better { lower, higher };

struct ValueEntry {
  std::string key;
  Better better = Better::higher;
  Combine combine = Combine::mean;
  double (*of_image)(const ImageScores&, std::size_t index) = nullptr;  ///< null: a data set's value only
  std::size_t index = 0;                                                ///< which Measure, where it matters
  CurveOf curve = CurveOf::none;
};

const std::vector<ValueEntry>& value_table();

}  // namespace sam2unet::metrics
