// Results of one picture as its bands come: maps, masks and overlays leave row by row, of the rest only what
// they need is kept.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "results/results.h"
#include "sam2unet/image.h"
#include "sam2unet/png_stream.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::results {

/// Of which float the mean confidence of connected parts is made.
enum class PartConfidence {
  exact,
  of_8_bits,  ///< in 255ths, as the map's file has it: of tiles
};

struct BandedPicture {
  std::string name;         ///< as the JSON says it
  ImageView pixels;         ///< RGB or RGBA
  Image* cutout = nullptr;  ///< for a cut-out: the same in RGBA, whose alpha becomes the result's meanwhile
  int channels = 1;         ///< K
  PartConfidence parts = PartConfidence::exact;
};

/// The bytes are those of `encode_result`. Memory beside the picture: some rows, and of JSON the runs of
/// equal ids in the rows.
class BandResults {
 public:
  using OpenSink = std::function<ByteSink(Save)>;

  /// Opens a sink for each kind of `options.saves`. Refers to the picture's pixels and to the options.
  BandResults(const BandedPicture& picture, const ResultOptions& options, const OpenSink& open);
  ~BandResults();
  BandResults(BandResults&&) noexcept;
  BandResults& operator=(BandResults&&) noexcept;
  BandResults(const BandResults&) = delete;
  BandResults& operator=(const BandResults&) = delete;

  /// The next band, from top to bottom. May be called while the picture is segmented: the network does not
  /// see its alpha, which is all that changes here.
  void add(const SegmentationBand& band);
  /// All bands were there. Only a cut-out still needs the picture's pixels.
  void finish(double seconds, std::span<const std::byte> color_profile);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sam2unet::results
