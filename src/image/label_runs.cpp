#include "image/label_runs.h"

#include <algorithm>

namespace sam2unet::image {

LabelRuns::LabelRuns(int width, int height, const WantedLabels& wanted)
    : width_(width), height_(height), wanted_(wanted), rows_{0} {
  rows_.reserve(static_cast<std::size_t>(height) + 1);
}

std::uint32_t LabelRuns::root(std::uint32_t part) {
  while (parts_[part].parent != part) part = parts_[part].parent = parts_[parts_[part].parent].parent;
  return part;
}

std::uint32_t LabelRuns::join(std::uint32_t a, std::uint32_t b) {
  if (a == b) return a;
  const std::uint32_t first = std::min(a, b), other = std::max(a, b);
  parts_[first].pixels.add(parts_[other].pixels);
  parts_[other].parent = first;
  return first;
}

std::uint32_t LabelRuns::part_of(std::uint8_t label, int begin, int end, std::size_t& above) {
  std::uint32_t part = kNone;
  const int y = rows() - 1;  // the row above
  while (y >= 0) {
    const int above_end = end_of(above, y);
    if (runs_[above].label == label && above_end > begin) {
      const std::uint32_t its = root(runs_[above].part);
      part = part == kNone ? its : join(part, its);
    }
    // One that reaches beyond may touch the next run too.
    if (above_end >= end) break;
    ++above;
  }
  if (part != kNone) return part;
  part = static_cast<std::uint32_t>(parts_.size());
  parts_.push_back({part, label, {}});
  return part;
}

void LabelRuns::add(const std::uint8_t* labels, const float* confidence) {
  const int y = rows();
  std::size_t above = y > 0 ? first_run(y - 1) : 0;
  for (int begin = 0, end = 0; begin < width_; begin = end) {
    const std::uint8_t label = labels[begin];
    end = static_cast<int>(
        std::find_if(labels + begin, labels + width_, [&](std::uint8_t l) { return l != label; }) - labels);
    Run run{static_cast<std::uint32_t>(begin), label, kNone};
    if (wanted_[label]) {
      run.part = part_of(label, begin, end, above);
      parts_[run.part].pixels.add_run(begin, end, y, confidence == nullptr ? nullptr : confidence + begin);
    }
    runs_.push_back(run);
  }
  rows_.push_back(static_cast<std::uint32_t>(runs_.size()));
  if (rows() == height_) settle();
}

void LabelRuns::settle() {
  for (std::uint32_t i = 0; i < parts_.size(); ++i) parts_[i].parent = parts_[parts_[i].parent].parent;
}

std::size_t LabelRuns::run_at(int x, int y) const {
  std::size_t low = first_run(y), high = first_run(y + 1);
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (static_cast<int>(runs_[middle].begin) <= x ? low : high) = middle;
  }
  return low;
}

}  // namespace sam2unet::image
