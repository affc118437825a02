// A map of labels as the runs of equal labels in its rows, its connected parts, and their outlines.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "sam2unet/draw.h"
#include "sam2unet/image.h"

namespace sam2unet::image {

/// Which labels count, by label.
using WantedLabels = std::array<bool, 256>;

/// Takes a map's rows from top to bottom and keeps its runs: 8 bytes for each, and 48 for each connected part
/// (pixels that share a side). So a large map of few parts costs little.
class LabelRuns {
 public:
  LabelRuns(int width, int height, const WantedLabels& wanted);

  int width() const { return width_; }
  int height() const { return height_; }
  /// How many rows are there.
  int rows() const { return static_cast<int>(rows_.size()) - 1; }
  /// The next row; `confidence` is of its pixels, or null, which counts as 0.
  void add(const std::uint8_t* labels, const float* confidence);

  using UsePart = std::function<void(const MaskSummary&, Polygon&&)>;
  /// Each connected part of a wanted label, in reading order of their first pixels, one at a time. All rows
  /// must be there.
  void visit(std::uint8_t label, double tolerance, const UsePart& use) const;

 private:
  class Tracer;

  struct Run {
    std::uint32_t begin : 24;  // sides are 2^24 at most, so the last begins before that
    std::uint32_t label : 8;
    std::uint32_t part;
  };
  // Sums of exact multiples of a float's last place: in whatever order they are taken, double holds them.
  struct Part {
    std::uint32_t parent = 0;
    std::uint8_t label = 0;
    SummaryBuilder pixels;
  };
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t root(std::uint32_t part);
  std::uint32_t join(std::uint32_t a, std::uint32_t b);
  /// The part of a run [begin, end) of the row that is added: that of runs above it, or a new one.
  std::uint32_t part_of(std::uint8_t label, int begin, int end, std::size_t& above);
  void settle();
  std::size_t first_run(int y) const { return rows_[static_cast<std::size_t>(y)]; }
  std::size_t run_at(int x, int y) const;
  int end_of(std::size_t run, int y) const {
    return run + 1 < first_run(y + 1) ? static_cast<int>(runs_[run + 1].begin) : width_;
  }

  int width_, height_;
  WantedLabels wanted_;
  std::deque<Run> runs_;             // a deque never holds its elements twice, as a growing vector does
  std::deque<Part> parts_;           // a part's root is the earliest of those that were joined
  std::vector<std::uint32_t> rows_;  // index of each row's first run, and the end
};

}  // namespace sam2unet::image
