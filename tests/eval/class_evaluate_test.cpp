#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "folders.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/occurrences.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using test::MapFolders;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

Image ids(int width, int height, std::initializer_list<int> values) {
  Image out(width, height, 1);
  std::copy(values.begin(), values.end(), out.pixels.begin());
  return out;
}

// Class 1: 3 of 4 pixels found and one too many; class 2: one of two; class 3 never occurs; one pixel is
// ignored.
void put_two(const MapFolders& f) {
  f.put("a", ids(4, 2, {1, 1, 1, 0, 0, 0, 1, 1}), ids(4, 2, {1, 1, 1, 1, 0, 0, 0, 255}));
  f.put("b", ids(2, 2, {2, 0, 0, 0}), ids(2, 2, {2, 2, 0, 0}));
}

TEST(EvaluateClasses, SumsOverTheSetThenRatiosThenTheMeanOfWhatOccurs) {
  const MapFolders f;
  put_two(f);
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(4));
  ASSERT_THAT(e.classes, SizeIs(4));
  EXPECT_EQ(e.ignored, 1);
  EXPECT_DOUBLE_EQ(e.classes[0].iou.value, 4.0 / 7);  // 2 + 2 right, 3 + 2 true, 3 + 3 predicted
  EXPECT_DOUBLE_EQ(e.classes[1].iou.value, 3.0 / 5);
  EXPECT_DOUBLE_EQ(e.classes[1].precision.value, 3.0 / 4);
  EXPECT_DOUBLE_EQ(e.classes[2].iou.value, 1.0 / 2);
  EXPECT_DOUBLE_EQ(e.classes[2].dice.value, 2.0 / 3);
  EXPECT_TRUE(std::isnan(e.classes[3].iou.value));
  EXPECT_DOUBLE_EQ(e.value("mIoU"), (4.0 / 7 + 3.0 / 5 + 1.0 / 2) / 3);
  EXPECT_DOUBLE_EQ(e.value("foreground.mIoU"), (3.0 / 5 + 1.0 / 2) / 2);
  EXPECT_DOUBLE_EQ(e.value("aAcc"), 8.0 / 11);
  EXPECT_DOUBLE_EQ(e.value("per_image.aAcc"), (5.0 / 7 + 3.0 / 4) / 2);
  EXPECT_TRUE(std::isnan(e.value("iou.mean")));
  // Rows: truth; columns: prediction, and what is no class.
  EXPECT_THAT(e.confusion, ElementsAre(4, 1, 0, 0, 0,  //
                                       1, 3, 0, 0, 0,  //
                                       1, 0, 1, 0, 0,  //
                                       0, 0, 0, 0, 0));
  EXPECT_THAT(worst_images(e, "aAcc", 1), ElementsAre(0));
  EXPECT_LT(e.classes[1].iou.low, e.classes[1].iou.high + 1e-15);
}

TEST(EvaluateClasses, JsonHasItsOwnPlaces) {
  const MapFolders f;
  put_two(f);
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(4))};
  const auto json = nlohmann::json::parse(to_json(all));
  EXPECT_DOUBLE_EQ(json["classes"]["mIoU"], all[0].value("mIoU"));
  EXPECT_DOUBLE_EQ(json["classes"]["foreground"]["mDice"], all[0].value("foreground.mDice"));
  EXPECT_DOUBLE_EQ(json["classes"]["per_image"]["foreground"]["aAcc"],
                   all[0].value("per_image.foreground.aAcc"));
  EXPECT_EQ(json["classes"]["each"][1]["name"], "class 1");
  EXPECT_EQ(json["classes"]["each"][1]["truth_pixels"], 4);
  EXPECT_TRUE(json["classes"]["each"][3]["IoU"].is_null());
  EXPECT_EQ(json["classes"]["confusion"]["pixels"][2], (std::vector<int>{1, 0, 1, 0, 0}));
  EXPECT_EQ(json["classes"]["intervals"]["mIoU"].size(), 2u);
  EXPECT_EQ(json["per_image"][0]["classes"]["ignored_pixels"], 1);
  EXPECT_FALSE(json.contains("dataset"));
  EXPECT_FALSE(json.contains("iou"));
  EXPECT_THAT(dataset_csv(all), HasSubstr("maps,class 2,IoU,0.5,"));
  EXPECT_THAT(images_csv(all), HasSubstr("maps,b.png,2,2,0,0,"));
  const std::string html = to_html(all);
  EXPECT_THAT(html, HasSubstr("confusion matrix"));
  EXPECT_THAT(html, HasSubstr("class 1: background: 1 pixels, 25.00 %"));
}

TEST(EvaluateClasses, TwoMethodsAndNamesThatAreMarkup) {
  const MapFolders f;
  put_two(f);
  ClassTable table = default_class_table(4);
  table.classes[1].name = "<b>&\"x\"";
  EvaluateOptions options;
  options.resamples = 0;
  std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), table, options)};
  all.push_back(all[0]);
  all[1].name = "other";
  EXPECT_EQ(nlohmann::json::parse(to_json(all)).size(), 2u);
  EXPECT_EQ(to_html(all).find("<b>&"), std::string::npos);
}

TEST(EvaluateClasses, APredictionOfAnotherSizeIsResizedByNearestNeighbour) {
  const MapFolders f;
  f.put("a", ids(1, 1, {1}), ids(3, 2, {1, 1, 1, 1, 1, 1}));
  EvaluateOptions options;
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), options);
  EXPECT_EQ(e.value("aAcc"), 1);
  ASSERT_THAT(e.warnings, SizeIs(1));
  EXPECT_THAT(e.warnings[0], HasSubstr("nearest neighbour"));
  options.strict = true;
  EXPECT_THAT(
      message_of<UsageError>([&] { evaluate_classes(f.pred(), f.gt(), default_class_table(2), options); }),
      HasSubstr("1x1 for 3x2"));
}

TEST(EvaluateClasses, OneOtherSideIsAnotherSize) {
  for (const auto& [width, height] : {std::pair{1, 2}, {3, 1}, {3, 2}}) {
    const MapFolders f;
    f.put("a", Image(width, height, 1), Image(3, 2, 1));
    const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), {});
    ASSERT_THAT(e.images, SizeIs(1));
    EXPECT_EQ(e.images[0].resized, width != 3 || height != 2);
    EXPECT_EQ(e.confusion[0], 6);
  }
}

TEST(EvaluateClasses, AnUnknownIdIsAFailureOfItsPicture) {
  const MapFolders f;
  put_two(f);
  f.put("c", ids(1, 1, {1}), ids(1, 1, {9}));
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(4));
  ASSERT_THAT(e.failures, SizeIs(1));
  EXPECT_EQ(e.failures[0].file.filename(), "c.png");
  EXPECT_THAT(e.failures[0].message, HasSubstr("the id 9 (1 pixel) is no class"));
  EXPECT_THAT(e.images, SizeIs(2));
}

TEST(EvaluateClasses, MapsMadeOnTheWay) {
  const MapFolders f;
  std::filesystem::create_directories(f.images());
  write_png(f.images() / "a.png", Image(3, 2, 3));
  write_png(f.gt() / "a.png", ids(3, 2, {0, 1, 1, 0, 0, 1}));
  EvaluateOptions options;
  options.pictures = f.images();
  const Predictor ones = [](const ImageView& p) {
    Image out(p.width, p.height, 1);
    std::fill(out.pixels.begin(), out.pixels.end(), std::uint8_t{1});
    return out;
  };
  const ClassEvaluation e = evaluate_classes(ones, f.gt(), default_class_table(2), options);
  EXPECT_EQ(e.classes[1].iou.value, 0.5);
  EXPECT_EQ(e.images[0].picture.filename(), "a.png");
  EXPECT_THROW(evaluate_classes(Predictor(), f.gt(), default_class_table(2), options), UsageError);
}

TEST(EvaluateClasses, TheWorstComeFirstAndWithoutAValueNone) {
  const MapFolders f;
  f.put("a", ids(2, 2, {1, 1, 0, 0}), ids(2, 2, {1, 1, 0, 0}));
  f.put("b", ids(2, 2, {0, 0, 0, 0}), ids(2, 2, {255, 255, 255, 255}));  // nothing counts: no values
  f.put("c", ids(2, 2, {0, 0, 0, 0}), ids(2, 2, {1, 1, 0, 0}));
  f.put("d", ids(2, 2, {1, 0, 0, 0}), ids(2, 2, {1, 1, 0, 0}));
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2));
  EXPECT_THAT(worst_images(e, "aAcc", 10), ElementsAre(2, 3, 0));
  EXPECT_THROW(worst_images(e, "S", 1), UsageError);
  EXPECT_EQ(e.images[1].ignored, 4);
}

TEST(EvaluateClasses, UnpairedFilesAreSaidAndRefusedUnderStrict) {
  const MapFolders f;
  put_two(f);
  std::filesystem::remove(f.pred() / "b.png");
  EvaluateOptions o;
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(4), o);
  EXPECT_THAT(e.unpaired, ElementsAre(f.gt() / "b.png"));
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("b.png")));
  o.strict = true;
  EXPECT_THAT(message_of<UsageError>([&] { evaluate_classes(f.pred(), f.gt(), default_class_table(4), o); }),
              HasSubstr("b.png"));
}

TEST(EvaluateClasses, TablesAsCsvHaveEveryClassAndPicture) {
  const MapFolders f;
  put_two(f);
  ClassTable table = default_class_table(3);
  table.classes[1].name = "a, b";
  EvaluateOptions o;
  o.resamples = 0;
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), table, o)};
  const std::string values = dataset_csv(all), images = images_csv(all);
  EXPECT_THAT(values, HasSubstr("\nmaps,,aAcc,"));
  // In a: 4 of class 1 in the truth, 3 + 2 in the map less the ignored pixel; none in b.
  EXPECT_THAT(values, HasSubstr("\nmaps,\"a, b\",truth_pixels,4,,\n"));
  EXPECT_THAT(values, HasSubstr("\nmaps,\"a, b\",predicted_pixels,4,,\n"));
  EXPECT_THAT(images, HasSubstr(",IoU background,\"IoU a, b\",IoU class 2\n"));
  EXPECT_THAT(images, HasSubstr("\nmaps,a.png,4,2,0,1,"));
  EXPECT_THAT(images, HasSubstr(",0.6,\n"));  // class 2 is not in a
}

// Of b.png: class 0 two of four pixels, class 2 one of two.
TEST(EvaluateClasses, EveryPictureHasItsOwnValues) {
  const MapFolders f;
  put_two(f);
  EvaluateOptions o;
  o.resamples = 0;
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(4), o)};
  const auto json = nlohmann::json::parse(to_json(all));
  EXPECT_EQ(json.at("name"), "maps");
  EXPECT_EQ(json.at("count"), 2);
  EXPECT_FALSE(json.contains("bootstrap"));
  const auto& b = json.at("per_image").at(1);
  EXPECT_EQ(json.at("per_image").at(0).at("width"), 4);
  EXPECT_EQ(json.at("per_image").at(0).at("height"), 2);
  EXPECT_EQ(b.at("name"), "b.png");
  EXPECT_EQ(b.at("width"), 2);
  EXPECT_EQ(b.at("height"), 2);
  EXPECT_EQ(b.at("resized"), false);
  EXPECT_EQ(b.at("classes").at("ignored_pixels"), 0);
  EXPECT_EQ(b.at("classes").at("IoU"), (nlohmann::json{2.0 / 3, nullptr, 0.5, nullptr}));
  EXPECT_DOUBLE_EQ(b.at("classes").at("mIoU"), (2.0 / 3 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(b.at("classes").at("foreground").at("mIoU"), 0.5);
  const auto& classes = json.at("classes");
  EXPECT_EQ(classes.at("ignore"), 255);
  EXPECT_EQ(classes.at("ignored_pixels"), 1);
  EXPECT_FALSE(classes.contains("intervals"));
  EXPECT_EQ(classes.at("each").at(1).at("id"), 1);
  EXPECT_EQ(classes.at("each").at(1).at("color"), "#800000");
  EXPECT_EQ(classes.at("each").at(1).at("predicted_pixels"), 4);
  EXPECT_EQ(classes.at("each").at(1).at("right_pixels"), 3);
  EXPECT_EQ(classes.at("each").at(2).at("precision"), 1.0);
  EXPECT_EQ(classes.at("each").at(2).at("recall"), 0.5);
  EXPECT_EQ(classes.at("confusion").at("rows"), "ground truth");
  EXPECT_EQ(classes.at("confusion").at("columns"),
            (nlohmann::json{"background", "class 1", "class 2", "class 3", nullptr}));
  EXPECT_EQ(json.at("warnings").size() + json.at("unpaired").size() + json.at("failures").size(), 0U);
  EXPECT_TRUE(
      images_csv(all).starts_with("method,name,width,height,resized,ignored_pixels,mIoU,mDice,mAcc,aAcc,"));
}

TEST(EvaluateClasses, BootstrapIsTold) {
  const MapFolders f;
  put_two(f);
  EvaluateOptions o;
  o.resamples = 12;
  o.seed = 4;
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(4), o)};
  EXPECT_EQ(nlohmann::json::parse(to_json(all)).at("bootstrap"),
            (nlohmann::json{{"resamples", 12}, {"seed", 4}, {"level", 0.95}}));
  EXPECT_THAT(to_html(all),
              HasSubstr("<li>Small figures: 95 % intervals of 12 bootstrap resamples, seed 4</li>"));
}

// Of the page what can be worked out by hand.
TEST(EvaluateClasses, ThePageHasTheTables) {
  const MapFolders f;
  put_two(f);
  EvaluateOptions o;
  o.resamples = 0;
  std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(4), o)};
  const std::string page = to_html(all);
  EXPECT_THAT(page, HasSubstr("<li>maps: 2 pictures scored; 1 pixels ignored</li>"));
  // mIoU, mDice, mAcc, aAcc, those of the foreground, and the mean over the pictures.
  EXPECT_THAT(page,
              HasSubstr("<tr><td>maps</td><td>2</td><td>0.557</td><td>0.715</td><td>0.683</td><td>0.727</td>"
                        "<td>0.550</td><td>0.708</td><td>0.567</td></tr>"));
  EXPECT_THAT(
      page,
      HasSubstr("1 class 1</td><td>0.600</td><td>0.750</td><td>0.750</td><td>0.750</td><td>4</td><td>4</"
                "td></tr>"));
  EXPECT_THAT(page, HasSubstr("background:#008000\"></span>2 class 2</td>"));
  EXPECT_THAT(page, HasSubstr("class 3</td><td>&ndash;</td>"));
  EXPECT_THAT(page, HasSubstr("class 1: class 1: 3 pixels, 75.00 %"));
  EXPECT_THAT(page, HasSubstr("<h3>a.png &middot; mIoU 0.5"));
  EXPECT_EQ(page.find("class=\"best\""), std::string::npos);
  EXPECT_EQ(page.find("no class"), std::string::npos);
  // Of two the better is marked, and what was not scored is told.
  all.push_back(all[0]);
  for (MetricValue& v : all[1].dataset) v.value += 0.01;
  all[1].failures.push_back({"x.png", "x.png: damaged"});
  all[1].warnings.emplace_back("beware");
  const std::string two = to_html(all);
  EXPECT_THAT(two, HasSubstr("<td>0.557</td><td>0.715</td>"));
  EXPECT_THAT(two, HasSubstr("<td class=\"best\">0.567</td><td class=\"best\">0.725</td>"));
  EXPECT_THAT(two,
              HasSubstr("; <strong>1 could not be scored</strong></li><li>maps: beware</li><li>maps: x.png: "
                        "damaged</li>"));
}

// A picture for the predictor is upright unless told otherwise.
TEST(EvaluateClasses, PicturesAreTurnedAsExifSaysUnlessToldOtherwise) {
  const MapFolders f;
  std::filesystem::create_directories(f.images());
  const auto photo = test::repository_data() / "image" / "files" / "exif6.jpg";
  std::filesystem::copy_file(photo, f.images() / "a.jpg");
  const Image upright = read_image(photo);
  write_png(f.gt() / "a.png", Image(upright.width, upright.height, 1));
  EvaluateOptions o;
  o.pictures = f.images();
  const Predictor nothing = [](const ImageView& p) { return Image(p.width, p.height, 1); };
  EXPECT_FALSE(evaluate_classes(nothing, f.gt(), default_class_table(2), o).images.at(0).resized);
  o.apply_exif_orientation = false;
  const ClassEvaluation e = evaluate_classes(nothing, f.gt(), default_class_table(2), o);
  EXPECT_TRUE(e.images.at(0).resized);
  EXPECT_THAT(e.warnings,
              ElementsAre(HasSubstr("1 of 1 predictions have another size than their ground truth and were "
                                    "resized by nearest neighbour (the prediction is 11x6 for 6x11)")));
}

// The picture stands beside the worst, where there is a folder of pictures.
TEST(EvaluateClasses, PicturesAreShownBesideTheWorst) {
  const MapFolders f;
  put_two(f);
  std::filesystem::create_directories(f.images());
  write_png(f.images() / "b.png", Image(2, 2, 3));
  EvaluateOptions o;
  o.pictures = f.images();
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(4), o)};
  EXPECT_EQ(all[0].images[0].picture, "");
  EXPECT_EQ(all[0].images[1].picture, f.images() / "b.png");
  const std::string page = to_html(all);
  EXPECT_EQ(test::occurrences(page, ">picture<"), 1U);
  EXPECT_EQ(test::occurrences(page, ">ground truth<"), 2U);
  EXPECT_EQ(test::occurrences(page, ">prediction<"), 2U);
}

// What cannot be read any more is said where it would stand, after what could be.
TEST(EvaluateClasses, WhatCannotBeShownIsSaid) {
  const MapFolders f;
  f.put("a&b", ids(2, 1, {0, 1}), ids(2, 1, {0, 1}));
  const std::vector<ClassEvaluation> all{evaluate_classes(f.pred(), f.gt(), default_class_table(2), {})};
  std::ofstream(f.pred() / "a&b.png") << "no picture";
  const std::string page = to_html(all);
  EXPECT_EQ(test::occurrences(page, ">ground truth<"), 1U);
  EXPECT_EQ(test::occurrences(page, ">prediction<"), 0U);
  const std::string said =
      "<p>cannot decode " + (f.pred() / "a&amp;b.png").string() + ": it is of an unknown";
  EXPECT_THAT(page, HasSubstr(said));
}

// Pictures of one name in two folders are told apart.
TEST(EvaluateClasses, SubfoldersAreInTheNames) {
  const MapFolders f;
  for (const char* folder : {"one", "two"}) {
    std::filesystem::create_directories(f.pred() / folder);
    std::filesystem::create_directories(f.gt() / folder);
    write_png(f.pred() / folder / "0_p.png", ids(2, 1, {0, 1}));
    write_png(f.gt() / folder / "0_gt.png", ids(2, 1, {0, 1}));
  }
  EvaluateOptions o;
  o.recursive = true;
  o.prediction_affix.suffix = "_p";
  o.truth_affix.suffix = "_gt";
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), o);
  ASSERT_THAT(e.images, SizeIs(2));
  EXPECT_EQ(e.images[0].name, "one/0_gt.png");
  EXPECT_EQ(e.images[1].name, "two/0_gt.png");
}

}  // namespace
}  // namespace sam2unet
