#include "sam2unet/draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <tuple>

#include "sam2unet/errors.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

Image mask_of(std::initializer_list<const char*> rows) {
  Image m(static_cast<int>(std::string_view(*rows.begin()).size()), static_cast<int>(rows.size()), 1);
  int y = 0;
  for (const char* row : rows) {
    for (int x = 0; x < m.width; ++x) m.row(y)[x] = row[x] == '#' ? 255 : 0;
    ++y;
  }
  return m;
}

double area(const Ring& ring) {
  double sum = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Point a = ring[i];
    const Point b = ring[(i + 1) % ring.size()];
    sum += static_cast<double>(a.x) * b.y - static_cast<double>(b.x) * a.y;
  }
  return sum / 2;
}

// Even-odd rule at pixel centres, over all rings of all polygons.
Image fill(const std::vector<Polygon>& polygons, int width, int height) {
  Image out(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      bool in = false;
      const auto cross = [&](const Ring& ring) {
        for (std::size_t i = 0; i < ring.size(); ++i) {
          const Point a = ring[i];
          const Point b = ring[(i + 1) % ring.size()];
          if ((a.y > y) != (b.y > y)) {
            const double at = a.x + (y + 0.5 - a.y) / static_cast<double>(b.y - a.y) * (b.x - a.x);
            if (at > x + 0.5) in = !in;
          }
        }
      };
      for (const Polygon& p : polygons) {
        cross(p.outer);
        for (const Ring& hole : p.holes) cross(hole);
      }
      out.row(y)[x] = in ? 255 : 0;
    }
  }
  return out;
}

// Parts that share a side, counted by flooding.
int count_parts(const Image& mask) {
  std::vector<bool> seen(mask.pixels.size(), false);
  int parts = 0;
  for (std::size_t s = 0; s < seen.size(); ++s) {
    if (seen[s] || mask.pixels[s] < 128) continue;
    ++parts;
    std::vector<std::size_t> open = {s};
    seen[s] = true;
    while (!open.empty()) {
      const auto i = open.back();
      open.pop_back();
      const int x = static_cast<int>(i) % mask.width;
      const int y = static_cast<int>(i) / mask.width;
      for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
        const int nx = x + dx;
        const int ny = y + dy;
        if (nx < 0 || ny < 0 || nx >= mask.width || ny >= mask.height) continue;
        const auto j = static_cast<std::size_t>(ny) * static_cast<std::size_t>(mask.width) +
                       static_cast<std::size_t>(nx);
        if (!seen[j] && mask.pixels[j] >= 128) {
          seen[j] = true;
          open.push_back(j);
        }
      }
    }
  }
  return parts;
}

TEST(Polygons, OfASinglePixel) {
  const auto p = mask_polygons(mask_of({"...", ".#.", "..."}));
  ASSERT_EQ(p.size(), 1u);
  EXPECT_EQ(p[0].outer, (Ring{{2, 1}, {2, 2}, {1, 2}, {1, 1}}));
  EXPECT_TRUE(p[0].holes.empty());
  EXPECT_EQ(area(p[0].outer), 1.0);
}

TEST(Polygons, AHoleRunsTheOtherWay) {
  const auto p = mask_polygons(mask_of({"###", "#.#", "###"}));
  ASSERT_EQ(p.size(), 1u);
  EXPECT_EQ(area(p[0].outer), 9.0);
  ASSERT_EQ(p[0].holes.size(), 1u);
  EXPECT_EQ(area(p[0].holes[0]), -1.0);
}

TEST(Polygons, AnIslandInAHoleIsItsOwn) {
  const auto p = mask_polygons(mask_of({"#####", "#...#", "#.#.#", "#...#", "#####"}));
  ASSERT_EQ(p.size(), 2u);
  EXPECT_EQ(p[0].holes.size(), 1u);
  EXPECT_EQ(area(p[1].outer), 1.0);
}

TEST(Polygons, CornersDoNotConnect) {
  EXPECT_EQ(mask_polygons(mask_of({"#.", ".#"})).size(), 2u);
  EXPECT_EQ(mask_polygons(mask_of({".#", "#."})).size(), 2u);
}

TEST(Polygons, EncloseExactlyTheMask) {
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 40}, {40, 1}, {31, 17}, {64, 64}}) {
    for (const int level : {60, 128, 200}) {  // sparse, half, dense
      Image mask = test::picture(w, h, 1);
      for (std::uint8_t& v : mask.pixels) v = v < level ? 255 : 0;
      const auto polygons = mask_polygons(mask);
      EXPECT_EQ(fill(polygons, w, h).pixels, mask.pixels) << w << "x" << h << " " << level;
      EXPECT_EQ(static_cast<int>(polygons.size()), count_parts(mask));
      double total = 0;
      for (const Polygon& p : polygons) {
        EXPECT_GT(area(p.outer), 0.0);
        total += area(p.outer);
        for (const Ring& hole : p.holes) {
          EXPECT_LT(area(hole), 0.0);
          total += area(hole);
        }
      }
      EXPECT_EQ(total, static_cast<double>(std::count(mask.pixels.begin(), mask.pixels.end(), 255)));
    }
  }
}

TEST(Polygons, SimplifiedStayNear) {
  Image mask(200, 200, 1);
  for (int y = 0; y < 200; ++y) {
    for (int x = 0; x < 200; ++x) mask.row(y)[x] = std::hypot(x - 100, y - 100) < 80 ? 255 : 0;
  }
  const auto exact = mask_polygons(mask);
  const auto rough = mask_polygons(mask, 1.0);
  ASSERT_EQ(rough.size(), 1u);
  EXPECT_LT(rough[0].outer.size() * 4, exact[0].outer.size());
  EXPECT_NEAR(area(rough[0].outer), area(exact[0].outer), 0.02 * area(exact[0].outer));
  EXPECT_GE(mask_polygons(mask, 1e9)[0].outer.size(), 3u);
}

// What is left out lies within the tolerance of the line between the corners before and behind it that are
// kept: of piles of rectangles, which have long edges and spikes in every order.
TEST(Polygons, WhatIsLeftOutIsNear) {
  std::uint32_t state = 7;
  const auto below = [&](std::uint32_t n) {
    return static_cast<int>((state = state * 1664525 + 1013904223) >> 8) % static_cast<int>(n);
  };
  for (int round = 0; round < 40; ++round) {
    Image mask(60, 50, 1);
    for (int k = 0; k < 12; ++k) {
      const int x = below(50), y = below(40), w = 1 + below(10), h = 1 + below(10);
      for (int row = y; row < y + h; ++row) std::fill_n(mask.row(row) + x, w, std::uint8_t{255});
    }
    const double tolerance = 0.5 + 0.5 * (round % 6);
    const auto exact = mask_polygons(mask), rough = mask_polygons(mask, tolerance);
    ASSERT_EQ(exact.size(), rough.size());
    for (std::size_t p = 0; p < exact.size(); ++p) {
      const Ring &all = exact[p].outer, &kept = rough[p].outer;
      std::vector<std::size_t> at;  // of the kept corners among all
      for (std::size_t i = 0, k = 0; i < all.size() && k < kept.size(); ++i) {
        if (all[i].x == kept[k].x && all[i].y == kept[k].y) at.push_back(i), ++k;
      }
      ASSERT_EQ(at.size(), kept.size());
      for (std::size_t k = 0; k < at.size(); ++k) {
        const Point a = kept[k], b = kept[(k + 1) % kept.size()];
        const std::size_t end = k + 1 < at.size() ? at[k + 1] : at[0] + all.size();
        for (std::size_t i = at[k] + 1; i < end; ++i) {
          const Point c = all[i % all.size()];
          const double dx = b.x - a.x, dy = b.y - a.y;
          const double distance = std::abs(dx * (c.y - a.y) - dy * (c.x - a.x)) / std::hypot(dx, dy);
          EXPECT_LE(distance, tolerance + 1e-9) << round << " polygon " << p << " corner " << i;
        }
      }
    }
  }
}

// A bump of one pixel on a long line.
TEST(Polygons, CornersOnTheToleranceAreLeftOut) {
  Image mask(60, 9, 1);
  for (int y = 0; y < 8; ++y) std::fill_n(mask.row(y), 60, std::uint8_t{255});
  std::fill_n(mask.row(8) + 20, 20, std::uint8_t{255});
  EXPECT_EQ(mask_polygons(mask)[0].outer.size(), 8u);
  for (const double tolerance : {0.5, 1.0, 1.5}) {
    const auto ring = mask_polygons(mask, tolerance)[0].outer;
    const bool has_bump = std::any_of(ring.begin(), ring.end(), [](Point p) { return p.y == 9; });
    EXPECT_EQ(has_bump, tolerance < 1.0) << tolerance;
  }
  // What would be a line stays as it is.
  EXPECT_EQ(mask_polygons(mask_of({"..#", "###"}), 5.0)[0].outer.size(), 6u);
}

TEST(Polygons, AMaskBeginsAt128) {
  Image mask(4, 1, 1);
  mask.pixels = {127, 128, 255, 1};
  const auto polygons = mask_polygons(mask);
  ASSERT_EQ(polygons.size(), 1u);
  EXPECT_EQ(area(polygons[0].outer), 2.0);
  for (const Point p : polygons[0].outer) EXPECT_TRUE(p.x == 1 || p.x == 3) << p.x;
}

TEST(Polygons, OfAnEmptyMaskAreNone) {
  EXPECT_TRUE(mask_polygons(mask_of({"...", "..."})).empty());
  EXPECT_TRUE(mask_polygons(ImageView{nullptr, 0, 0, 1, 0}).empty());
  EXPECT_THROW(mask_polygons(test::picture(3, 3, 3)), UsageError);
}

TEST(Summary, MeasuresTheMask) {
  const std::vector<float> map = {0.1F, 0.9F, 0.5F,  //
                                  0.2F, 0.7F, 0.4F,  //
                                  0.0F, 0.0F, 0.49F};
  const MaskSummary s = summarize_map(map, 3, 3, 0.5);
  EXPECT_EQ(s.area, 3);
  EXPECT_EQ(s.box.x, 1);
  EXPECT_EQ(s.box.y, 0);
  EXPECT_EQ(s.box.width, 2);
  EXPECT_EQ(s.box.height, 2);
  EXPECT_NEAR(s.mean_confidence, 0.7, 1e-7);
  EXPECT_EQ(threshold_map(map, 3, 3).pixels, (std::vector<std::uint8_t>{0, 255, 255, 0, 255, 0, 0, 0, 0}));
  const MaskSummary none = summarize_map(map, 3, 3, 0.95);
  EXPECT_EQ(none.area, 0);
  EXPECT_EQ(none.box.width, 0);
  EXPECT_EQ(none.mean_confidence, 0.0);
  EXPECT_THROW(summarize_map(map, 3, 2), UsageError);
}

TEST(Summary, AProbabilityThatIsTheThresholdIsInside) {
  const std::vector<float> map{0.25F, 0.5F, 0.75F};
  EXPECT_EQ(threshold_map(map, 3, 1, 0.5).pixels, (std::vector<std::uint8_t>{0, 255, 255}));
  EXPECT_EQ(summarize_map(map, 3, 1, 0.5).area, 2);
}

TEST(Overlay, TintsInsideOnly) {
  Image picture = test::picture(9, 9, 3);
  Image mask(9, 9, 1);
  for (int y = 3; y < 9; ++y) std::fill(mask.row(y) + 3, mask.row(y) + 9, std::uint8_t{255});
  const Image out = draw_overlay(picture, mask, {.color = {0, 255, 0}, .opacity = 0.5, .outline = 1});
  EXPECT_TRUE(std::equal(out.row(0), out.row(3), picture.row(0)));
  const auto at = [](const Image& i, int x, int y) { return i.row(y) + x * 3; };
  EXPECT_EQ(at(out, 3, 5)[1], 255);  // outline
  EXPECT_EQ(at(out, 3, 5)[0], 0);
  for (int c = 0; c < 3; ++c) {  // inside, and at the picture's edge, which is no outline
    EXPECT_EQ(at(out, 5, 5)[c], (at(picture, 5, 5)[c] + (c == 1 ? 255 : 0) + 1) / 2);
    EXPECT_EQ(at(out, 8, 8)[c], (at(picture, 8, 8)[c] + (c == 1 ? 255 : 0) + 1) / 2);
  }
  const Image gray = convert_color(picture, ColorMode::gray);
  EXPECT_EQ(draw_overlay(gray, mask, {.opacity = 0.0, .outline = 0}).pixels,
            convert_color(gray, ColorMode::rgb).pixels);
  EXPECT_THROW(draw_overlay(picture, Image(9, 8, 1)), UsageError);
  EXPECT_THROW(draw_overlay(picture, mask, {.opacity = 2.0}), UsageError);
  EXPECT_THROW(draw_overlay(picture, picture), UsageError);
}

// Where all is inside there is no line, at none of the four edges.
TEST(Overlay, TheEdgeOfThePictureIsNoOutline) {
  const Image black(6, 5, 3);
  Image mask(6, 5, 1);
  std::fill(mask.pixels.begin(), mask.pixels.end(), std::uint8_t{255});
  const OverlayOptions how{.color = {200, 0, 0}, .opacity = 0.0, .outline = 1};
  EXPECT_EQ(draw_overlay(black, mask, how).pixels, black.pixels);
}

// About a pixel of the mask; what cannot lie evenly lies to the right and below.
TEST(Overlay, OutlinesAreAsThickAsAsked) {
  const Image black(9, 9, 3);
  Image mask(9, 9, 1);
  mask.row(4)[4] = 255;
  for (int thickness = 1; thickness <= 5; ++thickness) {
    const Image out = draw_overlay(black, mask, {.color = {200, 0, 0}, .opacity = 0.0, .outline = thickness});
    const int first = 4 - (thickness - 1) / 2, last = 4 + thickness / 2;
    for (int y = 0; y < 9; ++y) {
      for (int x = 0; x < 9; ++x) {
        const bool painted = x >= first && x <= last && y >= first && y <= last;
        EXPECT_EQ(out.row(y)[3 * x], painted ? 200 : 0) << thickness << " at " << x << "," << y;
      }
    }
  }
}

// Of the shorter side, one pixel for 300.
TEST(Overlay, OutlinesSuitTheSize) {
  for (const auto& [w, h, thickness] : std::vector<std::tuple<int, int, int>>{
           {900, 40, 1}, {40, 900, 1}, {460, 449, 1}, {460, 450, 2}, {450, 460, 2}, {1, 1, 1}}) {
    const Image picture = test::picture(w, h, 3);
    Image mask(w, h, 1);
    for (int y = 0; y < h; ++y) std::fill_n(mask.row(y), (w + 1) / 2, std::uint8_t{255});
    EXPECT_EQ(draw_overlay(picture, mask).pixels, draw_overlay(picture, mask, {.outline = thickness}).pixels)
        << w << "x" << h;
  }
}

TEST(Overlay, OfGrayAndRgbaIsThatOfTheirColours) {
  Image mask(30, 20, 1);
  for (int y = 5; y < 15; ++y) std::fill_n(mask.row(y) + 5, 20, std::uint8_t{255});
  for (const int channels : {1, 4}) {
    const Image picture = test::picture(30, 20, channels);
    EXPECT_EQ(draw_overlay(picture, mask).pixels,
              draw_overlay(convert_color(picture, ColorMode::rgb), mask).pixels);
  }
}

TEST(CutOut, AlphaOfSomeRowsIsMultiplied) {
  Image rgba(3, 4, 4);
  std::fill(rgba.pixels.begin(), rgba.pixels.end(), std::uint8_t{200});
  Image alpha(3, 2, 1);
  alpha.pixels = {0, 51, 255, 255, 102, 0};
  multiply_alpha(rgba, 1, alpha);
  std::vector<int> got;
  for (std::size_t i = 3; i < rgba.pixels.size(); i += 4) got.push_back(rgba.pixels[i]);
  EXPECT_EQ(got, (std::vector<int>{200, 200, 200, 0, 40, 200, 200, 80, 0, 200, 200, 200}));
  EXPECT_EQ(rgba.pixels[0], 200);
  EXPECT_THROW(multiply_alpha(rgba, 3, alpha), UsageError);  // one row too many
  EXPECT_THROW(multiply_alpha(rgba, -1, alpha), UsageError);
  EXPECT_THROW(multiply_alpha(rgba, 0, Image(2, 2, 1)), UsageError);
  EXPECT_THROW(multiply_alpha(rgba, 0, Image(3, 2, 3)), UsageError);
  Image rgb(3, 4, 3);
  EXPECT_THROW(multiply_alpha(rgb, 0, alpha), UsageError);
  EXPECT_NO_THROW(multiply_alpha(rgba, 2, alpha));
}

TEST(CutOut, OfGrayHasItsLevelInEveryColour) {
  Image gray(2, 1, 1), alpha(2, 1, 1);
  gray.pixels = {7, 200};
  alpha.pixels = {255, 9};
  EXPECT_EQ(cut_out(gray, alpha, {.clean_edges = false}).pixels,
            (std::vector<std::uint8_t>{7, 7, 7, 255, 200, 200, 200, 9}));
}

// What a mask is begins at 128, also in the file of one.
TEST(EncodedMask, IsBlackOrWhite) {
  Image mask(4, 1, 1);
  mask.pixels = {0, 127, 128, 255};
  EXPECT_EQ(decode_image(encode_mask_png(mask), {.mode = ColorMode::gray}).pixels,
            (std::vector<std::uint8_t>{0, 0, 255, 255}));
  EXPECT_THROW(encode_mask_png(Image(4, 1, 3)), UsageError);
}

TEST(CutOut, KeepsColoursAndTakesAlpha) {
  const Image picture = test::picture(5, 4, 3);
  const Image alpha = test::picture(5, 4, 1);
  const Image out = cut_out(picture, alpha, {.clean_edges = false});
  ASSERT_EQ(out.channels, 4);
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(out.pixels[i * 4 + c], picture.pixels[i * 3 + c]);
    EXPECT_EQ(out.pixels[i * 4 + 3], alpha.pixels[i]);
  }
}

TEST(CutOut, AlphaIsThePicturesTimesTheMaps) {
  Image picture = test::picture(16, 8, 4);
  Image alpha(16, 8, 1);
  for (std::size_t i = 0; i < alpha.pixels.size(); ++i) alpha.pixels[i] = static_cast<std::uint8_t>(2 * i);
  const Image out = cut_out(picture, alpha);
  for (std::size_t i = 0; i < alpha.pixels.size(); ++i) {
    const double want = picture.pixels[4 * i + 3] * (alpha.pixels[i] / 255.0);
    EXPECT_NEAR(out.pixels[4 * i + 3], want, 0.5001);
  }
}

// A blue square on red whose edge mixes both: the cut-out is blue all over, and red is nowhere in the file.
TEST(CutOut, CleanEdgesHoldNothingOfTheBackground) {
  constexpr int kSide = 80;
  Image picture(kSide, kSide, 3), alpha(kSide, kSide, 1);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int inside = std::min({x - 20, y - 20, 60 - x, 60 - y});  // soft over four pixels
      const int a = std::clamp(inside * 64 + 128, 0, 255);
      alpha.row(y)[x] = static_cast<std::uint8_t>(a);
      picture.row(y)[3 * x] = static_cast<std::uint8_t>(255 - a);
      picture.row(y)[3 * x + 2] = static_cast<std::uint8_t>(a);
    }
  }
  const Image out = cut_out(picture, alpha);
  const Image plain = cut_out(picture, alpha, {.clean_edges = false});
  int soft = 0;
  for (std::size_t i = 0; i < alpha.pixels.size(); ++i) {
    const std::uint8_t* p = &out.pixels[4 * i];
    EXPECT_EQ(p[3], alpha.pixels[i]);
    if (p[3] == 0) {
      EXPECT_TRUE(p[0] == 0 && p[1] == 0 && p[2] == 0);
      EXPECT_EQ(plain.pixels[4 * i], 255);  // as it stood in the picture
    } else {
      EXPECT_LE(p[0], 12) << "alpha " << int{p[3]};
      EXPECT_GE(p[2], 243) << "alpha " << int{p[3]};
      soft += p[3] != 255 ? 1 : 0;
    }
    const bool same = std::equal(p, p + 3, &picture.pixels[3 * i]);
    EXPECT_TRUE(p[3] != 255 || same);
  }
  EXPECT_GT(soft, 400);
}

// Drawn in bands, a picture of more than one band is the same file.
TEST(Overlay, EncodedInBandsIsTheWhole) {
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{1100, 2700}, {37, 23}, {1, 1}}) {
    const Image picture = test::picture(w, h, 3);
    Image mask(w, h, 1);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) mask.row(y)[x] = (x / 50 + y / 70) % 2 == 0 ? 255 : 0;
    for (const int outline : {-1, 0}) {
      const OverlayOptions how{.outline = outline};
      EXPECT_EQ(encode_overlay_png(picture, mask, how), encode_png(draw_overlay(picture, mask, how)))
          << w << "x" << h << ", outline " << outline;
    }
  }
  EXPECT_THROW(encode_overlay_png(Image(3, 3, 3), Image(2, 3, 1)), UsageError);
}

// Sums over a square of 2 r + 1 pixels by an integral image.
std::vector<double> box_sums(const std::vector<double>& plane, int width, int height, int r) {
  const auto at = [&](int x, int y) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width + 1) + static_cast<std::size_t>(x);
  };
  std::vector<double> all(at(0, height + 1), 0.0), out(plane.size());
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      all[at(x + 1, y + 1)] = plane[static_cast<std::size_t>(y * width + x)] + all[at(x, y + 1)] +
                              all[at(x + 1, y)] - all[at(x, y)];
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int x0 = std::max(x - r, 0), x1 = std::min(x + r + 1, width);
      const int y0 = std::max(y - r, 0), y1 = std::min(y + r + 1, height);
      out[static_cast<std::size_t>(y * width + x)] =
          all[at(x1, y1)] - all[at(x0, y1)] - all[at(x1, y0)] + all[at(x0, y0)];
    }
  }
  return out;
}

// The first colour of a clean cut-out, by the formulas of the paper on whole planes.
std::vector<double> cleaned_red(const Image& rgba) {
  const std::size_t n = rgba.pixels.size() / 4;
  std::vector<double> f(n), b(n), wf(n), wb(n), a(n);
  for (std::size_t i = 0; i < n; ++i) {
    a[i] = rgba.pixels[4 * i + 3] / 255.0;
    f[i] = b[i] = rgba.pixels[4 * i];
    wf[i] = std::pow(a[i], 4);
    wb[i] = std::pow(1 - a[i], 4);
  }
  const int side = std::max(rgba.width, rgba.height);
  for (const int r : {std::max(2, side * 90 / 1000), std::max(1, side * 15 / 1000)}) {
    const auto sums = [&](std::vector<double> of, const std::vector<double>& weights) {
      for (std::size_t i = 0; i < n; ++i) of[i] *= weights[i];
      return box_sums(of, rgba.width, rgba.height, r);
    };
    const std::vector<double> one(n, 1.0), ff = sums(f, wf), bb = sums(b, wb), sf = sums(one, wf),
                                           sb = sums(one, wb);
    for (std::size_t i = 0; i < n; ++i) {
      const double level = rgba.pixels[4 * i], mf = sf[i] > 1e-4 ? ff[i] / sf[i] : level;
      const double mb = sb[i] > 1e-4 ? bb[i] / sb[i] : level;
      f[i] = std::clamp(mf + a[i] * (level - a[i] * mf - (1 - a[i]) * mb), 0.0, 255.0);
      b[i] = std::clamp(mb, 0.0, 255.0);
    }
  }
  return f;
}

// Of few pixels the squares have sides of five and of three.
TEST(CutOut, SmallPicturesAreCleanedToo) {
  const Image picture = test::picture(14, 11, 3);
  Image alpha(14, 11, 1);
  for (int y = 0; y < 11; ++y)
    for (int x = 0; x < 14; ++x)
      alpha.row(y)[x] = static_cast<std::uint8_t>(std::clamp(1 + 36 * (x - 3), 0, 254));
  alpha.row(5)[7] = 1;
  alpha.row(6)[7] = 254;
  const Image plain = cut_out(picture, alpha, {.clean_edges = false}), clean = cut_out(picture, alpha);
  const std::vector<double> want = cleaned_red(plain);
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(clean.pixels[4 * i], plain.pixels[4 * i + 3] == 0 ? 0.0 : want[i], 0.51) << i;
}

// So wide that rows that leave the sums are made again, and so narrow that they are kept.
TEST(CutOut, RowByRowIsThePlanesFormula) {
  for (const int width : {1800, 90}) {
    const int height = 400;
    const Image picture = test::picture(width, height, 3);
    Image alpha(width, height, 1);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        alpha.row(y)[x] = static_cast<std::uint8_t>(std::clamp(
            128.0 + 2.0 * (0.3 * width - std::hypot(x - 0.4 * width, 2.0 * (y - 180))), 0.0, 255.0));
    const Image plain = cut_out(picture, alpha, {.clean_edges = false}), clean = cut_out(picture, alpha);
    const std::vector<double> want = cleaned_red(plain);
    std::size_t soft = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      const int a = plain.pixels[4 * i + 3];
      const double level = a == 0 ? 0.0 : a == 255 ? plain.pixels[4 * i] : want[i];
      ASSERT_NEAR(clean.pixels[4 * i], level, 0.51) << i;
      soft += a > 0 && a < 255 ? 1 : 0;
    }
    EXPECT_GT(soft, 1000u);
    std::vector<std::byte> png;
    write_cutout_png(plain, {}, {}, [&](auto bytes) { png.insert(png.end(), bytes.begin(), bytes.end()); });
    EXPECT_EQ(png, encode_png(clean));
  }
}

}  // namespace
}  // namespace sam2unet
