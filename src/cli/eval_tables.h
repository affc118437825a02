// What `eval` prints.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sam2unet/evaluate.h"
#include "tables.h"

namespace sam2unet::cli {

/// A row per method and one for its intervals, or, of more columns than fit on a line, a row per value.
void print_scores(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
                  const PublishedResult* published);
/// The worst pictures by `key`.
void print_worst(const std::vector<Evaluation>& all, const std::string& key, std::size_t count);
/// How many ground truths are empty and what became of them, how the intervals were made, where a published
/// row is from.
void print_notes(const std::vector<Evaluation>& all, const PublishedResult* published);

}  // namespace sam2unet::cli
