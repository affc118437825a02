#include "sam2unet/class_draw.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/overlay_stream.h"
#include "sam2unet/region_stream.h"
#include "support/message.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Image ids_of(std::initializer_list<std::initializer_list<int>> rows) {
  Image out(static_cast<int>(rows.begin()->size()), static_cast<int>(rows.size()), 1);
  auto to = out.pixels.begin();
  for (const auto& row : rows) {
    for (const int v : row) *to++ = static_cast<std::uint8_t>(v);
  }
  return out;
}

TEST(ClassDraw, MasksOfChosenClasses) {
  const Image ids = ids_of({{0, 1, 2}, {3, 0, 255}});
  EXPECT_THAT(class_mask(ids).pixels, ElementsAre(0, 255, 255, 255, 0, 255));
  const std::vector<int> shown{1, 3};
  EXPECT_THAT(class_mask(ids, shown).pixels, ElementsAre(0, 255, 0, 255, 0, 0));
  const std::vector<int> bad{256};
  EXPECT_THROW(class_mask(ids, bad), UsageError);
  EXPECT_THROW(class_mask(Image(2, 2, 3)), UsageError);
}

TEST(ClassDraw, OverlayTintsByClassAndDrawsBorders) {
  ClassTable table = default_class_table(3);
  table.classes[1].color = {200, 100, 0};
  Image ids(9, 3, 1);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 9; ++x) ids.row(y)[x] = static_cast<std::uint8_t>(x / 3);  // 000111222
  }
  Image gray(9, 3, 1);
  std::fill(gray.pixels.begin(), gray.pixels.end(), std::uint8_t{100});
  const Image out = draw_class_overlay(gray, ids, table, {}, {.opacity = 0.5});
  const auto pixel = [&](int x) { return std::vector<int>(out.row(1) + 3 * x, out.row(1) + 3 * x + 3); };
  EXPECT_THAT(pixel(0), ElementsAre(100, 100, 100)) << "background";
  EXPECT_THAT(pixel(2), ElementsAre(100, 100, 100)) << "background has no line";
  EXPECT_THAT(pixel(3), ElementsAre(200, 100, 0)) << "line";
  EXPECT_THAT(pixel(4), ElementsAre(150, 100, 50)) << "tint";
  EXPECT_THAT(pixel(5), ElementsAre(200, 100, 0)) << "line between two classes, in each one's colour";
  EXPECT_THAT(pixel(6), ElementsAre(0, 128, 0));
  EXPECT_THAT(pixel(8), ElementsAre(50, 114, 50)) << "the picture's edge is no border";
  const std::vector<int> one{2};
  const Image only = draw_class_overlay(gray, ids, table, one, {.opacity = 0.5});
  EXPECT_EQ(only.row(1)[3 * 4], 100);
  EXPECT_THROW(draw_class_overlay(Image(8, 3, 3), ids, table), UsageError);
}

TEST(ClassDraw, RegionsOfClasses) {
  const Image ids = ids_of({{1, 1, 0, 1}, {0, 0, 2, 0}});
  const std::vector<float> confidence{0.5F, 0.7F, 1, 0.9F, 1, 1, 0.25F, 1};
  const std::vector<int> shown{2, 1, 3};
  const auto regions = class_regions(ids, confidence, shown);
  ASSERT_THAT(regions, SizeIs(3));
  EXPECT_EQ(regions[0].id, 2);
  EXPECT_EQ(regions[0].summary.area, 1);
  EXPECT_EQ(regions[0].summary.mean_confidence, 0.25);
  EXPECT_THAT(regions[0].polygons[0].outer, ElementsAre(Point{3, 1}, Point{3, 2}, Point{2, 2}, Point{2, 1}));
  EXPECT_EQ(regions[1].summary.area, 3);
  EXPECT_EQ(regions[1].summary.box.width, 4);
  EXPECT_NEAR(regions[1].summary.mean_confidence, 0.7, 1e-6);
  EXPECT_THAT(regions[1].polygons, SizeIs(2));
  EXPECT_EQ(regions[2].summary.area, 0);
  EXPECT_THAT(regions[2].polygons, SizeIs(0));
  EXPECT_THROW(class_regions(ids, std::vector<float>(3), shown), UsageError);
}

TEST(ClassDraw, InstancesAreConnectedParts) {
  // Touching classes are apart; corners do not join; a hole stays one.
  const Image ids = ids_of({{1, 1, 1, 2}, {1, 2, 1, 1}, {1, 1, 1, 0}, {0, 0, 0, 1}});
  const std::vector<float> confidence(16, 0.5F);
  const std::vector<int> shown{1, 2};
  const auto parts = class_regions(ids, confidence, shown, {.kind = RegionKind::instances});
  ASSERT_THAT(parts, SizeIs(4));
  EXPECT_EQ(parts[0].id, 1);
  EXPECT_EQ(parts[0].summary.area, 9);
  EXPECT_THAT(parts[0].polygons, SizeIs(1));
  EXPECT_THAT(parts[0].polygons[0].holes, SizeIs(1));
  EXPECT_EQ(parts[1].id, 2);
  EXPECT_EQ(parts[1].summary.box.x, 3);
  EXPECT_EQ(parts[2].id, 2);
  EXPECT_EQ(parts[2].summary.box.x, 1);
  EXPECT_EQ(parts[3].summary.area, 1);
  EXPECT_THAT(parts[3].polygons[0].outer, ElementsAre(Point{4, 3}, Point{4, 4}, Point{3, 4}, Point{3, 3}));
}

// Repeated minima over neighbours: slow, and plainly right.
TEST(ClassDraw, InstancesOfRandomMapsEqualANaiveLabelling) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    const int w = 1 + static_cast<int>(random() % 12), h = 1 + static_cast<int>(random() % 12);
    Image ids(w, h, 1);
    for (auto& v : ids.pixels) v = static_cast<std::uint8_t>(random() % 3);
    std::vector<int> label(ids.pixels.size());
    for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<int>(i);
    for (bool changed = true; changed;) {
      changed = false;
      for (int y = 0; y < h; ++y) {
        for (int x = 0; x < w; ++x) {
          for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
            const int u = x + dx, v = y + dy;
            if (u < 0 || v < 0 || u >= w || v >= h || ids.row(v)[u] != ids.row(y)[x]) continue;
            int& mine = label[static_cast<std::size_t>(y * w + x)];
            const int other = label[static_cast<std::size_t>(v * w + u)];
            if (other < mine) mine = other, changed = true;
          }
        }
      }
    }
    std::map<int, std::int64_t> areas;  // by first pixel: reading order
    for (std::size_t i = 0; i < label.size(); ++i) {
      if (ids.pixels[i] != 0) ++areas[label[i]];
    }
    const std::vector<int> shown{1, 2};
    const auto parts =
        class_regions(ids, std::vector<float>(label.size(), 1.0F), shown, {.kind = RegionKind::instances});
    ASSERT_EQ(parts.size(), areas.size());
    std::size_t at = 0;
    for (const auto& [first, area] : areas) {
      EXPECT_EQ(parts[at].summary.area, area);
      EXPECT_EQ(parts[at].id, ids.pixels[static_cast<std::size_t>(first)]);
      EXPECT_THAT(parts[at++].polygons, SizeIs(1));
    }
  }
}

TEST(ClassDraw, AnOverlayEncodedInBandsIsTheWhole) {
  const Image picture = [] {
    Image p(1500, 2600, 3);
    for (std::size_t i = 0; i < p.pixels.size(); ++i) p.pixels[i] = static_cast<std::uint8_t>(i * 31 >> 3);
    return p;
  }();
  Image ids(1500, 2600, 1);
  for (int y = 0; y < ids.height; ++y)
    for (int x = 0; x < ids.width; ++x) ids.row(y)[x] = static_cast<std::uint8_t>((x / 40 + y / 30) % 4);
  const ClassTable table = default_class_table(4);
  const std::vector<int> shown{1, 3};
  for (const int outline : {-1, 0, 2}) {
    EXPECT_EQ(encode_class_overlay_png(picture, ids, table, shown, {.outline = outline}),
              encode_png(draw_class_overlay(picture, ids, table, shown, {.outline = outline})));
  }
  EXPECT_THROW(encode_class_overlay_png(picture, Image(2, 3, 1), table), UsageError);
}

TEST(ClassRegions, AndOverlaysOfBandsAreThoseOfTheWhole) {
  const int width = 97, height = 140;
  Image ids(width, height, 1);
  std::vector<float> confidence(ids.pixels.size());
  std::uint32_t random = 7;
  for (std::size_t i = 0; i < ids.pixels.size(); ++i) {
    random = random * 1664525 + 1013904223;
    const bool is_noise = i > ids.pixels.size() / 2;  // blocks with holes above, single pixels below
    const int x = static_cast<int>(i) % width, y = static_cast<int>(i) / width;
    ids.pixels[i] = static_cast<std::uint8_t>(is_noise                   ? random >> 30
                                              : (x / 9 + y / 7) % 3 == 0 ? 1
                                              : x % 11 == 5              ? 2
                                                                         : 3);
    confidence[i] = 0.5F + static_cast<float>(random >> 9) / static_cast<float>(1 << 24);
  }
  const Image picture = test::picture(width, height, 3);
  const ClassTable table = default_class_table(4);
  const std::vector<int> shown{1, 3};
  for (const int rows : {1, 13, height}) {
    RegionStream stream(width, height, shown);
    std::vector<std::byte> png;
    OverlayStream overlay(picture, table, shown, {},
                          [&](auto bytes) { png.insert(png.end(), bytes.begin(), bytes.end()); });
    EXPECT_THROW(stream.visit(1, 0.0, [](const ClassRegion&) {}), UsageError);
    for (int y = 0; y < height; y += rows) {
      const int n = std::min(rows, height - y);
      const ImageView band(ids.row(y), width, n, 1);
      stream.add(band,
                 std::span(confidence)
                     .subspan(static_cast<std::size_t>(y) * width, static_cast<std::size_t>(n) * width));
      overlay.add(band);
    }
    overlay.finish();
    EXPECT_EQ(png, encode_png(draw_class_overlay(picture, ids, table, shown)));
    EXPECT_THROW(stream.add(ids), UsageError);
    for (const int id : shown) {
      const auto want = class_regions(ids, confidence, std::span(&id, 1), {.kind = RegionKind::instances});
      const auto outlines = class_polygons(ids, id);
      ASSERT_EQ(outlines.size(), want.size());
      std::size_t i = 0;
      stream.visit(id, 0.0, [&](const ClassRegion& part) {
        ASSERT_LT(i, want.size());
        EXPECT_EQ(part.summary.area, want[i].summary.area);
        EXPECT_EQ(part.summary.box.x, want[i].summary.box.x);
        EXPECT_EQ(part.summary.box.height, want[i].summary.box.height);
        EXPECT_EQ(part.summary.mean_confidence, want[i].summary.mean_confidence);
        EXPECT_EQ(part.polygons[0].outer, want[i].polygons[0].outer);
        EXPECT_EQ(part.polygons[0].holes, want[i].polygons[0].holes);
        EXPECT_EQ(part.polygons[0].outer, outlines[i].outer);
        ++i;
      });
      EXPECT_EQ(i, want.size());
      EXPECT_GT(i, 20u);
    }
  }
}

template <class Call>
std::string refused(const Call& call) {
  return test::message_of<UsageError>(call);
}

TEST(ClassDraw, WhatDoesNotFitIsSaid) {
  const Image ids(4, 3, 1), picture(4, 3, 3);
  const ClassTable table = default_class_table(3);
  for (const int id : {-1, 256}) {
    const std::string no_id = std::to_string(id) + " is no id of a class";
    EXPECT_EQ(refused([&] { class_mask(ids, std::span(&id, 1)); }), no_id);
    EXPECT_EQ(refused([&] { class_polygons(ids, id); }), no_id);
    EXPECT_EQ(refused([&] { RegionStream(4, 3, std::span(&id, 1)); }), no_id);
    RegionStream whole(4, 3, {});
    whole.add(ids);
    EXPECT_EQ(refused([&] { whole.visit(id, 0, [](const ClassRegion&) {}); }), no_id);
  }
  for (const int id : {0, 255}) EXPECT_EQ(refused([&] { class_mask(ids, std::span(&id, 1)); }), "");
  EXPECT_EQ(refused([&] { class_mask(picture); }),
            "ids of classes are a gray picture, not one of 3 channels and 4x3 pixels");
  EXPECT_EQ(refused([&] { class_mask(Image(4, 0, 1)); }),
            "ids of classes are a gray picture, not one of 1 channels and 4x0 pixels");
  EXPECT_EQ(refused([&] { draw_class_overlay(Image(5, 3, 3), ids, table); }),
            "ids of 4 x 3 pixels do not fit a picture of 5 x 3 with 3 channels");
  EXPECT_EQ(refused([&] { draw_class_overlay(Image(4, 2, 3), ids, table); }),
            "ids of 4 x 3 pixels do not fit a picture of 4 x 2 with 3 channels");
  EXPECT_EQ(refused([&] { draw_class_overlay(Image(4, 3, 2), ids, table); }),
            "ids of 4 x 3 pixels do not fit a picture of 4 x 3 with 2 channels");
  EXPECT_EQ(refused([&] { draw_class_overlay(picture, ids, table, {}, {.opacity = 1.25}); }),
            "an opacity lies between 0 and 1, not at 1.25");
  EXPECT_EQ(refused([&] { draw_class_overlay(picture, ids, table, {}, {.opacity = -0.5}); }),
            "an opacity lies between 0 and 1, not at -0.5");
  for (const double opacity : {0.0, 1.0})
    EXPECT_EQ(refused([&] { draw_class_overlay(picture, ids, table, {}, {.opacity = opacity}); }), "");
  EXPECT_EQ(refused([&] { class_regions(ids, std::vector<float>(11), {}); }),
            "11 values of confidence do not fit ids of 4 x 3 pixels");
}

TEST(ClassRegions, RowsThatDoNotGoOnAreSaid) {
  EXPECT_EQ(refused([] { RegionStream(0, 3, {}); }), "an empty picture has no regions");
  EXPECT_EQ(refused([] { RegionStream(3, 0, {}); }), "an empty picture has no regions");
  RegionStream stream(4, 3, {});
  stream.add(Image(4, 1, 1));
  EXPECT_EQ(refused([&] { stream.add(Image(4, 3, 1)); }),
            "3 rows of 4 pixels do not go on these regions, which have 2 of 4 left");
  EXPECT_EQ(refused([&] { stream.add(Image(5, 1, 1)); }),
            "1 rows of 5 pixels do not go on these regions, which have 2 of 4 left");
  EXPECT_EQ(refused([&] { stream.add(Image(4, 1, 1), std::vector<float>(3)); }),
            "1 rows of 4 pixels do not go on these regions, which have 2 of 4 left");
  EXPECT_EQ(refused([&] { stream.visit(1, 0, [](const ClassRegion&) {}); }),
            "2 rows of these regions are missing");
  stream.add(Image(4, 2, 1));
  EXPECT_EQ(refused([&] { stream.visit(1, 0, [](const ClassRegion&) {}); }), "");
  const Image picture(4, 3, 3);
  OverlayStream overlay(picture, OverlayOptions(), [](auto) {});
  overlay.add(Image(4, 2, 1));
  EXPECT_THAT(refused([&] { overlay.finish(); }), testing::HasSubstr(" rows are missing in this PNG"));
}

// Half a colour over gray, over RGB and over RGBA, whose alpha is no colour; lines of three pixels.
TEST(ClassDraw, OverlaysOfEveryKindOfPicture) {
  ClassTable table = default_class_table(2);
  table.classes[1].color = {200, 100, 0};
  Image ids(12, 12, 1);
  for (int y = 0; y < 12; ++y) std::fill_n(ids.row(y) + 6, 6, std::uint8_t{1});
  for (const int channels : {1, 3, 4}) {
    Image picture(12, 12, channels);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i)
      picture.pixels[i] = static_cast<std::uint8_t>(100 + 10 * (i % static_cast<std::size_t>(channels)));
    const Image out = draw_class_overlay(picture, ids, table, {}, {.opacity = 0.5, .outline = 3});
    const auto pixel = [&](int x) { return std::vector<int>(out.row(5) + 3 * x, out.row(5) + 3 * x + 3); };
    const int green = channels == 1 ? 100 : 110, blue = channels == 1 ? 100 : 120;
    EXPECT_THAT(pixel(4), ElementsAre(100, green, blue)) << channels;
    for (const int x : {5, 6, 7}) EXPECT_THAT(pixel(x), ElementsAre(200, 100, 0)) << channels;
    EXPECT_THAT(pixel(8), ElementsAre(150, (green + 100) / 2, blue / 2)) << channels;
  }
}

TEST(ClassRegions, RowsOfAStreamHaveOneChannel) {
  RegionStream stream(2, 2, std::vector<int>{0});
  EXPECT_THROW(stream.add(Image(2, 1, 3)), UsageError);
  EXPECT_THROW(stream.add(ImageView()), UsageError);
  EXPECT_NO_THROW(stream.add(Image(2, 2, 1)));
}

// What is no id is refused, whichever way the regions are made.
TEST(ClassRegions, OfWhatIsNoIdAreRefused) {
  const Image mask(2, 1, 1);
  const std::vector<float> confidence(2, 0.5F);
  for (const RegionKind kind : {RegionKind::classes, RegionKind::instances}) {
    for (const int id : {-1, 256}) {
      EXPECT_THROW(class_regions(mask, confidence, std::vector<int>{0, id}, {.kind = kind}), UsageError)
          << id;
    }
    EXPECT_THROW(class_regions(mask, std::vector<float>(3), std::vector<int>{0}, {.kind = kind}), UsageError);
    EXPECT_NO_THROW(class_regions(mask, confidence, std::vector<int>{0, 255}, {.kind = kind}));
  }
}

// Rows and columns that have the line's colour on a gray picture that is not tinted. Class 1 begins, or ends,
// at the middle; background has no line of its own.
std::vector<int> lines(bool across, bool is_first, int border, int outline) {
  ClassTable table = default_class_table(2);
  table.classes[1].color = {200, 100, 50};
  Image ids(11, 8, 1), picture(11, 8, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), std::uint8_t{9});
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 11; ++x) ids.row(y)[x] = ((across ? y : x) < border) == is_first ? 1 : 0;
  }
  const Image out = draw_class_overlay(picture, ids, table, {}, {.opacity = 0, .outline = outline});
  std::vector<int> found;
  for (int i = 0; i < (across ? 8 : 11); ++i) {
    int drawn = 0;
    for (int k = 0; k < (across ? 11 : 8); ++k) {
      const std::uint8_t* p =
          across ? out.row(i) + std::ptrdiff_t{3} * k : out.row(k) + std::ptrdiff_t{3} * i;
      const std::vector<int> rgb(p, p + 3);
      EXPECT_TRUE(rgb == std::vector<int>({200, 100, 50}) || rgb == std::vector<int>({9, 9, 9}));
      drawn += rgb[0] == 200 ? 1 : 0;
    }
    EXPECT_TRUE(drawn == 0 || drawn == (across ? 11 : 8)) << i;
    if (drawn != 0) found.push_back(i);
  }
  return found;
}

// Around the outermost row of the class, with the odd pixel behind it, and no further than the picture.
TEST(ClassDraw, LinesAreAsThickAcrossAsAlong) {
  for (const bool across : {false, true}) {
    EXPECT_THAT(lines(across, false, 4, 0), ElementsAre());
    EXPECT_THAT(lines(across, false, 4, 1), ElementsAre(4));
    EXPECT_THAT(lines(across, false, 4, 2), ElementsAre(4, 5));
    EXPECT_THAT(lines(across, false, 4, 3), ElementsAre(3, 4, 5));
    EXPECT_THAT(lines(across, false, 4, 4), ElementsAre(3, 4, 5, 6));
    EXPECT_THAT(lines(across, true, 4, 1), ElementsAre(3));
    EXPECT_THAT(lines(across, true, 4, 2), ElementsAre(3, 4));
    EXPECT_THAT(lines(across, true, 4, 5), ElementsAre(1, 2, 3, 4, 5));
    EXPECT_THAT(lines(across, true, 1, 5), ElementsAre(0, 1, 2));
    const int last = across ? 7 : 10;
    EXPECT_THAT(lines(across, false, last, 5), ElementsAre(last - 2, last - 1, last));
  }
}

// Stairs of eight steps are a slope where two pixels beside it do not matter, whichever way they are asked
// for.
TEST(ClassRegions, PolygonsAreAsCoarseAsAskedFor) {
  Image ids(10, 9, 1);
  for (int y = 0; y < 8; ++y) std::fill_n(ids.row(y), y + 1, std::uint8_t{1});
  const std::vector<float> confidence(90, 0.5F);
  const std::vector<int> shown{1};
  for (const double tolerance : {0.0, 2.0}) {
    const std::size_t corners = class_polygons(ids, 1, tolerance).at(0).outer.size();
    if (tolerance > 0) {
      EXPECT_LE(corners, 5U);
    } else {
      EXPECT_EQ(corners, 18U);  // two of each step, and the lower left one and its opposite
    }
    for (const RegionKind kind : {RegionKind::classes, RegionKind::instances}) {
      const auto regions = class_regions(ids, confidence, shown, {.kind = kind, .tolerance = tolerance});
      ASSERT_THAT(regions, SizeIs(1));
      EXPECT_EQ(regions[0].polygons.at(0).outer.size(), corners);
    }
    RegionStream stream(10, 9, shown);
    stream.add(ids);
    std::size_t seen = 0;
    stream.visit(1, tolerance, [&](const ClassRegion& r) { seen += r.polygons.at(0).outer.size(); });
    EXPECT_EQ(seen, corners);
  }
}

// The first and the last id are ids like others, and where none is asked for all but the background are.
TEST(ClassRegions, EveryIdCanBeVisited) {
  const Image ids = ids_of({{0, 255, 255}});
  const auto visited = [&](const std::vector<int>& shown, int id) {
    RegionStream stream(3, 1, shown);
    stream.add(ids);
    std::int64_t area = 0;
    stream.visit(id, 0, [&](const ClassRegion& r) {
      EXPECT_EQ(r.id, id);
      area += r.summary.area;
    });
    return area;
  };
  EXPECT_EQ(visited({0, 255}, 0), 1);
  EXPECT_EQ(visited({0, 255}, 255), 2);
  EXPECT_EQ(visited({}, 255), 2);
  EXPECT_EQ(visited({}, 7), 0);
  // Of what is not shown no parts are kept.
  EXPECT_THROW(visited({}, 0), UsageError);
  EXPECT_THROW(visited({255}, 0), UsageError);
}

}  // namespace
}  // namespace sam2unet
