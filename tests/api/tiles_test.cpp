// Tiles, blended: no seams, symmetry, bounded memory, on networks whose results are known.
#include "api/tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/merge.h"
#include "api/synthetic_backend.h"
#include "sam2unet/errors.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

using api::MergeOptions;
using api::TileAxis;
using api::Turn;
using test::SyntheticBackend;

struct Case {
  int input = 64;  // of the network, and
  int tile = 64;   // of the picture's pixels
  double overlap = 0.25;
  double context = 0.0;
  std::size_t budget = std::size_t{1} << 30;
  std::size_t batch = 1;
  int threads = 1;
  int band = 0;  // rows asked for at once; 0: all
};

struct Outcome {
  std::vector<float> logits;  // [K, height, width]
  std::size_t tiles = 0, computed = 0, peak = 0;
};

Outcome run(const SyntheticBackend& network, int channels, const ImageView& picture, const Case& c,
            std::vector<api::Variant> variants = {api::Variant{}}) {
  api::Passes passes(network, {InputSize::square(c.input), Fit::squash, PillowVersion::v12,
                               std::move(variants), c.batch, channels});
  MergeOptions options;
  options.tile = {c.tile, c.tile};
  options.overlap = c.overlap;
  options.context = c.context;
  options.threads = c.threads;
  options.budget = c.budget;
  api::Merged merged(picture, passes, options);
  const std::size_t pixels =
      static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height);
  Outcome out;
  out.logits.resize(pixels * static_cast<std::size_t>(channels));
  const int band = c.band == 0 ? picture.height : c.band;
  for (int first = 0; first < picture.height; first += band) {
    api::Destination to;
    to.probabilities = out.logits.data() + static_cast<std::ptrdiff_t>(first) * picture.width;
    to.plane = static_cast<std::int64_t>(pixels);
    merged.finish(first, std::min(picture.height, first + band), to);
  }
  out.computed = merged.store().computed();
  out.peak = merged.store().peak_bytes();
  out.tiles = api::TileGrid{api::make_tile_axis(picture.width, c.tile, c.overlap),
                            api::make_tile_axis(picture.height, c.tile, c.overlap)}
                  .size();
  return out;
}

// The logits of a network of one output, of tiles of `tile` (width, height) that it sees at `input`.
std::vector<float> blended(const SyntheticBackend& network, const Image& picture, const InputSize& input,
                           std::pair<int, int> tile, double overlap,
                           std::vector<api::Variant> variants = {api::Variant{}}) {
  api::Passes passes(network, {input, Fit::squash, PillowVersion::v12, std::move(variants), 2, 1});
  MergeOptions options;
  options.tile = tile;
  options.overlap = overlap;
  api::Merged merged(picture, passes, options);
  std::vector<float> out(static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height));
  merged.finish(0, picture.height, {out.data(), static_cast<std::int64_t>(out.size()), nullptr, nullptr});
  return out;
}

// Red grows by `step` to the right, green downwards.
Image ramp(int width, int height, int step) {
  Image p(width, height, 3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      p.row(y)[x * 3] = static_cast<std::uint8_t>(step * x);
      p.row(y)[x * 3 + 1] = static_cast<std::uint8_t>(step * y);
    }
  return p;
}

TEST(TileAxes, CoverEachPixelWithTheOverlapThatWasAskedFor) {
  for (const int length : {1, 5, 63, 64, 65, 100, 127, 128, 1000, 12000})
    for (const int side : {32, 64, 101})
      for (const double overlap : {0.0, 0.25, 0.5, 0.9}) {
        const TileAxis a = api::make_tile_axis(length, side, overlap);
        SCOPED_TRACE(testing::Message() << length << " in tiles of " << side << ", overlap " << overlap);
        ASSERT_GE(a.count(), 1);
        if (length > side) {
          EXPECT_EQ(a.starts.front(), 0);
          EXPECT_EQ(a.starts.back(), length - side);  // moved inward
        } else {
          EXPECT_EQ(a.count(), 1);
        }
        for (int i = 1; i < a.count(); ++i) {
          const int step = a.starts[static_cast<std::size_t>(i)] - a.starts[static_cast<std::size_t>(i - 1)];
          EXPECT_GT(step, 0);
          EXPECT_LE(step, std::ceil(side * (1.0 - overlap)));
        }
        int next = 0;
        for (const TileAxis::Span& s : a.spans) {
          EXPECT_EQ(s.first, next);
          EXPECT_LT(s.first, s.last);
          EXPECT_LT(s.first_tile, s.last_tile);
          for (int t = 0; t < a.count(); ++t) {
            const int start = a.starts[static_cast<std::size_t>(t)];
            const bool covers = start <= s.first && s.last <= start + side;
            EXPECT_EQ(covers, t >= s.first_tile && t < s.last_tile);
          }
          next = s.last;
        }
        EXPECT_EQ(next, length);
      }
}

TEST(TileAxes, AreTheirOwnMirrorImage) {
  for (int length = 65; length < 400; ++length) {
    const TileAxis a = api::make_tile_axis(length, 64, 0.25);
    for (int i = 0; i < a.count(); ++i) {
      const int mirrored = length - 64 - a.starts[static_cast<std::size_t>(a.count() - 1 - i)];
      EXPECT_LE(std::abs(mirrored - a.starts[static_cast<std::size_t>(i)]), 2 * i + 1 == a.count() ? 1 : 0);
    }
  }
}

TEST(TileWeights, AreNeverZeroAndLeastBesideUnseenPixels) {
  const TileAxis a = api::make_tile_axis(1000, 352, 0.25);
  std::vector<float> w(352);
  api::tile_weights(a, 1, 1.5, 0, 352, w.data());
  EXPECT_GT(*std::min_element(w.begin(), w.end()), 0.0F);
  EXPECT_EQ(std::max_element(w.begin(), w.end()) - w.begin(), 175);
  for (int i = 0; i < 176; ++i)
    EXPECT_EQ(w[static_cast<std::size_t>(i)], w[static_cast<std::size_t>(351 - i)]);
  EXPECT_LT(w[0], 1e-5F * w[2]);
  api::tile_weights(a, 0, 1.5, 0, 352, w.data());
  EXPECT_GT(w[0], 1e-4F);  // the picture's own edge is no such place
  // A Gaussian of eight deviations a side: exp(-(175.5 / 44)^2 / 2), exp(-(43.5 / 44)^2 / 2).
  EXPECT_NEAR(w[0], 3.509e-4, 1e-6);
  EXPECT_NEAR(w[132], 0.61346, 1e-4);
}

TEST(Tiles, AConstantNetworkIsConstant) {
  const SyntheticBackend network({{0, 0, 0, 0.7F}, {0, 0, 0, -3.25F}});
  for (const int tile : {64, 40, 100, 151}) {
    const Image picture = test::picture(301, 173, 3);
    const Outcome got = run(network, 2, picture, {.tile = tile});
    EXPECT_GT(got.tiles, 1u);
    const std::size_t half = got.logits.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      ASSERT_NEAR(got.logits[i], 0.7, 1e-6);
      ASSERT_NEAR(got.logits[half + i], -3.25, 3e-6);
    }
  }
}

TEST(Tiles, ALinearNetworkIsLinear) {
  const SyntheticBackend network({{1.0F / 255, -0.5F / 255, 0, 0.1F}});
  const auto want = [](int step, int x, int y) { return (step * x - 0.5 * step * y) / 255 + 0.1; };
  // A tile's pixels are the network's.
  const Image plain = ramp(256, 190, 1);
  for (const double overlap : {0.0, 0.1, 0.25, 0.5, 0.8}) {
    const Outcome got = run(network, 1, plain, {.overlap = overlap});
    for (int y = 0; y < 190; ++y)
      for (int x = 0; x < 256; ++x)
        ASSERT_NEAR(got.logits[static_cast<std::size_t>(y * 256 + x)], want(1, x, y), 1e-6) << x << "," << y;
  }
  // Two of its pixels are one of the network's; as without tiles, half of those are missing at the edge.
  const Image coarse = ramp(128, 128, 2);
  const Outcome got = run(network, 1, coarse, {.input = 32, .tile = 64});
  EXPECT_EQ(got.tiles, 9u);
  for (int y = 3; y < 125; ++y)
    for (int x = 3; x < 125; ++x)
      ASSERT_NEAR(got.logits[static_cast<std::size_t>(y * 128 + x)], want(2, x, y), 1e-6) << x << "," << y;
}

// Of a network whose input is no square, tiles are none either; with a turned variant and another scale.
TEST(Tiles, NeedNotBeSquare) {
  const SyntheticBackend network({{1.0F / 255, -0.5F / 255, 0, 0.1F}});
  const auto expect_linear = [](const std::vector<float>& got, int step, int edge) {
    for (int y = edge; y < 120 - edge; ++y)
      for (int x = edge; x < 250 - edge; ++x)
        ASSERT_NEAR(got[static_cast<std::size_t>(y * 250 + x)], (step * x - 0.5 * step * y) / 255 + 0.1, 3e-6)
            << x << "," << y;
  };
  const Image picture = ramp(250, 120, 1);
  for (const Turn turn : {Turn::none, Turn::quarter, Turn::mirror_x, Turn::mirror_y}) {
    for (const auto& [input, tile] : {std::pair{InputSize::of(96, 32), std::pair(96, 32)},
                                      std::pair{InputSize::of(32, 64), std::pair(32, 64)}}) {
      // Tiles are the network's size: pixels are not mixed.
      expect_linear(blended(network, picture, input, tile, 0.25, {api::Variant{turn, 1.0}}), 1, 0);
    }
  }
  EXPECT_EQ(network.inputs.front(), std::pair(96, 32));
  EXPECT_TRUE(std::count(network.inputs.begin(), network.inputs.end(), std::pair(32, 96)) > 0);  // turned
}

// What a tile's outermost pixels saw only in part counts for nothing where another tile saw all of it: of a
// network that adds up neighbours, a blended edge is the plain one.
TEST(Tiles, EdgesThatSawTooLittleDoNotCount) {
  const SyntheticBackend network({{0.01F, 0.004F, -0.007F, 0.2F}}, 1);
  const Image picture = test::picture(150, 90, 3);
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{96, 64}, {64, 96}}) {
    const std::vector<float> got = blended(network, picture, InputSize::of(w, h), {w, h}, 0.25);
    for (int y = 1; y < 89; ++y)
      for (int x = 1; x < 149; ++x) {
        double want = 0.2;
        for (int j = -1; j <= 1; ++j)
          for (int i = -1; i <= 1; ++i) {
            const std::uint8_t* p = picture.row(y + j) + 3 * (x + i);
            want += (0.01 * p[0] + 0.004 * p[1] - 0.007 * p[2]) / 9;
          }
        ASSERT_NEAR(got[static_cast<std::size_t>(y * 150 + x)], want, 1e-5) << x << "," << y;
      }
  }
}

// Two pixels of a tile are one of the network's, which sees its neighbours: what it saw black beside the tile
// counts for nothing, as far as that reaches in either direction.
TEST(Tiles, TheMarginIsAsWideAsTheNetworksPixels) {
  const SyntheticBackend network({{1.0F / 255, -0.5F / 255, 0, 0.1F}}, 1);
  const Image picture = ramp(128, 120, 2);
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{96, 32}, {32, 96}}) {
    const std::vector<float> got = blended(network, picture, InputSize::of(w / 2, h / 2), {w, h}, 0.5);
    for (int y = 5; y < 115; ++y)
      for (int x = 5; x < 123; ++x)
        ASSERT_NEAR(got[static_cast<std::size_t>(y * 128 + x)], (2 * x - y) / 255.0 + 0.1, 2e-5)
            << w << "x" << h << " at " << x << "," << y;
  }
}

// Each variant is blended from its own tiles. (Alone, the larger scale has the narrower margin.)
TEST(Tiles, OfVariantsAreTheirMean) {
  const SyntheticBackend network({{0.01F, 0.004F, -0.007F, 0.2F}, {0, 0.01F, 0, 1}}, 1);
  const Image picture = test::picture(150, 110, 3);
  const Case c{.input = 32, .tile = 50};
  const std::vector<api::Variant> variants = api::variants_of({.quarter_turn = true, .scales = {2.0}});
  ASSERT_EQ(variants.size(), 3u);
  std::vector<double> want(2 * 150 * 110);
  for (const api::Variant& v : variants) {
    const auto one = run(network, 2, picture, c, {v}).logits;
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += one[i] / 3.0;
  }
  const auto got = run(network, 2, picture, c, variants).logits;
  for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-3) << i;
}

TEST(Tiles, ReachingOutsideSeesTheMirrorImage) {
  const SyntheticBackend network({{0.01F, 0.02F, -0.01F, 0.5F}});
  for (const auto& [w, h] :
       std::vector<std::pair<int, int>>{{200, 20}, {20, 200}, {131, 1}, {1, 131}, {300, 63}}) {
    const Image picture = test::picture(w, h, 3);
    const Outcome got = run(network, 1, picture, {});
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const std::uint8_t* p = picture.row(y) + x * 3;
        ASSERT_NEAR(got.logits[static_cast<std::size_t>(y * w + x)],
                    0.01 * p[0] + 0.02 * p[1] - 0.01 * p[2] + 0.5, 3e-6);
      }
  }
  Image own;
  const Image row = ramp(4, 1, 1);
  const ImageView tile = api::tile_of(row, -5, -1, 16, 3, own);
  const std::array<int, 16> want{1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2};
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 16; ++x) EXPECT_EQ(tile.row(y)[x * 3], want[static_cast<std::size_t>(x)]) << x;
  // Over each of the four edges by one; within them it is the picture's own.
  const Image picture = test::picture(6, 5, 3);
  for (const auto& [left, top] : {std::pair(-1, 1), {1, 1}, {3, 1}, {1, -1}, {1, 2}, {2, 1}, {0, 0}}) {
    const ImageView part = api::tile_of(picture, left, top, 4, 4, own);
    const bool is_inside = left >= 0 && left <= 2 && top >= 0 && top <= 1;
    EXPECT_EQ(part.data == picture.row(std::max(top, 0)) + std::ptrdiff_t{3} * left, is_inside);
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 4; ++x) {
        const auto within = [](int i, int length) {
          return i < 0 ? -i : i < length ? i : 2 * length - 2 - i;
        };
        EXPECT_EQ(part.row(y)[x * 3], picture.row(within(top + y, 5))[within(left + x, 6) * 3])
            << left << top;
      }
  }
}

// Of a network that sees 5 x 5 pixels and black outside, so that where tiles lie matters.
TEST(Tiles, TurnedPicturesGiveTurnedResults) {
  const SyntheticBackend network({{0.01F, 0.004F, -0.007F, 0.2F}}, 2);
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{112, 208}, {160, 64}, {150, 97}}) {
    const Image picture = test::picture(w, h, 3);
    const Outcome want = run(network, 1, picture, {});
    const int width = picture.width;
    const auto at = [&](int x, int y) { return want.logits[static_cast<std::size_t>(y * width + x)]; };
    // 1 to 8 as EXIF has them: all mirrored and turned ones.
    for (int orientation = 2; orientation <= 8; ++orientation) {
      const Image turned = apply_orientation(picture, orientation);
      const Outcome got = run(network, 1, turned, {});
      // Where each pixel went is told by a picture of its number.
      Image number(w, h, 3);
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          number.row(y)[x * 3] = static_cast<std::uint8_t>(x);
          number.row(y)[x * 3 + 1] = static_cast<std::uint8_t>(y);
        }
      number = apply_orientation(number, orientation);
      for (int y = 0; y < turned.height; ++y)
        for (int x = 0; x < turned.width; ++x) {
          const std::uint8_t* n = number.row(y) + x * 3;
          ASSERT_NEAR(got.logits[static_cast<std::size_t>(y * turned.width + x)], at(n[0], n[1]), 1e-6)
              << "orientation " << orientation << " at " << x << "," << y;
        }
    }
  }
}

TEST(Tiles, TheWholePictureIsBlendedIn) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}, {0, 0.01F, 0, 1}}, 1);
  const Image picture = test::picture(150, 90, 3);
  const auto tiles = run(network, 2, picture, {.input = 32}).logits;
  const auto whole = run(network, 2, picture, {.input = 32, .context = 1.0}).logits;
  const auto mixed = run(network, 2, picture, {.input = 32, .context = 0.25}).logits;
  EXPECT_NE(tiles, whole);
  for (std::size_t i = 0; i < tiles.size(); ++i)
    ASSERT_NEAR(mixed[i], 0.75 * tiles[i] + 0.25 * whole[i], 1e-5);
  // At a weight of 1 nothing of the tiles is left.
  api::Passes passes(network,
                     {InputSize::square(32), Fit::squash, PillowVersion::v12, {api::Variant{}}, 1, 2});
  const api::VariantLogits logits = passes.run(std::vector<ImageView>{picture}).front();
  std::vector<float> plain(tiles.size());
  api::finish_rows(logits[0].view(), api::Activation::none, 0, 90, 1, plain.data());
  EXPECT_EQ(whole, plain);
}

// Memory is what is counted: the logits that are kept. What was dropped is computed again, to the same bits.
TEST(Tiles, KeepNoMoreThanTheBudget) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}, {0, 0.01F, 0, 1}, {0, 0, 0.01F, 0.5F}}, 1);
  const Image picture = test::picture(700, 500, 3);
  const Case plenty{.input = 32, .tile = 48};
  const Outcome want = run(network, 3, picture, plenty);
  EXPECT_EQ(want.computed, want.tiles);
  constexpr std::size_t kTile = 32 * 32 * 3 * sizeof(float);
  EXPECT_LE(want.peak, 3 * 20 * kTile);  // two rows of tiles, and what comes next
  for (const std::size_t tiles : {0, 1, 4, 7, 25, 60}) {
    Case c = plenty;
    c.budget = tiles * kTile;
    const Outcome got = run(network, 3, picture, c);
    EXPECT_EQ(got.logits, want.logits);
    EXPECT_LE(got.peak, std::max(c.budget, kTile));
    if (tiles >= 4) {
      EXPECT_LE(got.computed, 3 * got.tiles) << tiles;  // alone, and with each neighbouring row
    }
    if (tiles >= 60) {
      EXPECT_EQ(got.computed, got.tiles);
    }
  }
}

// Bands are of 8 MB where the rows of tiles are kept, of 64 where each band may cost some tiles again.
TEST(Tiles, BandsAreBoundedToo) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}});
  const Image picture = test::picture(900, 20000, 1);
  for (const std::size_t budget : {std::size_t{0}, std::size_t{1} << 30}) {
    api::Passes passes(network,
                       {InputSize::square(32), Fit::squash, PillowVersion::v12, {api::Variant{}}, 1, 1});
    MergeOptions options;
    options.tile = {300, 300};
    options.budget = budget;
    const api::Merged merged(picture, passes, options);
    for (const std::size_t row :
         {std::size_t{1}, std::size_t{3600}, std::size_t{9} << 20, std::size_t{1} << 30}) {
      const auto rows = static_cast<std::size_t>(merged.band_rows(row));
      EXPECT_GE(rows, 1u);
      EXPECT_LE(rows, 20000u);
      EXPECT_TRUE(rows == 1 || rows * row <= (budget == 0 ? std::size_t{32} << 20 : std::size_t{8} << 20));
    }
  }
}

// As many rows as go into 8 MB where the rows of tiles are kept, into 32 where not; one at least, and no more
// than there are.
TEST(Tiles, BandsAreAsLargeAsTheyMayBe) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}});
  const Image picture = test::picture(900, 20000, 1);
  for (const auto& [budget, want] : std::vector<std::pair<std::size_t, std::vector<int>>>{
           {0, {20000, 20000, 9320, 3, 1}}, {std::size_t{1} << 30, {20000, 20000, 2330, 1, 1}}}) {
    api::Passes passes(network,
                       {InputSize::square(32), Fit::squash, PillowVersion::v12, {api::Variant{}}, 1, 1});
    MergeOptions options;
    options.tile = {300, 300};
    options.budget = budget;
    const api::Merged merged(picture, passes, options);
    std::vector<int> rows;
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, std::size_t{3600}, std::size_t{9} << 20, std::size_t{1} << 30})
      rows.push_back(merged.band_rows(bytes));
    EXPECT_EQ(rows, want) << budget;
  }
  // 4 tiles in a row and 2 rows at once: what they take is just kept, and a byte less is not.
  api::Passes passes(network,
                     {InputSize::square(32), Fit::squash, PillowVersion::v12, {api::Variant{}}, 1, 1});
  MergeOptions options;
  options.tile = {300, 300};
  options.overlap = 0.25;
  const auto columns = static_cast<std::size_t>(api::make_tile_axis(900, 300, 0.25).count());
  ASSERT_EQ(columns, 4u);
  options.budget = 2 * columns * 32 * 32 * sizeof(float);
  EXPECT_EQ(api::Merged(picture, passes, options).band_rows(3600), 2330);
  --options.budget;
  EXPECT_EQ(api::Merged(picture, passes, options).band_rows(3600), 9320);
}

// Tiles that are computed twice are counted once, and a step is of as many as the network sees at once.
TEST(Tiles, ProgressEndsAtTheirNumber) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}}, 1);
  const Image picture = test::picture(300, 200, 3);
  for (const std::size_t budget : {std::size_t{0}, std::size_t{1} << 30}) {
    std::vector<std::size_t> steps;
    std::size_t total = 0;
    api::Passes passes(network, {InputSize::square(32), Fit::squash, PillowVersion::v12,
                                 api::variants_of({.mirror_x = true, .mirror_y = true}), 7, 1});
    MergeOptions options;
    options.tile = {48, 48};
    options.overlap = 0.25;
    options.budget = budget;
    options.progress = [&](std::size_t done, std::size_t of) {
      steps.push_back(done);
      total = of;
    };
    api::Merged merged(picture, passes, options);
    std::vector<float> out(300 * 200);
    merged.finish(0, 200, {out.data(), 300 * 200, nullptr, nullptr});
    EXPECT_EQ(steps.back(), total);
    EXPECT_EQ(total, 48u);  // 8 x 6
    EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
    for (std::size_t i = 1; i < steps.size(); ++i)
      EXPECT_LE(steps[i] - steps[i - 1], 2u);  // of three variants
  }
}

TEST(Tiles, DependOnNeitherBandsNorThreadsNorBatches) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}, {0, 0.01F, 0, 1}}, 1);
  const Image picture = test::picture(333, 257, 3);
  const auto variants = api::variants_of({.mirror_x = true, .quarter_turn = true, .scales = {1.5}});
  const Outcome want = run(network, 2, picture, {.input = 32, .tile = 80}, variants);
  for (const Case& c :
       {Case{.input = 32, .tile = 80, .band = 1}, Case{.input = 32, .tile = 80, .threads = 3, .band = 50},
        Case{.input = 32, .tile = 80, .batch = 3}, Case{.input = 32, .tile = 80, .batch = 16, .band = 7}}) {
    const Outcome got = run(network, 2, picture, c, variants);
    EXPECT_EQ(got.logits, want.logits);
    EXPECT_EQ(got.computed, got.tiles);
  }
}

TEST(Tiles, HaveTheShapeOfTheInput) {
  using Size = std::pair<int, int>;
  const InputSize square = InputSize::square(352), wide = InputSize::of(640, 320);
  EXPECT_EQ(api::tile_size({.side = 500}, 9000, 9000, square), Size(500, 500));
  EXPECT_EQ(api::tile_size({.side = 500}, 9000, 9000, wide), Size(500, 250));
  EXPECT_EQ(api::tile_size({.side = 501}, 9000, 9000, InputSize::of(352, 224)), Size(501, 319));  // 318.8
  EXPECT_EQ(api::tile_size({.side = 501}, 9000, 9000, InputSize::of(224, 352)), Size(319, 501));
  EXPECT_EQ(api::tile_size({.side = 32}, 9000, 9000, square), Size(32, 32));
  EXPECT_EQ(api::tile_size({.side = 1 << 24}, 9000, 9000, square), Size(1 << 24, 1 << 24));
  EXPECT_EQ(api::tile_size({}, 12000, 9000, square), Size(6000, 6000));
  EXPECT_EQ(api::tile_size({}, 1001, 300, square), Size(501, 501));
  EXPECT_EQ(api::tile_size({}, 500, 300, square), Size(352, 352));
  for (const TileOptions& wrong :
       {TileOptions{.side = 31}, TileOptions{.side = -1}, TileOptions{.overlap = -0.1},
        TileOptions{.overlap = 0.95}, TileOptions{.overlap = NAN}, TileOptions{.context = 1.5},
        TileOptions{.context = NAN}})
    EXPECT_THROW(api::tile_size(wrong, 1000, 1000, square), UsageError);
}

}  // namespace
}  // namespace sam2unet
