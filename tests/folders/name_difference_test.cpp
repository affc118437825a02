// What is said, word for word, of names that do not pair, and what is proposed.
#include "data/name_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sam2unet::data {
namespace {

using Names = std::set<std::string>;

// "text | first prefix, first suffix, second prefix, second suffix"
std::string said(const Names& first, const Names& second) {
  const NameDifference d = find_difference(first, second);
  return d.text + " | " + d.first.prefix + "," + d.first.suffix + "," + d.second.prefix + "," +
         d.second.suffix;
}

TEST(NameDifference, AnAffixOfOneSide) {
  EXPECT_EQ(said({"x"}, {"x_mask"}),
            "the second ones all end in \"_mask\": give that suffix, or rename them without it | ,,,_mask");
  EXPECT_EQ(said({"x_rgb", "y_rgb"}, {"x", "y"}),
            "the first ones all end in \"_rgb\": give that suffix, or rename them without it | ,_rgb,,");
  EXPECT_EQ(said({"x", "y"}, {"gt_x", "gt_y"}),
            "the second ones all begin with \"gt_\": give that prefix, or rename them without it | ,,gt_,");
  EXPECT_EQ(said({"im_x", "im_y"}, {"x", "y"}),
            "the first ones all begin with \"im_\": give that prefix, or rename them without it | im_,,,");
  // "1" stands at the start of "10_m" and "11_m" too, but "_m" is what most have.
  EXPECT_THAT(said({"1", "10", "11"}, {"1_m", "10_m", "11_m"}), testing::HasSubstr(" | ,,,_m"));
  // As many have either: the shorter one.
  EXPECT_THAT(said({"a", "b"}, {"a_gt", "b_gt", "a_other", "b_other"}), testing::HasSubstr(" | ,,,_gt"));
}

TEST(NameDifference, AnAffixOfTheStemsInTheirFolders) {
  EXPECT_THAT(said({"s/1", "t/2"}, {"s/1_gt", "t/2_gt"}), testing::HasSubstr(" | ,,,_gt"));
  EXPECT_THAT(said({"s/1", "t/2"}, {"s/gt_1", "t/gt_2"}), testing::HasSubstr(" | ,,gt_,"));
  EXPECT_THAT(said({"s/a", "s/b"}, {"t/a_gt", "t/b_gt"}), testing::HasSubstr("check that the folders"));
}

TEST(NameDifference, HalfOfTheNamesAreEnough) {
  EXPECT_THAT(said({"1", "2", "p", "q"}, {"1_m", "2_m", "x", "y"}), testing::HasSubstr(" | ,,,_m"));
  EXPECT_THAT(said({"1", "2", "p"}, {"1_m", "x", "y"}), testing::HasSubstr(" | ,,,"));
  EXPECT_EQ(said({"1", "p", "q"}, {"1_m", "x", "y"}),
            "files pair by name without extension: rename one side, or check that the folders belong "
            "together | ,,,");
  // Of the smaller side.
  EXPECT_THAT(said({"1", "2", "3", "4", "5", "6"}, {"1_m", "z"}), testing::HasSubstr(" | ,,,_m"));
}

TEST(NameDifference, AnAffixOfEachSide) {
  EXPECT_EQ(
      said({"im1", "im2"}, {"gt1", "gt2"}),
      "the first ones all begin with \"im\", the second ones begin with \"gt\": give both, or rename them "
      "without it | im,,gt,");
  EXPECT_EQ(said({"1_a", "2_a"}, {"1_b", "2_b"}),
            "the first ones all end in \"_a\", the second ones end in \"_b\": give both, or rename them "
            "without it | "
            ",_a,,_b");
  // Digits that all share belong to the numbers.
  EXPECT_THAT(said({"img_11", "img_12"}, {"m11", "m12"}), testing::HasSubstr(" | img_,,m,"));
  EXPECT_THAT(said({"img_1001", "img_1002"}, {"m1001", "m1002"}), testing::HasSubstr(" | img_,,m,"));
  EXPECT_THAT(said({"11_a", "21_a"}, {"11_b", "21_b"}), testing::HasSubstr(" | ,_a,,_b"));
  EXPECT_THAT(said({"s/im1", "s/im2"}, {"s/gt1", "s/gt2"}), testing::HasSubstr(" | im,,gt,"));
  // Half of them must pair then, and of a single name everything is common.
  EXPECT_THAT(said({"im1", "im2", "im3"}, {"gt1", "gt8", "gt9"}),
              testing::HasSubstr("check that the folders"));
  EXPECT_THAT(said({"im1"}, {"gt1"}), testing::HasSubstr("check that the folders"));
  EXPECT_THAT(said({"im1"}, {"gt1", "gt2"}), testing::HasSubstr("check that the folders"));
}

TEST(NameDifference, CapitalsAndLeadingZeros) {
  const std::string capitals =
                        "they differ in upper and lower case, which is kept apart: rename one side | ,,,",
                    zeros = "they differ in leading zeros: rename one side | ,,,";
  EXPECT_EQ(said({"One", "x"}, {"oNE", "y"}), capitals);
  EXPECT_EQ(said({"one"}, {"ONE"}), capitals);
  EXPECT_EQ(said({"7", "x"}, {"007", "y"}), zeros);
  EXPECT_EQ(said({"a0"}, {"a000"}), zeros);
  EXPECT_EQ(said({"x1y02z"}, {"x001y2z"}), zeros);
  EXPECT_EQ(said({"10_5"}, {"010_05"}), zeros);
  // A zero within a number or behind it is none of these.
  EXPECT_THAT(said({"105"}, {"15_"}), testing::HasSubstr("check that the folders"));
  EXPECT_THAT(said({"100"}, {"001"}), testing::HasSubstr("check that the folders"));
}

// Half of the smaller side, rounded up.
TEST(NameDifference, AffixesOfBothSidesFitHalfOfThem) {
  const std::string both =
      "the first ones all begin with \"img_\", the second ones begin with \"mask_\": give both, or rename "
      "them without it | img_,,mask_,";
  EXPECT_EQ(said({"img_a", "img_b", "img_c", "img_d"}, {"mask_a", "mask_b", "mask_x", "mask_y"}), both);
  EXPECT_THAT(said({"img_a", "img_b", "img_c", "img_d"}, {"mask_a", "mask_w", "mask_x", "mask_y"}),
              testing::HasSubstr("check that the folders"));
  EXPECT_EQ(said({"img_a", "img_b", "img_c"}, {"mask_a", "mask_b", "mask_x"}), both);
  EXPECT_THAT(said({"img_a", "img_b", "img_c"}, {"mask_a", "mask_w", "mask_x"}),
              testing::HasSubstr("check that the folders"));
}

}  // namespace
}  // namespace sam2unet::data
