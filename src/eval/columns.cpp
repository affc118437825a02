// The columns of each field's tables, as the SAM2-UNet paper prints them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "metrics/value_table.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"

namespace sam2unet {

std::vector<TableColumn> table_columns(std::string_view protocol) {
  if (protocol == "common") {
    return {{"S", "S"},   {"maxE", "E_max"}, {"mE", "E_mean"},     {"maxF", "fm.max"},    {"adpF", "fm.adp"},
            {"wF", "wF"}, {"MAE", "MAE"},    {"mIoU", "iou.mean"}, {"mDice", "dice.mean"}};
  }
  if (protocol == "cod") return {{"S", "S"}, {"F", "fm.adp"}, {"E", "E_mean"}, {"MAE", "MAE"}};
  if (protocol == "sod") return {{"S", "S"}, {"E", "E_mean"}, {"MAE", "MAE"}};
  if (protocol == "marine")
    return {{"mIoU", "iou.mean"}, {"S", "S"}, {"wF", "wF"}, {"mE", "E_mean"}, {"MAE", "MAE"}};
  if (protocol == "mirror") return {{"IoU", "mirror.IoU"}, {"F", "mirror.F"}, {"MAE", "mirror.MAE"}};
  if (protocol == "polyp") return {{"mDice", "dice.mean"}, {"mIoU", "iou.mean"}};
  if (protocol == "all") {
    std::vector<TableColumn> all;
    for (const metrics::ValueEntry& entry : metrics::value_table()) all.push_back({entry.key, entry.key});
    return all;
  }
  throw UsageError(
      fmt::format("unknown protocol '{}': one of common, cod, sod, marine, mirror, polyp, all", protocol));
}

std::string column_title(std::string_view key) {
  for (const TableColumn& c : table_columns("common")) {
    if (c.key == key) return c.title;
  }
  return std::string(key);
}

std::vector<std::size_t> worst_images(const Evaluation& evaluation, std::string_view key, std::size_t count) {
  const auto found = std::find(evaluation.image_keys.begin(), evaluation.image_keys.end(), key);
  if (found == evaluation.image_keys.end())
    throw UsageError(fmt::format("pictures have no value '{}' to be sorted by", key));
  const auto column = static_cast<std::size_t>(found - evaluation.image_keys.begin());
  const bool higher = higher_is_better(key);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < evaluation.images.size(); ++i) {
    if (evaluation.images[i].counted && !std::isnan(evaluation.images[i].values[column])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double x = evaluation.images[a].values[column];
    const double y = evaluation.images[b].values[column];
    return higher ? x < y : x > y;
  });
  order.resize(std::min(order.size(), count));
  return order;
}

}  // namespace sam2unet
