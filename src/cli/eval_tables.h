// What `eval` prints.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sam2unet/evaluate.h"

namespace sam2unet::cli {

using Row = std::vector<std::string>;
/// Columns of the width they need, the first to the left. Rows have as many cells as the first.
void print_table(const std::vector<Row>& rows);
/// "0.123", or "-" for what was not computed.
std::string number(double v);

/// A row per method and one for its intervals, or, of more columns than fit on a line, a row per value.
void print_scores(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
                  const PublishedResult* published);
/// The worst pictures by `key`.
void print_worst(const std::vector<Evaluation>& all, const std::string& key, std::size_t count);
/// How many ground truths are empty and what became of them, how the intervals were made, where a published
/// row is from.
void print_notes(const std::vector<Evaluation>& all, const PublishedResult* published);

}  // namespace sam2unet::cli
