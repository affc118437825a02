#include "eval_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sam2unet::cli {
namespace {

const MetricValue* find(const std::vector<MetricValue>& values, const std::string& key) {
  const auto at =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.key == key; });
  return at == values.end() ? nullptr : &*at;
}

// A row per method, and one below for the intervals.
void print_columns(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
                   const PublishedResult* published) {
  std::vector<Row> rows{{"method", "images"}};
  for (const TableColumn& c : columns) rows[0].push_back(c.title);
  for (const Evaluation& e : all) {
    Row values{e.name, std::to_string(e.counted)}, intervals{"  95 %", ""};
    for (const TableColumn& c : columns) {
      const MetricValue* v = find(e.dataset, c.key);
      values.push_back(v == nullptr ? "-" : number(v->value));
      intervals.push_back(v == nullptr || std::isnan(v->low) ? "" : number(v->low) + "-" + number(v->high));
    }
    rows.push_back(std::move(values));
    if (e.resamples > 0 && e.counted > 0) rows.push_back(std::move(intervals));
  }
  if (published != nullptr) {
    Row row{"SAM2-UNet (published)", ""};
    for (const TableColumn& c : columns) {
      const MetricValue* v = find(published->values, c.key);
      row.push_back(v == nullptr ? "-" : number(v->value));
    }
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

// A row per value: what does not fit into one line.
void print_all(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
               const PublishedResult* published) {
  std::vector<Row> rows{{"value"}};
  for (const Evaluation& e : all) {
    rows[0].push_back(e.name);
    if (e.resamples > 0) rows[0].push_back("95 %");
  }
  if (published != nullptr) rows[0].push_back("published");
  for (const TableColumn& c : columns) {
    Row row{c.key};
    for (const Evaluation& e : all) {
      const MetricValue* v = find(e.dataset, c.key);
      row.push_back(v == nullptr ? "-" : number(v->value));
      if (e.resamples > 0)
        row.push_back(v == nullptr || std::isnan(v->low) ? "" : number(v->low) + "-" + number(v->high));
    }
    if (published != nullptr) {
      const MetricValue* v = find(published->values, c.key);
      row.push_back(v == nullptr ? "" : number(v->value));
    }
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

}  // namespace

void print_scores(const std::vector<Evaluation>& all, const std::vector<TableColumn>& columns,
                  const PublishedResult* published) {
  constexpr std::size_t kFitsOnALine = 12;
  if (columns.size() > kFitsOnALine) {
    print_all(all, columns, published);
  } else {
    print_columns(all, columns, published);
  }
}

void print_worst(const std::vector<Evaluation>& all, const std::string& key, std::size_t count) {
  for (const Evaluation& e : all) {
    const std::vector<std::size_t> worst = worst_images(e, key, count);
    const auto column = static_cast<std::size_t>(std::find(e.image_keys.begin(), e.image_keys.end(), key) -
                                                 e.image_keys.begin());
    std::printf("\nworst by %s, %s\n", key.c_str(), e.name.c_str());
    std::vector<Row> rows;
    rows.reserve(worst.size());
    for (const std::size_t i : worst)
      rows.push_back({"  " + e.images[i].name, number(e.images[i].values[column])});
    if (!rows.empty()) print_table(rows);
  }
}

void print_notes(const std::vector<Evaluation>& all, const PublishedResult* published) {
  for (const Evaluation& e : all) {
    if (e.images.empty()) continue;  // no map of it could be read, as was said
    const char* what = e.empty == EmptyPolicy::skip             ? "left out"
                       : e.empty == EmptyPolicy::one_if_correct ? "1 where the prediction is empty too"
                                                                : "scored as PySODMetrics does";
    std::printf("%s: %zu of %zu ground truths are empty (%s)\n", e.name.c_str(),
                e.empty_truths - e.dim_truths, e.images.size(), what);
    if (e.dim_truths > 0) {
      std::printf(
          "%s: %zu of %zu ground truths hold something that does not count as foreground (see the warning)\n",
          e.name.c_str(), e.dim_truths, e.images.size());
    }
  }
  if (all.front().resamples > 0) {
    std::printf("95 %% intervals: %d bootstrap resamples, seed %llu\n", all.front().resamples,
                static_cast<unsigned long long>(all.front().seed));
  }
  if (published != nullptr)
    std::printf("published: %s, %s\n", published->dataset.c_str(), published->source.c_str());
}

}  // namespace sam2unet::cli
