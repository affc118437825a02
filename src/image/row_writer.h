// Decoded rows on their way into the picture that was asked for: its channels, and upright. A second copy of
// a picture of 2^28 pixels would be a gigabyte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "image/decoders.h"
#include "sam2unet/image.h"

namespace sam2unet::image {

class RowWriter {
 public:
  /// Of a picture stored with so many channels and that orientation.
  RowWriter(const Source& source, int width, int height, int channels, int orientation);

  /// Whether rows are decoded to where they stay, so that they may come in several passes.
  bool is_direct() const { return line_.empty(); }
  /// Where to decode a row.
  std::uint8_t* row(int y) { return is_direct() ? out_.row(y) : line_.data(); }
  /// The row is there. Rows come in order.
  void done(int y);
  Image take() { return std::move(out_); }

 private:
  void place(int first, int rows);

  const int width_, height_, channels_, orientation_;
  Image out_;
  std::vector<std::uint8_t> line_, strip_;  // of rows that are converted
  int strip_rows_ = 1;
  std::size_t stride_ = 0;
};

}  // namespace sam2unet::image
