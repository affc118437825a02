#include "metrics/components.h"

#include <algorithm>
#include <bit>

namespace sam2unet::metrics {

namespace {

struct Run {
  int x0, x1;  // the last pixel included
  std::size_t label;
};

class Labels {
 public:
  std::size_t add() {
    parent_.push_back(parent_.size());
    return parent_.size() - 1;
  }
  std::size_t root(std::size_t label) {
    while (parent_[label] != label) label = parent_[label] = parent_[parent_[label]];
    return label;
  }
  /// The older label stays, so that roots are in the order of first pixels.
  void join(std::size_t a, std::size_t b) {
    a = root(a);
    b = root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }
  std::size_t size() const { return parent_.size(); }

 private:
  std::vector<std::size_t> parent_;
};

void runs_of(const Bitmap& p, int y, std::vector<Run>& out) {
  out.clear();
  const std::uint64_t* row = p.row(y);
  for (int w = 0; w < p.words(); ++w) {
    std::uint64_t word = row[w];
    int at = 64 * w;
    while (word != 0) {
      const int skip = std::countr_zero(word);
      word = skip == 63 ? word >> 63 : word >> skip;
      at += skip;
      const int length = std::countr_one(word);
      if (!out.empty() && out.back().x1 + 1 == at) {
        out.back().x1 = at + length - 1;
      } else {
        out.push_back({at, at + length - 1, 0});
      }
      word = length == 64 ? 0 : word >> length;
      at += length;
    }
  }
}

}  // namespace

std::vector<Component> components4(const Bitmap& picture) {
  Labels labels;
  std::vector<Component> parts;  // by label, before joining
  std::vector<Run> before, now;
  for (int y = 0; y < picture.height(); ++y) {
    runs_of(picture, y, now);
    std::size_t b = 0;
    for (Run& run : now) {
      bool labelled = false;
      while (b < before.size() && before[b].x1 < run.x0) ++b;
      for (std::size_t k = b; k < before.size() && before[k].x0 <= run.x1; ++k) {
        if (labelled) {
          labels.join(run.label, before[k].label);
        } else {
          run.label = before[k].label;
        }
        labelled = true;
      }
      if (!labelled) {
        run.label = labels.add();
        parts.push_back({0, {run.x0, y, run.x1, y}});
      }
      Component& c = parts[run.label];
      c.area += run.x1 - run.x0 + 1;
      c.box.x0 = std::min(c.box.x0, run.x0);
      c.box.x1 = std::max(c.box.x1, run.x1);
      c.box.y1 = y;
    }
    before.swap(now);
  }
  std::vector<Component> out;
  std::vector<std::size_t> position(labels.size());
  for (std::size_t label = 0; label < labels.size(); ++label) {
    const std::size_t root = labels.root(label);
    if (root == label) {
      position[label] = out.size();
      out.push_back(parts[label]);
      continue;
    }
    Component& c = out[position[root]];
    const Component& part = parts[label];
    c.area += part.area;
    c.box = {std::min(c.box.x0, part.box.x0), std::min(c.box.y0, part.box.y0),
             std::max(c.box.x1, part.box.x1), std::max(c.box.y1, part.box.y1)};
  }
  return out;
}

}  // namespace sam2unet::metrics
