// Rows of a picture's result: logits resized to its size, then activated. What picture.cpp and merge.cpp
// share.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "api/picture.h"
#include "ops/cpu/kernels.h"

namespace sam2unet::api {

/// Where the positions of a picture lie among its logits, the padding left out.
struct Taps {
  std::vector<ops::kernels::BilinearTap> vertical, horizontal;

  explicit Taps(const Placement& p);
};

/// Rows of one channel's logits at the picture's size, or some columns of them. The two rows of logits that a
/// row lies between are widened once, and serve all rows between them.
class RowResizer {
 public:
  /// `plane` [h,w] of the placement's input. `columns` are the horizontal taps of the columns that are
  /// wanted.
  RowResizer(const float* plane, const Placement& p, std::span<const ops::kernels::BilinearTap> rows,
             std::span<const ops::kernels::BilinearTap> columns);
  /// `out` is as long as there are columns.
  void resize(int y, float* out);

 private:
  struct Row {
    int y = -1;
    std::vector<float> values;
  };
  const float* widened(int y, int other);

  const float* plane_;
  Placement placement_;
  std::span<const ops::kernels::BilinearTap> vertical_, horizontal_;
  std::array<Row, 2> rows_;
};

/// One per channel.
std::vector<RowResizer> resizers_of(const PlacedLogits& logits,
                                    std::span<const ops::kernels::BilinearTap> rows,
                                    std::span<const ops::kernels::BilinearTap> columns);

/// `channels` rows of `width` values, `plane` floats apart.
struct ChannelRows {
  float* values = nullptr;
  int channels = 1;
  std::int64_t plane = 0;
  int width = 0;
};
void activate(const ChannelRows& rows, Activation activation);
/// Of logits the most probable class of each pixel and its probability, as `finish_ids`.
void decide_of_logits(const ChannelRows& rows, std::uint8_t* ids, float* confidence);
/// The same of probabilities.
void decide_of_probabilities(const ChannelRows& rows, std::uint8_t* ids, float* confidence);

}  // namespace sam2unet::api
