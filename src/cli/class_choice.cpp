#include "class_choice.h"

#include <fmt/format.h>

#include "results/choices.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {

std::shared_ptr<const ClassTable> table_for(const Segmenter& segmenter, const std::string& classes) {
  const int stored = segmenter.info().channels;
  if (classes.empty()) return segmenter.classes();
  if (stored == 1) throw UsageError("--classes: these weights have one foreground, not several classes");
  auto table = std::make_shared<const ClassTable>(class_table_of(classes));
  if (table->size() != stored) {
    throw UsageError(fmt::format("--classes {}: it has {} classes, the weights have {}, background included",
                                 classes, table->size(), stored));
  }
  return table;
}

std::vector<int> shown_classes(const ClassTable& table, const std::vector<std::string>& names) {
  return results::shown_classes(table, names, "--class");
}

}  // namespace sam2unet::cli
