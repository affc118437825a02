#include "class_choice.h"

#include <fmt/format.h>

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
  std::vector<int> out;
  for (const std::string& name : names) {
    const auto id = find_class(table, name);
    if (!id) {
      std::string known;
      for (const ClassInfo& c : table.classes) known += (known.empty() ? "" : ", ") + c.name;
      throw UsageError(fmt::format("--class {}: there is no such class; there are {}", name, known));
    }
    out.push_back(*id);
  }
  for (int id = 1; names.empty() && id < table.size(); ++id) out.push_back(id);
  return out;
}

}  // namespace sam2unet::cli
