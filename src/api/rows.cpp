#include "api/rows.h"

#include <algorithm>
#include <cmath>

namespace sam2unet::api {
namespace {

using ops::kernels::BilinearTap;

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

void softmax(const ChannelRows& rows) {
  const auto at = [&](int k, int x) -> float& { return rows.values[k * rows.plane + x]; };
  for (int x = 0; x < rows.width; ++x) {
    float max = at(0, x);
    for (int k = 1; k < rows.channels; ++k) max = std::max(max, at(k, x));
    float sum = 0.0F;
    for (int k = 0; k < rows.channels; ++k) sum += at(k, x) = std::exp(at(k, x) - max);
    for (int k = 0; k < rows.channels; ++k) at(k, x) /= sum;
  }
}

// The first of equals.
int largest_channel(const ChannelRows& rows, int x) {
  int best = 0;
  for (int k = 1; k < rows.channels; ++k)
    if (rows.values[k * rows.plane + x] > rows.values[best * rows.plane + x]) best = k;
  return best;
}

void decide_of_one(float p, std::uint8_t& id, float& confidence) {
  id = p >= 0.5F ? 1 : 0;
  confidence = p >= 0.5F ? p : 1.0F - p;
}

}  // namespace

Taps::Taps(const Placement& p)
    : vertical(ops::kernels::bilinear_taps(p.height, p.picture_height, ops::Corners::unaligned)),
      horizontal(ops::kernels::bilinear_taps(p.width, p.picture_width, ops::Corners::unaligned)) {}

RowResizer::RowResizer(const float* plane, const Placement& p, std::span<const BilinearTap> rows,
                       std::span<const BilinearTap> columns)
    : plane_(plane), placement_(p), vertical_(rows), horizontal_(columns) {
  for (auto& row : rows_) row.values.resize(columns.size());
}

void RowResizer::resize(int y, float* out) {
  const BilinearTap& t = vertical_[static_cast<std::size_t>(y)];
  const float* above = widened(t.first, t.second);
  const float* below = widened(t.second, t.first);
  ops::kernels::mix_rows(above, below, t.weight, static_cast<std::int64_t>(horizontal_.size()), out);
}

const float* RowResizer::widened(int y, int other) {
  for (const Row& row : rows_)
    if (row.y == y) return row.values.data();
  Row& row = rows_[rows_[0].y == other ? 1 : 0];
  row.y = y;
  const float* from =
      plane_ + static_cast<std::ptrdiff_t>(placement_.y + y) * placement_.input.width + placement_.x;
  ops::kernels::widen_row(from, horizontal_, row.values.data());
  return row.values.data();
}

std::vector<RowResizer> resizers_of(const PlacedLogits& logits, std::span<const BilinearTap> rows,
                                    std::span<const BilinearTap> columns) {
  std::vector<RowResizer> out;
  out.reserve(static_cast<std::size_t>(logits.channels));
  const auto plane =
      static_cast<std::ptrdiff_t>(logits.placement.input.width) * logits.placement.input.height;
  for (int k = 0; k < logits.channels; ++k)
    out.emplace_back(logits.values.data() + k * plane, logits.placement, rows, columns);
  return out;
}

void activate(const ChannelRows& rows, Activation activation) {
  if (activation == Activation::softmax) softmax(rows);
  if (activation != Activation::sigmoid) return;
  for (int k = 0; k < rows.channels; ++k) {
    float* row = rows.values + k * rows.plane;
    std::transform(row, row + rows.width, row, sigmoid);
  }
}

void decide_of_logits(const ChannelRows& rows, std::uint8_t* ids, float* confidence) {
  for (int x = 0; x < rows.width; ++x) {
    if (rows.channels == 1) {
      decide_of_one(sigmoid(rows.values[x]), ids[x], confidence[x]);
      continue;
    }
    const int best = largest_channel(rows, x);
    const float most = rows.values[best * rows.plane + x];
    float sum = 0.0F;
    for (int k = 0; k < rows.channels; ++k) sum += std::exp(rows.values[k * rows.plane + x] - most);
    ids[x] = static_cast<std::uint8_t>(best);
    confidence[x] = 1.0F / sum;
  }
}

void decide_of_probabilities(const ChannelRows& rows, std::uint8_t* ids, float* confidence) {
  for (int x = 0; x < rows.width; ++x) {
    if (rows.channels == 1) {
      decide_of_one(rows.values[x], ids[x], confidence[x]);
      continue;
    }
    const int best = largest_channel(rows, x);
    ids[x] = static_cast<std::uint8_t>(best);
    confidence[x] = rows.values[best * rows.plane + x];
  }
}

}  // namespace sam2unet::api
