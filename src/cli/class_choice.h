// Which classes a command works with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

/// The table that `--classes` names, or the weights' own; nullptr of one foreground. UsageError if
/// `--classes` is given for one foreground, or names another number of classes than the weights have.
std::shared_ptr<const ClassTable> table_for(const Segmenter& segmenter, const std::string& classes);
/// Ids of the classes that `--class` names; all but the background where it names none. UsageError for an
/// unknown one.
std::vector<int> shown_classes(const ClassTable& table, const std::vector<std::string>& names);

}  // namespace sam2unet::cli
