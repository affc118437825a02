#include "api/merge.h"

#include <algorithm>
#include <limits>

#include "ops/cpu/threads.h"

namespace sam2unet::api {
namespace {

// Bands of a picture whose rows of tiles are all kept, and of one where a band less is a row of tiles less to
// compute twice.
constexpr std::size_t kBandBytes = std::size_t{8} << 20, kLargeBandBytes = std::size_t{32} << 20;
// A tile's outermost pixel of the network, and the half up to the next one, lean on pixels outside.
constexpr double kMargin = 1.5;

// Of each variant, for pictures of that size.
std::vector<Taps> taps_of(const PassOptions& options, int width, int height) {
  std::vector<Taps> out;
  for (const Variant& v : options.variants) {
    const bool quarter = v.turn == Turn::quarter;
    const Placement p =
        place(quarter ? height : width, quarter ? width : height, input_of(v, options.size), options.fit);
    out.emplace_back(upright({}, 0, p, v.turn).placement);
  }
  return out;
}

}  // namespace

// Rows of a cell, on one thread.
class Merged::CellRows {
 public:
  CellRows(const Merged& all, const Cell& cell)
      : all_(all), cell_(cell), width_(cell.x1 - cell.x0), variants_(all.taps_.size()) {
    const auto n = static_cast<std::size_t>(width_);
    for (std::size_t v = 0; v < variants_; ++v) {
      for (const Piece& piece : cell.pieces) {
        pieces_.push_back(resizers_of(
            (*piece.logits)[v].view(), all.taps_[v].vertical,
            std::span(all.taps_[v].horizontal).subspan(static_cast<std::size_t>(cell.x0 - piece.x), n)));
      }
      if (all.whole_.empty()) continue;
      whole_.push_back(resizers_of(
          all.whole_[v].view(), all.whole_taps_[v].vertical,
          std::span(all.whole_taps_[v].horizontal).subspan(static_cast<std::size_t>(cell.x0), n)));
    }
    logits_.resize(n * static_cast<std::size_t>(all.channels_));
    if (variants_ > 1) mean_.resize(logits_.size());
    for (auto* row : {&weights_, &sum_, &resized_}) row->resize(n);
  }

  void finish(int y, std::int64_t at, const Destination& to) {
    const bool averages = variants_ > 1;
    if (averages) std::fill(mean_.begin(), mean_.end(), 0.0F);
    for (std::size_t v = 0; v < variants_; ++v) {
      blend(v, y);
      if (!averages) continue;
      activate(rows(logits_), all_.options_.activation);
      for (std::size_t i = 0; i < mean_.size(); ++i) mean_[i] += logits_[i];
    }
    for (float& m : mean_) m /= static_cast<float>(variants_);
    if (to.ids != nullptr && averages) {
      decide_of_probabilities(rows(mean_), to.ids + at, to.confidence + at);
    } else if (to.ids != nullptr) {
      decide_of_logits(rows(logits_), to.ids + at, to.confidence + at);
    } else {
      if (!averages) activate(rows(logits_), all_.options_.activation);
      const std::vector<float>& result = averages ? mean_ : logits_;
      for (int k = 0; k < all_.channels_; ++k)
        std::copy_n(result.begin() + static_cast<std::ptrdiff_t>(k) * width_, width_,
                    to.probabilities + k * to.plane + at);
    }
  }

 private:
  ChannelRows rows(std::vector<float>& values) const {
    return {values.data(), all_.channels_, width_, width_};
  }
  float* channel(std::size_t k) { return logits_.data() + k * static_cast<std::size_t>(width_); }

  // logits_ = the tiles' logits, weighted, and the whole picture's.
  void blend(std::size_t v, int y) {
    const std::size_t count = cell_.pieces.size(), n = sum_.size();
    const auto channels = static_cast<std::size_t>(all_.channels_);
    if (count == 1) {
      for (std::size_t k = 0; k < channels; ++k) pieces_[v][k].resize(y - cell_.pieces[0].y, channel(k));
    } else {
      std::fill(logits_.begin(), logits_.end(), 0.0F);
      std::fill(sum_.begin(), sum_.end(), 0.0F);
      for (std::size_t p = 0; p < count; ++p) add(cell_.pieces[p], pieces_[v * count + p], y);
      for (std::size_t k = 0; k < channels; ++k)
        for (std::size_t i = 0; i < n; ++i) channel(k)[i] /= sum_[i];
    }
    if (whole_.empty()) return;
    const auto part = static_cast<float>(all_.options_.context);
    for (std::size_t k = 0; k < channels; ++k) {
      whole_[v][k].resize(y, resized_.data());
      float* to = channel(k);
      for (std::size_t i = 0; i < n; ++i) to[i] = (1.0F - part) * to[i] + part * resized_[i];
    }
  }

  void add(const Piece& piece, std::vector<RowResizer>& resizers, int y) {
    const float down = piece.down[static_cast<std::size_t>(y - cell_.y0)];
    for (std::size_t i = 0; i < sum_.size(); ++i) {
      weights_[i] = down * piece.across[i];
      sum_[i] += weights_[i];
    }
    for (std::size_t k = 0; k < resizers.size(); ++k) {
      resizers[k].resize(y - piece.y, resized_.data());
      float* to = channel(k);
      for (std::size_t i = 0; i < sum_.size(); ++i) to[i] += weights_[i] * resized_[i];
    }
  }

  const Merged& all_;
  const Cell& cell_;
  const int width_;
  const std::size_t variants_;
  std::vector<std::vector<RowResizer>> pieces_;  // [variant][piece][channel]
  std::vector<std::vector<RowResizer>> whole_;   // [variant][channel]
  std::vector<float> logits_, mean_;             // [K, width]
  std::vector<float> weights_, sum_, resized_;   // [width]
};

Merged::Merged(const ImageView& picture, Passes& passes, const MergeOptions& options)
    : picture_(picture),
      options_(options),
      channels_(passes.options().channels),
      grid_{make_tile_axis(picture.width, options.tile.first, options.overlap),
            make_tile_axis(picture.height, options.tile.second, options.overlap)},
      store_(picture, grid_, passes, options.budget, options.progress),
      taps_(taps_of(passes.options(), options.tile.first, options.tile.second)) {
  int least_width = std::numeric_limits<int>::max(), least_height = least_width;
  for (const Variant& v : passes.options().variants) {
    const InputSize upright = input_of({Turn::none, v.scale}, passes.options().size);
    least_width = std::min(least_width, upright.width);
    least_height = std::min(least_height, upright.height);
  }
  margin_x_ = kMargin * options.tile.first / least_width;
  margin_y_ = kMargin * options.tile.second / least_height;
  if (options.context <= 0.0) return;
  whole_ = std::move(passes.run({&picture_, 1}).front());
  whole_taps_ = taps_of(passes.options(), picture.width, picture.height);
}

bool Merged::keeps_rows() const {
  int most = 0;
  for (const TileAxis::Span& s : grid_.y.spans) most = std::max(most, s.last_tile - s.first_tile);
  return static_cast<std::size_t>(most) * static_cast<std::size_t>(grid_.x.count()) * store_.tile_bytes() <=
         store_.budget();
}

int Merged::band_rows(std::size_t row_bytes) const {
  const std::size_t bytes = keeps_rows() ? kBandBytes : kLargeBandBytes;
  return static_cast<int>(std::clamp<std::size_t>(bytes / std::max<std::size_t>(1, row_bytes), 1,
                                                  static_cast<std::size_t>(picture_.height)));
}

Merged::Cell Merged::cell_of(const TileAxis::Span& columns, const TileAxis::Span& rows, int y0, int y1) {
  Cell cell{columns.first, columns.last, y0, y1, {}};
  for (int row = rows.first_tile; row < rows.last_tile; ++row) {
    for (int column = columns.first_tile; column < columns.last_tile; ++column) {
      Piece piece{store_.get(column, row),
                  grid_.x.starts[static_cast<std::size_t>(column)],
                  grid_.y.starts[static_cast<std::size_t>(row)],
                  {},
                  {}};
      piece.across.resize(static_cast<std::size_t>(cell.x1 - cell.x0));
      piece.down.resize(static_cast<std::size_t>(cell.y1 - cell.y0));
      tile_weights(grid_.x, column, margin_x_, cell.x0 - piece.x, cell.x1 - piece.x, piece.across.data());
      tile_weights(grid_.y, row, margin_y_, cell.y0 - piece.y, cell.y1 - piece.y, piece.down.data());
      cell.pieces.push_back(std::move(piece));
    }
  }
  return cell;
}

void Merged::finish_cell(const Cell& cell, int first, const Destination& to) const {
  ops::parallel_rows(options_.threads, cell.y1 - cell.y0, [&](std::int64_t begin, std::int64_t end) {
    CellRows rows(*this, cell);
    for (std::int64_t row = begin; row < end; ++row) {
      const int y = cell.y0 + static_cast<int>(row);
      rows.finish(y, static_cast<std::int64_t>(y - first) * picture_.width + cell.x0, to);
    }
  });
}

void Merged::finish(int first, int last, const Destination& to) {
  for (const TileAxis::Span& rows : grid_.y.spans) {
    const int y0 = std::max(first, rows.first), y1 = std::min(last, rows.last);
    if (y0 >= y1) continue;
    store_.drop_before(rows.first_tile);
    for (const TileAxis::Span& columns : grid_.x.spans)
      finish_cell(cell_of(columns, rows, y0, y1), first, to);
  }
}

}  // namespace sam2unet::api
