#include "api/tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

constexpr float kFloor = 1e-9F;
constexpr double kDeviations = 8.0;  // of the Gaussian, in a side
constexpr double kMaxOverlap = 0.9;

std::vector<TileAxis::Span> spans_of(const TileAxis& axis) {
  std::vector<int> edges{0, axis.length};
  for (const int start : axis.starts) {
    edges.push_back(std::clamp(start, 0, axis.length));
    edges.push_back(std::clamp(start + axis.side, 0, axis.length));
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  std::vector<TileAxis::Span> out;
  int first_tile = 0, last_tile = 0;
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
    while (axis.starts[static_cast<std::size_t>(first_tile)] + axis.side <= edges[i]) ++first_tile;
    while (last_tile < axis.count() && axis.starts[static_cast<std::size_t>(last_tile)] <= edges[i])
      ++last_tile;
    out.push_back({edges[i], edges[i + 1], first_tile, last_tile});
  }
  return out;
}

// Position i of a line of `length` that goes on as its mirror image, the outermost pixel not repeated.
int mirrored(int i, int length) {
  if (length == 1) return 0;
  const int period = 2 * (length - 1);
  const int at = ((i % period) + period) % period;
  return at < length ? at : period - at;
}

}  // namespace

TileAxis make_tile_axis(int length, int side, double overlap) {
  TileAxis axis{length, side, {}, {}};
  if (length <= side) {
    axis.starts.push_back(-((side - length) / 2));
  } else {
    const std::int64_t way = length - side;  // of the first tile to the last
    const auto stride = std::max<std::int64_t>(1, static_cast<std::int64_t>(side * (1.0 - overlap)));
    const std::int64_t steps = (way + stride - 1) / stride;
    // Rounded up in the lower half, so that no step is longer than the stride; the upper half is its mirror
    // image.
    const auto lower = [&](std::int64_t i) { return (i * way + steps - 1) / steps; };
    for (std::int64_t i = 0; i <= steps; ++i)
      axis.starts.push_back(static_cast<int>(2 * i > steps ? way - lower(steps - i) : lower(i)));
  }
  axis.spans = spans_of(axis);
  return axis;
}

void check_tiles(const TileOptions& o) {
  constexpr int kLeast = 32, kLargest = 1 << 24;
  if (o.side != 0 && (o.side < kLeast || o.side > kLargest))
    throw UsageError(
        fmt::format("a tile of {} pixels: must be 0 (automatic) or at least {}", o.side, kLeast));
  if (!(o.overlap >= 0.0 && o.overlap <= kMaxOverlap))
    throw UsageError(fmt::format("an overlap of {}: must be 0 to {}", o.overlap, kMaxOverlap));
  if (!(o.context >= 0.0 && o.context <= 1.0))
    throw UsageError(fmt::format("a context's weight of {}: must be 0 to 1", o.context));
}

std::pair<int, int> tile_size(const TileOptions& o, int width, int height, const InputSize& input) {
  check_tiles(o);
  const int longer_input = std::max(input.width, input.height);
  const int half = std::max(width, height) / 2 + std::max(width, height) % 2;
  const int side = o.side != 0 ? o.side : std::max(half, longer_input);
  const auto part = [&](int of) {
    return std::max(
        1, static_cast<int>((static_cast<std::int64_t>(side) * of + longer_input / 2) / longer_input));
  };
  return {part(input.width), part(input.height)};
}

void tile_weights(const TileAxis& axis, int index, double margin, int first, int last, float* out) {
  const double middle = 0.5 * axis.side, deviation = axis.side / kDeviations;
  const double from = index == 0 ? 0.0 : margin;
  const double to = index + 1 == axis.count() ? axis.side : axis.side - margin;
  for (int i = first; i < last; ++i) {
    const double at = i + 0.5;
    const double z = (at - middle) / deviation;
    const bool counts = at > from && at < to;
    out[i - first] = counts ? std::max(static_cast<float>(std::exp(-0.5 * z * z)), kFloor) : kFloor;
  }
}

ImageView tile_of(const ImageView& picture, int x, int y, int width, int height, Image& own) {
  const int channels = picture.channels;
  if (x >= 0 && y >= 0 && x + width <= picture.width && y + height <= picture.height) {
    return {picture.row(y) + static_cast<std::ptrdiff_t>(x) * channels, width, height, channels,
            picture.stride};
  }
  own.width = width;
  own.height = height;
  own.channels = channels;
  own.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                    static_cast<std::size_t>(channels));
  for (int j = 0; j < height; ++j) {
    const std::uint8_t* from = picture.row(mirrored(y + j, picture.height));
    std::uint8_t* to = own.row(j);
    for (int i = 0; i < width; ++i, to += channels) {
      std::memcpy(to, from + static_cast<std::ptrdiff_t>(mirrored(x + i, picture.width)) * channels,
                  static_cast<std::size_t>(channels));
    }
  }
  return own;
}

TileStore::TileStore(const ImageView& picture, const TileGrid& grid, Passes& passes, std::size_t budget,
                     Progress progress)
    : picture_(picture),
      grid_(grid),
      passes_(passes),
      budget_(budget),
      progress_(std::move(progress)),
      seen_(grid.size()) {
  for (const Variant& v : passes.options().variants) {
    const InputSize s = input_of(v, passes.options().size);
    tile_bytes_ += static_cast<std::size_t>(s.width) * static_cast<std::size_t>(s.height) *
                   static_cast<std::size_t>(passes.options().channels) * sizeof(float);
  }
}

std::shared_ptr<const VariantLogits> TileStore::get(int column, int row) {
  const Key key{row, column};
  auto at = kept_.find(key);
  if (at == kept_.end()) {
    compute(key);
    at = kept_.find(key);
  }
  uses_.splice(uses_.begin(), uses_, at->second.use);
  return at->second.logits;
}

// With those right of it, as many as the network sees at once.
void TileStore::compute(const Key& first) {
  const std::size_t room = std::max<std::size_t>(1, budget_ / std::max<std::size_t>(1, tile_bytes_));
  const std::size_t batch =
      std::max<std::size_t>(1, std::min(room, passes_.options().batch / passes_.options().variants.size()));
  std::vector<Key> keys;
  for (int column = first.second; column < grid_.x.count() && keys.size() < batch; ++column) {
    const Key key{first.first, column};
    if (kept_.contains(key)) break;
    keys.push_back(key);
  }
  if (reflected_.size() < keys.size()) reflected_.resize(keys.size());
  std::vector<ImageView> tiles;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    tiles.push_back(tile_of(picture_, grid_.x.starts[static_cast<std::size_t>(keys[i].second)],
                            grid_.y.starts[static_cast<std::size_t>(keys[i].first)], grid_.x.side,
                            grid_.y.side, reflected_[i]));
  }
  std::vector<VariantLogits> logits = passes_.run(tiles);
  for (std::size_t i = keys.size(); i-- > 0;) keep(keys[i], std::move(logits[i]));
  computed_ += keys.size();
  for (const Key& key : keys) {
    const std::size_t at = static_cast<std::size_t>(key.first) * static_cast<std::size_t>(grid_.x.count()) +
                           static_cast<std::size_t>(key.second);
    if (!seen_[at]) ++done_;
    seen_[at] = true;
  }
  if (progress_) progress_(done_, grid_.size());
}

void TileStore::keep(const Key& key, VariantLogits logits) {
  while (!uses_.empty() && (kept_.size() + 1) * tile_bytes_ > budget_) {
    kept_.erase(uses_.back());
    uses_.pop_back();
  }
  uses_.push_front(key);
  kept_[key] = {std::make_shared<const VariantLogits>(std::move(logits)), uses_.begin()};
  peak_bytes_ = std::max(peak_bytes_, kept_.size() * tile_bytes_);
}

void TileStore::drop_before(int row) {
  while (!kept_.empty() && kept_.begin()->first.first < row) {
    uses_.erase(kept_.begin()->second.use);
    kept_.erase(kept_.begin());
  }
}

}  // namespace sam2unet::api
