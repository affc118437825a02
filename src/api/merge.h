// One result of several passes: tiles are blended as logits, with the logits of the whole picture where
// asked for; variants are averaged as probabilities.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "api/augment.h"
#include "api/rows.h"
#include "api/tiles.h"

namespace sam2unet::api {

/// Where finished rows go, the first of them at these addresses; one kind of result or the other.
struct Destination {
  float* probabilities = nullptr;  ///< [K, rows, width], `plane` floats from channel to channel
  std::int64_t plane = 0;
  std::uint8_t* ids = nullptr;  ///< [rows, width]
  float* confidence = nullptr;  ///< [rows, width]
};

struct MergeOptions {
  /// Width and height of a tile; those of the picture are no tiles.
  std::pair<int, int> tile;
  double overlap = 0.0;
  double context = 0.0;  ///< the whole picture's part of the logits
  Activation activation = Activation::none;
  int threads = 1;
  std::size_t budget = std::size_t{96} << 20;  ///< bytes of tiles' logits
  TileStore::Progress progress = {};
};

/// Not for two threads at once.
class Merged {
 public:
  /// Refers to the picture's pixels and to the passes.
  Merged(const ImageView& picture, Passes& passes, const MergeOptions& options);
  Merged(const Merged&) = delete;
  Merged& operator=(const Merged&) = delete;

  /// Rows first to last; they are asked for from top to bottom.
  void finish(int first, int last, const Destination& to);
  /// How many rows are best asked for at once, if one takes so many bytes.
  int band_rows(std::size_t row_bytes) const;
  const TileStore& store() const { return store_; }

 private:
  // A tile as it lies in the picture, and how much the cell's columns and rows of it count.
  struct Piece {
    std::shared_ptr<const VariantLogits> logits;
    int x = 0, y = 0;
    std::vector<float> across, down;
  };
  // Pixels that the same tiles cover.
  struct Cell {
    int x0 = 0, x1 = 0, y0 = 0, y1 = 0;
    std::vector<Piece> pieces;
  };
  class CellRows;

  Cell cell_of(const TileAxis::Span& columns, const TileAxis::Span& rows, int y0, int y1);
  void finish_cell(const Cell& cell, int first, const Destination& to) const;
  bool keeps_rows() const;

  const ImageView picture_;
  const MergeOptions options_;
  const int channels_;
  TileGrid grid_;
  TileStore store_;
  double margin_x_ = 0.0, margin_y_ = 0.0;
  VariantLogits whole_;                  // of the context
  std::vector<Taps> taps_, whole_taps_;  // of each variant: of a tile, of the whole picture
};

}  // namespace sam2unet::api
