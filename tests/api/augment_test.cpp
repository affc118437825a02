// Test-time augmentation: every variant undone exactly, averaged as probabilities.
#include "api/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api/merge.h"
#include "api/synthetic_backend.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/pictures.h"

namespace sam2unet {
namespace {

using api::Placement;
using api::Turn;
using api::Variant;
using test::SyntheticBackend;

constexpr Turn kTurns[] = {Turn::none, Turn::mirror_x, Turn::mirror_y, Turn::quarter};

const SyntheticBackend& red_and_green() {
  static const SyntheticBackend network({{1, 0, 0, 0}, {0, 1, 0, 0}});
  return network;
}

// A turn and its inverse, without any resizing: the logits are the picture's red and green.
TEST(Augmentation, EachTurnAndItsInverseAreTheIdentity) {
  for (const auto& [w, h] :
       std::vector<std::pair<int, int>>{{37, 23}, {1, 1}, {1, 9}, {8, 1}, {64, 33}, {31, 31}})
    for (const int channels : {1, 3, 4}) {
      const Image picture = test::picture(w, h, channels);
      for (const Turn turn : kTurns) {
        api::Passes passes(
            red_and_green(),
            {InputSize::of(w, h), Fit::squash, PillowVersion::v12, {Variant{turn, 1.0}}, 1, 2});
        const api::OwnedLogits got = passes.run(std::vector<ImageView>{picture}).front().front();
        EXPECT_EQ(got.placement.picture_width, w);
        EXPECT_EQ(got.placement.picture_height, h);
        EXPECT_EQ(got.placement.input, InputSize::of(w, h));
        EXPECT_TRUE(got.placement.fills());
        ASSERT_EQ(got.values.size(), static_cast<std::size_t>(w * h * 2));
        for (int y = 0; y < h; ++y)
          for (int x = 0; x < w; ++x) {
            const std::uint8_t* p = picture.row(y) + x * channels;
            ASSERT_EQ(got.values[static_cast<std::size_t>(y * w + x)], p[0]);
            ASSERT_EQ(got.values[static_cast<std::size_t>((h + y) * w + x)], p[channels == 1 ? 0 : 1]);
          }
      }
    }
}

// What lies to the left lies to the right, and so on: the turns do something.
TEST(Augmentation, TurnsAreWhatTheyAreCalled) {
  const Image picture = test::picture(5, 3, 3);
  api::Preparer preparer;
  for (const Turn turn : kTurns) {
    const bool quarter = turn == Turn::quarter;
    const int w = quarter ? 3 : 5, h = quarter ? 5 : 3;
    Image out;
    preparer.prepare(picture, api::place(w, h, InputSize::of(w, h), Fit::squash), PillowVersion::v12, out,
                     turn);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const auto [px, py] = turn == Turn::mirror_x   ? std::pair(4 - x, y)
                              : turn == Turn::mirror_y ? std::pair(x, 2 - y)
                              : quarter                ? std::pair(4 - y, x)
                                                       : std::pair(x, y);
        EXPECT_TRUE(std::equal(out.row(y) + x * 3, out.row(y) + x * 3 + 3, picture.row(py) + px * 3));
      }
  }
}

TEST(Augmentation, ATurnDoesNotMoveThePadding) {
  const Image picture = test::picture(60, 33, 3);  // in 64 x 64: 64 x 35, 14 rows above and 15 below
  api::Preparer preparer;
  const auto padding_of = [&](Turn turn) {
    const bool quarter = turn == Turn::quarter;
    const Placement p =
        api::place(quarter ? 33 : 60, quarter ? 60 : 33, InputSize::square(64), Fit::letterbox);
    Image out;
    preparer.prepare(picture, p, PillowVersion::v12, out, turn);
    std::vector<bool> padding;
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x) {
        const std::uint8_t* at = quarter ? out.row(x) + y * 3 : out.row(y) + x * 3;
        padding.push_back(at[0] == 124 && at[1] == 116 && at[2] == 104);
      }
    return padding;
  };
  const auto want = padding_of(Turn::none);
  EXPECT_EQ(std::count(want.begin(), want.end(), true), 29 * 64);
  for (const Turn turn : kTurns) EXPECT_EQ(padding_of(turn), want);
}

// A network without a sense of direction: each variant is the plain one, but for Pillow's rounding of
// turned passes.
TEST(Augmentation, LetterboxedTurnsComeBackToTheirPlace) {
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{120, 67}, {41, 99}, {99, 41}, {64, 64}}) {
    const Image picture = test::picture(w, h, 3);
    api::Passes plain(red_and_green(),
                      {InputSize::square(64), Fit::letterbox, PillowVersion::v12, {Variant{}}, 1, 2});
    const auto want = plain.run(std::vector<ImageView>{picture}).front().front();
    std::vector<float> want_rows(static_cast<std::size_t>(w * h * 2)), got_rows(want_rows);
    api::finish_rows(want.view(), api::Activation::none, 0, h, 1, want_rows.data());
    for (const Turn turn : kTurns) {
      api::Passes passes(
          red_and_green(),
          {InputSize::square(64), Fit::letterbox, PillowVersion::v12, {Variant{turn, 1.0}}, 1, 2});
      const auto got = passes.run(std::vector<ImageView>{picture}).front().front();
      api::finish_rows(got.view(), api::Activation::none, 0, h, 1, got_rows.data());
      for (std::size_t i = 0; i < got_rows.size(); ++i)
        ASSERT_NEAR(got_rows[i], want_rows[i], turn == Turn::quarter ? 1.001 : 1e-3) << w << "x" << h;
    }
  }
}

std::vector<float> merged(const SyntheticBackend& network, const Image& picture,
                          std::vector<Variant> variants, api::Activation activation) {
  api::Passes passes(network,
                     {InputSize::square(32), Fit::squash, PillowVersion::v12, std::move(variants), 1, 1});
  api::MergeOptions options;
  options.tile = {picture.width, picture.height};
  options.activation = activation;
  api::Merged all(picture, passes, options);
  std::vector<float> out(static_cast<std::size_t>(picture.width * picture.height));
  all.finish(0, picture.height, {out.data(), static_cast<std::int64_t>(out.size()), nullptr, nullptr});
  return out;
}

TEST(Augmentation, TheMeanOfTwoEqualMapsIsThatMap) {
  const SyntheticBackend network({{0.01F, -0.02F, 0.015F, 0.3F}});
  const Image picture = test::picture(45, 31, 3);
  const auto one = merged(network, picture, {Variant{}}, api::Activation::sigmoid);
  EXPECT_EQ(merged(network, picture, {Variant{}, Variant{}}, api::Activation::sigmoid), one);
}

TEST(Augmentation, ProbabilitiesAreAveragedNotLogits) {
  const SyntheticBackend network({{0.01F, -0.02F, 0.015F, 0.3F}}, 1);
  const Image picture = test::picture(45, 31, 3);
  const std::vector<Variant> variants =
      api::variants_of({.mirror_x = true, .mirror_y = true, .quarter_turn = true, .scales = {2.0}});
  ASSERT_EQ(variants.size(), 5u);
  std::vector<double> want(45 * 31);
  for (const Variant& v : variants) {
    const auto one = merged(network, picture, {v}, api::Activation::sigmoid);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += one[i] / 5.0;
  }
  const auto got = merged(network, picture, variants, api::Activation::sigmoid);
  for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6);
}

TEST(Augmentation, ScalesAreMultiplesOf32AndTurnsLieAsThePicture) {
  const InputSize size = InputSize::of(352, 224);
  EXPECT_EQ(api::input_of({Turn::none, 0.75}, size), InputSize::of(256, 160));
  EXPECT_EQ(api::input_of({Turn::none, 1.25}, size), InputSize::of(448, 288));
  EXPECT_EQ(api::input_of({Turn::none, 0.25}, InputSize::square(32)), InputSize::square(32));
  EXPECT_EQ(api::input_of({Turn::quarter, 1.0}, size), InputSize::of(224, 352));
  EXPECT_EQ(api::input_of({Turn::mirror_x, 1.0}, size), size);
}

TEST(Augmentation, BatchesAreOfOneSize) {
  const SyntheticBackend network({{0.01F, 0, 0, 0}});
  const auto variants =
      api::variants_of({.mirror_x = true, .mirror_y = true, .quarter_turn = true, .scales = {0.5, 2.0}});
  const std::vector<Image> pictures{test::picture(30, 40, 3), test::picture(50, 20, 3)};
  const std::vector<ImageView> views(pictures.begin(), pictures.end());
  api::Passes one(network, {InputSize::square(64), Fit::squash, PillowVersion::v12, variants, 1, 1});
  api::Passes many(network, {InputSize::square(64), Fit::squash, PillowVersion::v12, variants, 5, 1});
  const auto want = one.run(views);
  EXPECT_EQ(network.inputs.size(), 12u);
  network.inputs.clear();
  const auto got = many.run(views);
  EXPECT_EQ(network.inputs.size(), 4u);  // 2 of 32, 5 and 3 of 64, 2 of 128
  for (std::size_t i = 0; i < want.size(); ++i)
    for (std::size_t v = 0; v < variants.size(); ++v) EXPECT_EQ(got[i][v].values, want[i][v].values);
}

TEST(Augmentation, IsReadAsItIsWritten) {
  EXPECT_TRUE(parse_augmentation("").empty());
  const Augmentation all = parse_augmentation("hflip,vflip,rot90,scale=0.75:1.25");
  EXPECT_EQ(all, (Augmentation{true, true, true, {0.75, 1.25}}));
  EXPECT_EQ(parse_augmentation("scale=2:3:4:0.25:0.6:0.7:0.8:0.9").scales.size(),
            8u);  // as many as there may be
  EXPECT_EQ(parse_augmentation("scale=2,rot90"), (Augmentation{false, false, true, {2.0}}));
  for (const auto& [text, says] : std::vector<std::pair<const char*, const char*>>{
           {"hflip,hflip", "twice"},
           {"flip", "hflip, vflip, rot90"},
           {"hflip,", "unknown augmentation ''"},
           {"scale=", "not a number"},
           {"scale=x", "not a number"},
           {"scale=nan", "not a number"},
           {"scale=0.75:", "not a number"},
           {"scale=0.1", "must be 0.25 to 4"},
           {"scale=5", "must be"},
           {"scale=1", "as it is"},
           {"scale=0.5:0.5", "twice"},
           {"scale=0.5,scale=2", "twice"},
           {"scale=2:3:4:0.5:0.6:0.7:0.8:0.9:1.1", "at most 8"}}) {
    const std::string message = test::message_of<UsageError>([&, t = text] { parse_augmentation(t); });
    EXPECT_NE(message.find(says), std::string::npos) << text << ": " << message;
  }
  EXPECT_THROW(api::variants_of({.scales = {NAN}}), UsageError);
}

}  // namespace
}  // namespace sam2unet
