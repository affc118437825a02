#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"

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

TEST(Config, RefusalsNameTheFieldAndItsRange) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"embed_dim": 4097})", "embed_dim 4097 is not in 1..4096"},
      {R"({"embed_dim": 96, "num_heads": 5})", "num_heads 5 does not divide embed_dim 96"},
      {R"({"stages": [1, 257, 1, 1]})", "a stage of 257 blocks is not in 1..256"},
      {R"({"global_att_blocks": [3, -2]})", "global_att_blocks names block -2"},
      {R"({"window_spec": [8, 4, 14, 1025]})", "window_spec 1025 is not in 1..1024"},
      {R"({"window_pos_embed_bkg_spatial_size": [7, 0]})",
       "window_pos_embed_bkg_spatial_size 0 is not in 1..1024"},
      {R"({"out_channels": 256})", "out_channels 256 is not in 1..255"},
      {R"({"adapter_width": 0})", "adapter_width 0 is not in 1..4096"},
      {R"({"decoder_width": 1025})", "decoder_width 1025 is not in 1..1024"},
      {R"({"q_pool": 2})", "q_pool 2 is not supported; the decoder needs 3"},
      {R"({"q_stride": [4, 4]})", "q_stride [4,4] is not supported, only 2"},
      {R"({"dim_mul": 1.5})", "dim_mul 1.5 is not supported, only 2.0"},
      {R"({"head_mul": 3})", "head_mul 3 is not supported, only 2.0"},
      {R"({"window_spec": [7, 4, 14, 7]})", "pools queries in windows of odd side 7"}};
  for (const auto& [text, why] : cases) {
    EXPECT_THAT(test::message_of<WeightsError>([&, t = text] { Config::from_json(t); }),
                testing::AllOf(testing::StartsWith("network configuration: "), testing::HasSubstr(why)));
  }
  EXPECT_THAT(test::message_of<FormatError>([] { Config::from_json("[1"); }),
              testing::StartsWith("network configuration: not the JSON object expected ("));
  EXPECT_EQ(test::message_of<UsageError>([] { Config::of_variant("xl"); }),
            "unknown variant 'xl'; use t, s, b+ or l");
  EXPECT_EQ(test::message_of<UsageError>([] { parse_neck("fpn"); }), "unknown neck 'fpn'; use rfb or 1x1");
}

// What is written into files, word for word: other programs read it.
TEST(Config, IsWrittenUnderTheReferencesNames) {
  EXPECT_EQ(Config::of_variant("t").to_json(),
            R"({"embed_dim":96,"global_att_blocks":[5,7,9],"num_heads":1,"q_pool":3,"stages":[1,2,7,2],)"
            R"("window_pos_embed_bkg_spatial_size":[7,7],"window_spec":[8,4,14,7]})");
  Config fork = Config::of_variant("b+");
  fork.out_channels = 4;
  fork.adapter_width = 72;
  fork.decoder_width = 128;
  fork.neck = NeckKind::pointwise;
  fork.calls_up4 = true;
  EXPECT_EQ(
      fork.to_json(),
      R"({"adapter_width":72,"decoder_width":128,"embed_dim":112,"global_att_blocks":[12,16,20],"neck":"1x1",)"
      R"("num_heads":2,"out_channels":4,"q_pool":3,"stages":[2,3,16,3],"up4":true,)"
      R"("window_pos_embed_bkg_spatial_size":[14,14],"window_spec":[8,4,14,7]})");
  EXPECT_THAT(
      differences_from_original(fork),
      testing::ElementsAre("output channels 4 instead of 1", "adapter width 72 instead of 32",
                           "decoder width 128 instead of 64", "1x1 convolutions instead of RFB blocks",
                           "up4 is called, on the first stage's skip upsampled"));
  EXPECT_EQ(fork.stage_dims(), (std::array{112, 224, 448, 896}));
  EXPECT_EQ(fork.depth(), 24);
}

// Hiera's constructor (hieradet.py:169) and the paper's widths.
TEST(Config, DefaultsAreTheReferences) {
  EXPECT_EQ(Config().to_json(),
            R"({"embed_dim":96,"global_att_blocks":[12,16,20],"num_heads":1,"q_pool":3,"stages":[2,3,16,3],)"
            R"("window_pos_embed_bkg_spatial_size":[14,14],"window_spec":[8,4,14,7]})");
  EXPECT_EQ(Config().out_channels, 1);
  EXPECT_EQ(Config().adapter_width, 32);
  EXPECT_EQ(Config().decoder_width, 64);
  EXPECT_EQ(Config().neck, NeckKind::rfb);
  EXPECT_FALSE(Config().calls_up4);
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
  const auto says = [&](int h, int w) { return test::message_of<UsageError>([&] { c.check_input(h, w); }); };
  EXPECT_EQ(
      says(111, 112),
      "input size 111x112: both sides must be multiples of 32, from 32 to 8192; try 96x128");  // the nearest
  EXPECT_EQ(says(112, 111),
            "input size 112x111: both sides must be multiples of 32, from 32 to 8192; try 128x96");
  EXPECT_EQ(says(8224, 31),
            "input size 8224x31: both sides must be multiples of 32, from 32 to 8192; try 8192x32");
  // Each side for itself, one that is a multiple of 32 too.
  for (const int wrong : {-32, 0, 16, 33, 350, 8224, 1 << 20}) {
    for (const auto& [h, w] : {std::pair{wrong, 352}, {352, wrong}})
      EXPECT_THAT(says(h, w), testing::HasSubstr("both sides must be multiples of 32, from 32 to 8192"))
          << h << "x" << w;
  }
  EXPECT_EQ(says(8192, 32), "");
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
