// Where the tiles of a picture lie, how much each pixel of one counts, and the logits of those that are
// needed at the moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "api/augment.h"
#include "sam2unet/image.h"

namespace sam2unet::api {

/// Tiles along one side of a picture. They are spread evenly, so that mirroring the picture mirrors them
/// (but for half a pixel of the middle one), the first and the last end with the picture; where the picture
/// is shorter than a tile, one tile lies around it.
struct TileAxis {
  int length = 0;           ///< of the picture
  int side = 0;             ///< of a tile
  std::vector<int> starts;  ///< ascending; negative where the picture is shorter than a tile
  /// Pixels that the same tiles cover.
  struct Span {
    int first = 0, last = 0;            ///< pixels
    int first_tile = 0, last_tile = 0;  ///< tiles
  };
  std::vector<Span> spans;  ///< in order, without gaps

  int count() const { return static_cast<int>(starts.size()); }
};
TileAxis make_tile_axis(int length, int side, double overlap);

struct TileGrid {
  TileAxis x, y;
  std::size_t size() const {
    return static_cast<std::size_t>(x.count()) * static_cast<std::size_t>(y.count());
  }
};

/// UsageError for options that cannot be meant.
void check_tiles(const TileOptions& options);
/// Width and height of a tile for a picture, with the same check.
std::pair<int, int> tile_size(const TileOptions& options, int width, int height, const InputSize& input);

/// How much pixels first to last of tile `index` count along this axis: a Gaussian around its middle whose
/// deviation is an eighth of a side, never less than 1e-9. That least is what pixels within `margin` of an
/// edge inside the picture get: they lie next to pixels the network did not see, so they only count where no
/// other tile has them.
void tile_weights(const TileAxis& axis, int index, double margin, int first, int last, float* out);

/// Reads a tile of a picture: the picture's own memory, or a copy in `own` where it reaches outside, which
/// mirrors the picture at its edge.
ImageView tile_of(const ImageView& picture, int x, int y, int width, int height, Image& own);

/// Logits of tiles, computed when they are first asked for and kept as long as the budget allows, the least
/// recently used ones dropped first.
class TileStore {
 public:
  using Progress = std::function<void(std::size_t, std::size_t)>;

  /// Refers to all of these.
  TileStore(const ImageView& picture, const TileGrid& grid, Passes& passes, std::size_t budget,
            Progress progress);
  std::shared_ptr<const VariantLogits> get(int column, int row);
  /// Tiles of rows before this one will not be asked for again.
  void drop_before(int row);
  /// Bytes of one tile's logits.
  std::size_t tile_bytes() const { return tile_bytes_; }
  std::size_t budget() const { return budget_; }

  /// What was counted: tiles computed, a tile twice if it was dropped meanwhile, and the most bytes kept.
  std::size_t computed() const { return computed_; }
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  using Key = std::pair<int, int>;  // row, column
  struct Entry {
    std::shared_ptr<const VariantLogits> logits;
    std::list<Key>::iterator use;
  };
  void compute(const Key& first);
  void keep(const Key& key, VariantLogits logits);

  const ImageView picture_;
  const TileGrid& grid_;
  Passes& passes_;
  const std::size_t budget_;
  const Progress progress_;
  std::size_t tile_bytes_ = 0;
  std::map<Key, Entry> kept_;
  std::list<Key> uses_;  // the most recent first
  std::vector<bool> seen_;
  std::size_t done_ = 0, computed_ = 0, peak_bytes_ = 0;
  std::vector<Image> reflected_;
};

}  // namespace sam2unet::api
