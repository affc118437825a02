// What shows only in the second picture or method, in options together, and where there is nothing at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "folders.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "support/message.h"
#include "support/occurrences.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using nlohmann::json;
using test::disc;
using test::MapFolders;
using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(EvaluateCorners, OfNothingThereIsNothing) {
  const std::span<const Evaluation> none;
  const std::span<const ClassEvaluation> no_classes;
  EXPECT_EQ(to_json(none), "{}\n");
  EXPECT_EQ(to_json(no_classes), "{}\n");
  EXPECT_EQ(dataset_csv(none), "name,key,value,low,high\n");
  EXPECT_EQ(dataset_csv(no_classes), "name,class,key,value,low,high\n");
  EXPECT_EQ(images_csv(none), "method,name,width,height,empty_truth,counted,resized\n");
  EXPECT_EQ(images_csv(no_classes), "method,name,width,height,resized,ignored_pixels\n");
  for (const std::string& page : {to_html(none), to_html(no_classes)})
    EXPECT_THAT(page, AllOf(HasSubstr("<tbody></tbody>"), Not(HasSubstr("Small figures"))));
}

// A truth that is white all over, with a shape in alpha: told as such, but not as one without foreground.
TEST(EvaluateCorners, AWhiteTruthWithAShapeInAlphaIsNotDim) {
  const MapFolders f;
  Image truth(60, 40, 4);
  std::fill(truth.pixels.begin(), truth.pixels.end(), std::uint8_t{255});
  truth.pixels[3] = 0;
  f.put("a", disc(60, 40, 20, 20, 9), truth);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("keep their shape in alpha")));
  EXPECT_EQ(e.dim_truths, 0U);
  EXPECT_EQ(e.empty_truths, 0U);
}

// The brightest of the dim ones, wherever it stands; what could not be scored is none of them.
TEST(EvaluateCorners, DimTruthsThatWereScoredAreTold) {
  const MapFolders f;
  for (const auto& [name, level] : {std::pair("a", 20), {"b", 100}, {"c", 50}, {"d", 120}}) {
    Image truth = disc(30, 30, 15, 15, 5);
    for (auto& v : truth.pixels) v = v != 0 ? static_cast<std::uint8_t>(level) : 0;
    f.put(name, disc(30, 30, 15, 15, 5), truth);
  }
  f.put("e", disc(30, 30, 15, 15, 5), Image(30, 30, 1));  // black: nothing is drawn
  std::ofstream(f.pred() / "d.png") << "no picture";
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_EQ(e.dim_truths, 3U);
  EXPECT_EQ(e.empty_truths, 4U);
  EXPECT_THAT(e.warnings,
              ElementsAre(AllOf(HasSubstr("3 of 5 ground truths have no level above 128"),
                                HasSubstr("is 100: multiply them by 2.55 (a.png, b.png, c.png)"))));
}

// Deep gray is refused of maps and of truths; a picture may be what it likes.
TEST(EvaluateCorners, OnlyMapsAndTruthsMayNotBeDeep) {
  const MapFolders f;
  f.put_discs(2);
  const auto deep = test::repository_data() / "image" / "files" / "color0_16bit.png";
  std::filesystem::create_directories(f.images());
  for (const char* name : {"a.png", "b.png"}) std::filesystem::copy_file(deep, f.images() / name);
  EvaluateOptions o;
  o.pictures = f.images();
  EXPECT_THAT(evaluate(f.pred(), f.gt(), o).failures, IsEmpty());
  std::filesystem::copy_file(deep, f.gt() / "b.png", std::filesystem::copy_options::overwrite_existing);
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  ASSERT_EQ(e.failures.size(), 1U);
  EXPECT_EQ(e.failures[0].file, f.gt() / "b.png");
  EXPECT_THAT(e.failures[0].message, HasSubstr("16 bits or floating"));
  EXPECT_EQ(e.counted, 1U);
}

// Of the folder of pictures too, which is listed by itself where maps are there.
TEST(EvaluateCorners, PicturesThatAreNotReadAreSaid) {
  const MapFolders f;
  f.put_discs(1);
  std::filesystem::create_directories(f.images() / "sub");
  write_png(f.images() / "a.png", Image(60, 40, 3));
  std::ofstream(f.images() / "x.heic") << "x";
  std::ofstream(f.images() / "sub" / "y.heic") << "x";
  EvaluateOptions o;
  o.pictures = f.images();
  EXPECT_THAT(evaluate(f.pred(), f.gt(), o).warnings,
              ElementsAre(AllOf(HasSubstr("x.heic"), Not(HasSubstr("y.heic")))));
  o.recursive = true;
  EXPECT_THAT(evaluate(f.pred(), f.gt(), o).warnings, ElementsAre(HasSubstr("y.heic, x.heic")));
}

// All that were resized are counted, and the first is the example.
TEST(ClassEvaluateCorners, ResizedPredictionsAreCounted) {
  const MapFolders f;
  f.put("a", Image(3, 2, 1), Image(3, 2, 1));
  f.put("b", Image(1, 2, 1), Image(3, 2, 1));
  f.put("c", Image(6, 4, 1), Image(3, 2, 1));
  f.put("d", Image(1, 1, 1), Image(3, 2, 1));
  std::ofstream(f.gt() / "d.png") << "no picture";
  EvaluateOptions o;
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), o);
  const std::string what = "2 of 4 predictions have another size than their ground truth";
  const std::string example = "(" + (f.pred() / "b.png").string() + " is 1x2 for 3x2)";
  EXPECT_THAT(e.warnings, ElementsAre(what + " and were resized by nearest neighbour " + example));
  ASSERT_EQ(e.images.size(), 3U);
  EXPECT_FALSE(e.images[0].resized);
  EXPECT_TRUE(e.images[1].resized && e.images[2].resized);
  for (const ClassEvaluatedImage& image : e.images) {
    EXPECT_EQ(image.width, 3);
    EXPECT_EQ(image.height, 2);
  }
  const json each = json::parse(to_json(std::span(&e, 1))).at("per_image");
  EXPECT_EQ(each.at(0).at("resized"), false);
  EXPECT_EQ(each.at(2).at("resized"), true);
  o.strict = true;
  EXPECT_THAT(message_of<UsageError>([&] { evaluate_classes(f.pred(), f.gt(), default_class_table(2), o); }),
              testing::StartsWith(what + " " + example + ": predict at the pictures' own size"));
}

// What is ignored is added up over the pictures, and so is what is no class.
TEST(ClassEvaluateCorners, SumsAreOfAllPictures) {
  const MapFolders f;
  const auto ids = [](std::initializer_list<int> values) {
    Image out(static_cast<int>(values.size()), 1, 1);
    std::copy(values.begin(), values.end(), out.pixels.begin());
    return out;
  };
  f.put("a", ids({0, 1, 255, 1}), ids({0, 1, 1, 255}));
  f.put("b", ids({1, 1, 255, 0}), ids({0, 255, 1, 255}));
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2));
  EXPECT_EQ(e.ignored, 3);
  EXPECT_THAT(e.confusion, ElementsAre(1, 1, 0,  //
                                       0, 1, 2));
  EXPECT_EQ(e.classes.at(0).truth_pixels, 2);
  EXPECT_EQ(e.classes.at(1).truth_pixels, 3);
  EXPECT_EQ(e.classes.at(1).predicted_pixels, 2);
  EXPECT_EQ(e.classes.at(1).right_pixels, 1);
  EXPECT_EQ(e.images.at(1).ignored, 2);
  EXPECT_EQ(e.images.at(0).class_iou, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(e.images.at(1).class_iou, (std::vector<double>{0, 0}));
}

ClassEvaluation of_two() {
  ClassEvaluation e;
  e.name = "m";
  e.table = default_class_table(2);
  e.classes.resize(2);
  e.confusion.assign(6, 0);
  e.image_keys = class_image_keys();
  return e;
}

// From the lower to the upper end; what has none is left out.
TEST(ClassEvaluateCorners, IntervalsStandWithTheirValues) {
  ClassEvaluation e = of_two();
  e.resamples = 9;
  e.seed = 4;
  e.dataset = {{"mIoU", 0.5, 0.25, 0.75}, {"per_image.mIoU", 0.5}, {"foreground.mDice", 0.5, 0.125, 0.625}};
  e.classes[1].iou = {"IoU", 0.5, 0.375, 0.875};
  e.classes[1].recall = {"recall", 0.5, 0.0625, 0.9375};
  e.classes[1].dice.key = "Dice";
  e.classes[1].precision.key = "precision";
  const json j = json::parse(to_json(std::span(&e, 1)));
  EXPECT_EQ(j.at("classes").at("intervals"),
            json::parse(R"({"mIoU": [0.25, 0.75], "foreground": {"mDice": [0.125, 0.625]}})"));
  EXPECT_EQ(j.at("classes").at("each").at(1).at("intervals"),
            json::parse(R"({"IoU": [0.375, 0.875], "recall": [0.0625, 0.9375]})"));
  EXPECT_EQ(j.at("bootstrap"), json::parse(R"({"resamples": 9, "seed": 4, "level": 0.95})"));
  EXPECT_THAT(dataset_csv(std::span(&e, 1)),
              AllOf(HasSubstr("\nm,,mIoU,0.5,0.25,0.75\nm,,per_image.mIoU,0.5,,\n"),
                    HasSubstr("\nm,class 1,IoU,0.5,0.375,0.875\nm,class 1,Dice,,,\n"),
                    HasSubstr("\nm,class 1,recall,0.5,0.0625,0.9375\n")));
  const std::string page = to_html(std::span(&e, 1));
  EXPECT_THAT(page, HasSubstr("<td>0.500<small>0.250 &ndash; 0.750</small></td>"));
  EXPECT_THAT(page, HasSubstr("<td>0.500<small>0.375 &ndash; 0.875</small></td>"));
}

// Wherever it stands, and whatever has no value.
TEST(ClassEvaluateCorners, TheBestIsMarkedWhereverItStands) {
  for (const std::size_t best : {0U, 1U, 3U}) {
    std::vector<ClassEvaluation> all(4, of_two());
    for (std::size_t i = 0; i < 4; ++i) {
      all[i].name = "m" + std::to_string(i);
      all[i].dataset = {{"mIoU", i == best ? 0.75 : i == 2 ? std::nan("") : 0.5}};
    }
    const std::string page = to_html(all);
    EXPECT_EQ(test::occurrences(page, "class=\"best\""), 1U) << best;
    EXPECT_THAT(page,
                HasSubstr("<td>m" + std::to_string(best) + "</td><td>0</td><td class=\"best\">0.750</td>"));
    EXPECT_THAT(page, HasSubstr("<td>m2</td><td>0</td><td>&ndash;</td>"));
  }
}

// Of a letter of three bytes nothing is left where two of them, or all, fit in 18; small cells have small
// letters.
TEST(ClassEvaluateCorners, LabelsAreCutBetweenLetters) {
  ClassEvaluation e = of_two();
  e.table.classes[0].name = "sixteen letters!\xE2\x82\xAC";     // 19 bytes
  e.table.classes[1].name = "seventeen letters\xE2\x82\xAC..";  // of the letter one byte would fit
  const std::string page = to_html(std::span(&e, 1));
  EXPECT_THAT(page, HasSubstr(">sixteen letters!\xE2\x80\xA6</text>"));
  EXPECT_THAT(page, HasSubstr(">seventeen letters\xE2\x80\xA6</text>"));
  ClassEvaluation most = of_two();
  most.table = default_class_table(200);
  most.classes.resize(200);
  most.confusion.assign(200 * 201, 0);
  EXPECT_THAT(to_html(std::span(&most, 1)), HasSubstr("<text font-size=\"5.4\" text-anchor=\"end\""));
}

// A page of several methods has each one's classes, matrix and worst pictures.
TEST(ClassEvaluateCorners, EveryMethodHasItsPartOfThePage) {
  const MapFolders f;
  write_png(f.dir / "t.png", Image(4, 3, 1));
  std::vector<ClassEvaluation> all(2, of_two());
  all[1].name = "n";
  for (std::size_t i = 0; i < 2; ++i) {
    all[i].images.emplace_back();
    all[i].images[0].name = i == 0 ? "x" : "y";
    all[i].images[0].truth = f.dir / "t.png";
    all[i].images[0].values.assign(all[i].image_keys.size(), 0.25 + 0.5 * static_cast<double>(i));
    all[i].confusion[i] = 7;
  }
  const std::string page = to_html(all);
  std::size_t at = 0;
  for (const char* part :
       {"<h2>Classes: m</h2>", "whom: m</h2>", "background: background: 7 pixels, 100.00 %",
        "<h2>Worst by mIoU: m</h2>", "<h3>x &middot; mIoU 0.250</h3>", "<h2>Classes: n</h2>", "whom: n</h2>",
        "background: class 1: 7 pixels, 100.00 %", "<h2>Worst by mIoU: n</h2>",
        "<h3>y &middot; mIoU 0.750</h3>"}) {
    const std::size_t found = page.find(part, at);
    ASSERT_NE(found, std::string::npos) << part;
    at = found;
  }
}

}  // namespace
}  // namespace sam2unet
