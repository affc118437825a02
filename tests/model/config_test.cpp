#include "model/config.h"

#include <gtest/gtest.h>

#include "sam2unet/errors.h"

namespace sam2unet::model {
namespace {

TEST(Config, WindowsLagABlockBehindTheStage) {
  const auto blocks = Config::of_variant("t").blocks();  // stages 1,2,7,2; windows 8,4,14,7; global 5,7,9
  ASSERT_EQ(blocks.size(), 12u);
  const int windows[] = {8, 8, 4, 4, 14, 0, 14, 0, 14, 0, 14, 7};
  const int pools[] = {1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1};
  const int dims[] = {96, 192, 192, 384, 384, 384, 384, 384, 384, 384, 768, 768};
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i].attention.window, windows[i]) << i;
    EXPECT_EQ(blocks[i].attention.q_pool, pools[i]) << i;
    EXPECT_EQ(blocks[i].dim_out, dims[i]) << i;
    EXPECT_EQ(blocks[i].attention.heads, dims[i] / 96) << i;
    EXPECT_EQ(blocks[i].ends_stage, i == 0 || i == 2 || i == 9 || i == 11) << i;
  }
}

TEST(Config, JsonRoundTripAndDefaults) {
  for (const char* v : {"t", "s", "b+", "l"}) {
    const Config c = Config::of_variant(v);
    EXPECT_EQ(Config::from_json(c.to_json()), c);
    EXPECT_EQ(variant_name(c), v);
  }
  EXPECT_EQ(variant_name(Config::from_json(R"({"embed_dim": 112, "num_heads": 2})")), "b+");
  EXPECT_EQ(variant_name(Config::from_json(R"({"embed_dim": 16})")), "custom");
}

TEST(Config, RefusesWhatCannotBeMeant) {
  EXPECT_THROW(Config::from_json("[1"), FormatError);
  EXPECT_THROW(Config::from_json(R"({"embed_dim": "big"})"), FormatError);
  EXPECT_THROW(Config::from_json(R"({"embed_dim": 0})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"num_heads": 5})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"stages": [1, 1, 1, 1000000]})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"global_att_blocks": [-1]})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"q_stride": [4, 4]})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"dim_mul": 1.5})"), WeightsError);
  EXPECT_THROW(Config::from_json(R"({"window_spec": [7, 4, 14, 7]})"),
               WeightsError);  // pools in an odd window
  EXPECT_THROW(Config::of_variant("xl"), UsageError);
}

TEST(Config, MeansWhatTheReferenceMeans) {
  // hieradet.py's default for absent global blocks is 12, 16, 20 for any depth; those beyond it name none.
  const auto shallow = Config::from_json(R"({"stages": [1, 1, 1, 1]})");
  EXPECT_EQ(shallow.global_att_blocks, (std::vector{12, 16, 20}));
  for (const auto& b : shallow.blocks()) EXPECT_GT(b.attention.window, 0);
  EXPECT_TRUE(Config::from_json(R"({"global_att_blocks": null})").global_att_blocks.empty());
  EXPECT_EQ(Config::from_json(R"({"q_stride": [2, 2], "q_pool": 3, "dim_mul": 2.0, "head_mul": 2})"),
            Config{});
}

TEST(Config, InputSizes) {
  const Config c = Config::of_variant("t");
  c.check_input(352, 352);
  c.check_input(32, 1024);
  for (const auto& [h, w] : {std::pair{0, 352}, {352, 350}, {-32, 32}, {352, 1 << 20}}) {
    EXPECT_THROW(c.check_input(h, w), UsageError);
  }
}

TEST(Config, WhatForksChangeIsReadAndWrittenOnlyWhereItDiffers) {
  const Config c = Config::from_json(
      R"({"out_channels": 4, "adapter_width": 72, "decoder_width": 128, "neck": "1x1", "up4": true})");
  EXPECT_EQ(c.out_channels, 4);
  EXPECT_EQ(c.adapter_width, 72);
  EXPECT_EQ(c.decoder_width, 128);
  EXPECT_EQ(c.neck, NeckKind::pointwise);
  EXPECT_TRUE(c.calls_up4);
  EXPECT_EQ(Config::from_json(c.to_json()), c);
  EXPECT_EQ(differences_from_original(c).size(), 5u);
  EXPECT_TRUE(same_trunk(c, Config()));
  EXPECT_EQ(variant_name(c), variant_name(Config()));
  for (const char* key : {"out_channels", "adapter_width", "decoder_width", "neck", "up4"}) {
    EXPECT_EQ(Config::of_variant("t").to_json().find(key), std::string::npos) << key;
  }
  EXPECT_TRUE(differences_from_original(Config::of_variant("l")).empty());
}

TEST(Config, WidthsThatCannotBeMeantAreRefused) {
  for (const char* text : {R"({"out_channels": 0})", R"({"out_channels": 300})", R"({"adapter_width": -1})",
                           R"({"decoder_width": 100000})"}) {
    EXPECT_THROW(Config::from_json(text), WeightsError) << text;
  }
  EXPECT_THROW(Config::from_json(R"({"neck": "fpn"})"), Error);
  EXPECT_THROW(Config::from_json(R"({"out_channels": "four"})"), FormatError);
}

}  // namespace
}  // namespace sam2unet::model
