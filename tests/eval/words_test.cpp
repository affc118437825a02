// What evaluations say of what they refuse, what is in the JSON's corners, and the page of classes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "folders.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"
#include "sam2unet/gain.h"
#include "support/message.h"
#include "support/occurrences.h"

namespace sam2unet {
namespace {

using nlohmann::json;
using test::MapFolders;
using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(EvaluateWords, NumbersHaveLimitsBelowToo) {
  const MapFolders f;
  f.put_discs(1);
  const auto refused = [&](const EvaluateOptions& o) {
    return message_of<UsageError>([&] { evaluate(f.pred(), f.gt(), o); });
  };
  EvaluateOptions o;
  o.threads = -1;
  EXPECT_EQ(refused(o), "threads must lie between 0 and 1024");
  o = {};
  o.predicting = -1;
  EXPECT_EQ(refused(o), "predicting must lie between 0 and 4096");
  o = {};
  o.resamples = -1;
  EXPECT_EQ(refused(o), "resamples must lie between 0 and 1000000");
  o.resamples = 0;
  EXPECT_EQ(refused(o), "");
  EXPECT_EQ(message_of<UsageError>([&] { evaluate(Predictor(), f.gt(), o); }),
            "evaluate: the predictor is empty");
  EXPECT_EQ(message_of<UsageError>([&] { evaluate_classes(Predictor(), f.gt(), default_class_table(2), o); }),
            "evaluate: the predictor is empty");
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  EXPECT_EQ(message_of<UsageError>([&] { worst_images(e, "x", 1); }),
            "pictures have no value 'x' to be sorted by");
  EXPECT_EQ(message_of<UsageError>([&] { worst_images(ClassEvaluation(), "S", 1); }),
            "pictures have no value 'S' to be sorted by");
}

// Of equal ones the first stands first, whichever way is better.
TEST(EvaluateWords, TheWorstKeepTheirOrder) {
  Evaluation e;
  e.image_keys = {"S", "MAE"};
  for (const double v : {0.5, 0.7, 0.5, 0.7}) {
    e.images.emplace_back();
    e.images.back().values = {v, v};
    e.images.back().counted = true;
  }
  EXPECT_THAT(worst_images(e, "S", 4), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(worst_images(e, "MAE", 4), ElementsAre(1, 3, 0, 2));
}

// What does not count, or has no number, is neither good nor bad.
TEST(EvaluateWords, TheWorstHaveNumbersThatCount) {
  Evaluation e;
  e.image_keys = {"S", "MAE"};
  const double none = std::nan("");
  for (const auto& [s, mae, counted] : {std::tuple{0.5, none, true},
                                        {none, 0.2, true},
                                        {0.1, 0.9, false},
                                        {0.4, 0.3, true},
                                        {none, none, false}}) {
    e.images.emplace_back();
    e.images.back().values = {s, mae};
    e.images.back().counted = counted;
  }
  EXPECT_THAT(worst_images(e, "S", 5), ElementsAre(3, 0));
  EXPECT_THAT(worst_images(e, "MAE", 5), ElementsAre(3, 1));
}

TEST(EvaluateWords, PicturesThatDoNotCountGainNothing) {
  Evaluation with, without;
  with.image_keys = without.image_keys = {"S"};
  for (const auto& [name, better] : {std::pair("a", 0.1), {"b", 0.3}}) {
    EvaluatedImage image;
    image.truth = name;
    image.counted = true;
    image.values = {0.5};
    without.images.push_back(image);
    image.values = {0.5 + better};
    with.images.push_back(image);
  }
  EXPECT_NEAR(paired_gains(with, without).at(0).difference, 0.2, 1e-12);
  without.images[1].counted = false;
  EXPECT_NEAR(paired_gains(with, without).at(0).difference, 0.1, 1e-12);
  EXPECT_EQ(paired_gains(with, without).at(0).pictures, 1U);
}

// Each curve in its place, and names that are no UTF-8.
TEST(EvaluateWords, CornersOfTheJson) {
  Evaluation e;
  e.name = "a\xFF";
  e.image_keys = {"S"};
  e.images.emplace_back();
  e.images[0].name = "x.png";
  e.images[0].resized = true;
  e.images[0].values = {0.5};
  e.curves = {{1, 2}, {3, 4}, {5, 6}, {7, std::nan("")}};
  e.dataset = {{"S", 0.5, 0.25, 0.75}};
  e.resamples = 3;
  e.unpaired = {"u.png"};
  e.warnings = {"w"};
  e.failures = {{"f.png", "broken"}};
  const std::string text = to_json(std::span(&e, 1));
  EXPECT_TRUE(text.starts_with("{\n \"name\": \"a\xEF\xBF\xBD\",\n \"count\": 0,\n"));
  EXPECT_TRUE(text.ends_with("\n}\n"));
  const json j = json::parse(text);
  EXPECT_EQ(j.at("curves"),
            json::parse(R"({"precision": [1, 2], "recall": [3, 4], "fm": [5, 6], "E": [7, null]})"));
  EXPECT_EQ(j.at("per_image").at(0).at("resized"), true);
  EXPECT_EQ(j.at("intervals").at("S"), (json{0.25, 0.75}));
  EXPECT_EQ(j.at("warnings"), json{"w"});
  EXPECT_EQ(j.at("unpaired"), json{"u.png"});
  EXPECT_EQ(j.at("failures"), json::parse(R"([{"file": "f.png", "error": "broken"}])"));
}

TEST(EvaluateWords, ATruthThatVariesIsNotCalledAShapeInAlpha) {
  const MapFolders f;
  f.put_discs(1);
  Image truth(60, 40, 4);
  for (int i = 0; i < 500; ++i) truth.pixels[static_cast<std::size_t>(4 * i + 3)] = 255;
  for (int c = 0; c < 3; ++c) truth.pixels[static_cast<std::size_t>(4000 + c)] = 255;
  write_png(f.gt() / "a.png", truth);
  EXPECT_THAT(evaluate(f.pred(), f.gt()).warnings, testing::IsEmpty());
  for (int c = 0; c < 3; ++c) truth.pixels[static_cast<std::size_t>(4000 + c)] = 0;
  write_png(f.gt() / "a.png", truth);
  EXPECT_THAT(
      evaluate(f.pred(), f.gt()).warnings,
      ElementsAre("1 of 1 ground truths are one colour all over and keep their shape in alpha, which is not "
                  "read: save the alpha channel as the mask (a.png)"));
}

TEST(ClassEvaluateWords, OptionsAndTroublesOfAnEvaluation) {
  const MapFolders f;
  f.put("a", Image(2, 2, 1), Image(4, 4, 1));
  std::filesystem::create_directories(f.images());
  write_png(f.images() / "p_a.png", Image(4, 4, 3));
  std::ofstream(f.gt() / "x.heic") << "x";
  EvaluateOptions o;
  o.name = "mine";
  o.seed = 9;
  o.resamples = 2;
  ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), o);
  EXPECT_EQ(e.name, "mine");
  EXPECT_EQ(e.seed, 9U);
  EXPECT_EQ(e.images.at(0).resized, true);
  EXPECT_THAT(
      e.warnings,
      ElementsAre(HasSubstr("x.heic"),
                  HasSubstr("1 of 1 predictions have another size than their ground truth and were resized "
                            "by nearest neighbour (")));
  EXPECT_THAT(images_csv(std::span(&e, 1)), HasSubstr("\nmine,a.png,4,4,1,0,"));
  EXPECT_EQ(
      json::parse(to_json(std::span(&e, 1))).at("classes").at("each").at(0).at("intervals").at("IoU").size(),
      2U);
  o.pictures = f.images();
  o.picture_affix.prefix = "p_";
  const Predictor fails = [](const ImageView&) -> Image { throw Error("no"); };
  e = evaluate_classes(fails, f.gt(), default_class_table(2), o);
  ASSERT_EQ(e.failures.size(), 1U);
  EXPECT_EQ(e.failures[0].file, f.images() / "p_a.png");
  EXPECT_EQ(e.failures[0].message, "no");
  EXPECT_THAT(e.confusion, testing::Each(0));
  ClassTable twice = default_class_table(2);
  twice.classes[1].name = twice.classes[0].name;
  EXPECT_THROW(evaluate_classes(f.pred(), f.gt(), twice, {}), UsageError);
  std::filesystem::rename(f.pred() / "a.png", f.pred() / "b.png");
  std::filesystem::copy_file(f.pred() / "b.png", f.pred() / "a.png");
  EXPECT_THAT(evaluate_classes(f.pred(), f.gt(), default_class_table(2), {}).unpaired,
              ElementsAre(f.pred() / "b.png"));
}

// The truth, the picture or the map: whichever it is, the others are scored.
TEST(EvaluateWords, AFailureIsOfTheFileThatCannotBeRead) {
  const MapFolders f;
  f.put_discs(4);
  std::filesystem::create_directories(f.images());
  for (const char* name : {"a.png", "b.png", "c.png", "d.png"})
    write_png(f.images() / name, read_image(f.gt() / name));
  EvaluateOptions o;
  o.pictures = f.images();
  const double ccm =
      test::value_of(evaluate(f.pred(), f.gt(), o), evaluate(f.pred(), f.gt(), o).images.at(3), "CCM");
  const std::vector<std::filesystem::path> damaged{f.gt() / "a.png", f.images() / "b.png",
                                                   f.pred() / "c.png"};
  for (const auto& file : damaged) std::ofstream(file) << "no picture";
  for (const int threads : {1, 3}) {
    o.threads = threads;
    const Evaluation e = evaluate(f.pred(), f.gt(), o);
    ASSERT_EQ(e.failures.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(e.failures[i].file, damaged[i]);
      EXPECT_THAT(e.failures[i].message, HasSubstr(damaged[i].string()));
    }
    ASSERT_EQ(e.images.size(), 1U);
    EXPECT_EQ(e.images[0].picture, f.images() / "d.png");
    EXPECT_EQ(e.value("CCM"), ccm);
    EXPECT_EQ(e.counted, 1U);
  }
}

TEST(ClassEvaluateWords, AFailureIsOfTheFileThatCannotBeRead) {
  const MapFolders f;
  for (const char* name : {"a", "b", "c"}) f.put(name, Image(2, 2, 1), Image(2, 2, 1));
  const std::vector<std::filesystem::path> damaged{f.gt() / "a.png", f.pred() / "b.png"};
  for (const auto& file : damaged) std::ofstream(file) << "no picture";
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2));
  ASSERT_EQ(e.failures.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(e.failures[i].file, damaged[i]);
    EXPECT_THAT(e.failures[i].message, HasSubstr(damaged[i].string()));
  }
  EXPECT_THAT(e.confusion, ElementsAre(4, 0, 0, 0, 0, 0));
}

// As of one foreground: whoever computes it, and told picture by picture.
TEST(ClassEvaluateWords, TheSameForAnyNumberOfThreads) {
  const MapFolders f;
  for (int i = 0; i < 7; ++i) {
    Image truth(9, 5, 1), map(9, 5, 1);
    for (int k = 0; k < 45; ++k) {
      truth.pixels[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(k % 3);
      map.pixels[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(k % (3 + i) == 0 ? 1 : k % 3);
    }
    f.put(std::string(1, static_cast<char>('a' + i)), map, truth);
  }
  EvaluateOptions o;
  o.resamples = 20;
  std::vector<std::size_t> told;
  o.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 7U);
    told.push_back(done);
  };
  std::vector<std::string> all;
  for (const int threads : {1, 4}) {
    o.threads = threads;
    const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(3), o);
    EXPECT_EQ(e.confusion.at(0) + e.confusion.at(1) + e.confusion.at(2), 7 * 15);
    all.push_back(to_json(std::span(&e, 1)));
  }
  EXPECT_EQ(all[0], all[1]);
  EXPECT_THAT(told, ElementsAre(1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7));
}

// Pictures are found by the names that they have, also in folders below.
TEST(ClassEvaluateWords, PicturesAreFoundByTheirOwnAffix) {
  const MapFolders f;
  std::filesystem::create_directories(f.images() / "x");
  std::filesystem::create_directories(f.gt() / "x");
  std::filesystem::create_directories(f.pred() / "x");
  write_png(f.gt() / "x" / "a_gt.png", Image(2, 2, 1));
  write_png(f.pred() / "x" / "a.png", Image(2, 2, 1));
  write_png(f.images() / "x" / "p_a.png", Image(2, 2, 3));
  EvaluateOptions o;
  o.recursive = true;
  o.pictures = f.images();
  o.picture_affix.prefix = "p_";
  o.truth_affix.suffix = "_gt";
  const ClassEvaluation e = evaluate_classes(f.pred(), f.gt(), default_class_table(2), o);
  ASSERT_EQ(e.images.size(), 1U);
  EXPECT_EQ(e.images[0].picture, f.images() / "x" / "p_a.png");
  EXPECT_EQ(e.images[0].truth, f.gt() / "x" / "a_gt.png");
  EXPECT_EQ(e.images[0].prediction, f.pred() / "x" / "a.png");
}

// Where maps are made on the way the same is said as of a folder of them.
TEST(EvaluateWords, OfMapsThatAreMadeOnTheWay) {
  const MapFolders f;
  std::filesystem::create_directories(f.images());
  for (const char* name : {"a.png", "b.png", "c.png", "alone.png"})
    write_png(f.images() / name, Image(8, 6, 3));
  std::ofstream(f.images() / "x.heic") << "x";
  Image dim(8, 6, 1), shape(8, 6, 4);
  dim.row(2)[3] = 1;
  shape.pixels[3] = 255;
  write_png(f.gt() / "a.png", test::disc(8, 6, 4, 3, 2));
  write_png(f.gt() / "b.png", dim);
  write_png(f.gt() / "c.png", shape);
  write_png(f.gt() / "left.png", dim);
  EvaluateOptions o;
  o.pictures = f.images();
  const Evaluation e = evaluate([](const ImageView&) { return Image(4, 3, 1); }, f.gt(), o);
  EXPECT_EQ(e.name, "images");
  EXPECT_EQ(e.dim_truths, 2U);
  EXPECT_THAT(e.unpaired, testing::UnorderedElementsAre(f.images() / "alone.png", f.gt() / "left.png"));
  EXPECT_THAT(e.warnings,
              testing::UnorderedElementsAre(
                  HasSubstr("x.heic"), HasSubstr("alone.png"), HasSubstr("left.png"),
                  HasSubstr("3 of 3 predictions have another size than their ground truth and were resized "
                            "bilinearly (the prediction is 4x3 for 8x6)"),
                  HasSubstr("1 of 3 ground truths have no level above 128, so that nothing in them counts as "
                            "foreground; their highest level is 1: multiply them by 255 (b.png)"),
                  HasSubstr("1 of 3 ground truths are one colour all over and keep their shape in alpha")));
  o.strict = true;
  EXPECT_THROW(evaluate([](const ImageView&) { return Image(4, 3, 1); }, f.gt(), o), Error);
}

ClassEvaluation of_names(const std::vector<std::string>& names) {
  ClassEvaluation e;
  e.name = "m";
  e.table = default_class_table(static_cast<int>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) e.table.classes[i].name = names[i];
  e.classes.resize(names.size());
  e.confusion.assign(names.size() * (names.size() + 1), 0);
  e.image_keys = class_image_keys();
  return e;
}

// Three classes, of which the second was also taken for no class, and the third never occurs.
TEST(ClassEvaluateWords, TheMatrixOfThePage) {
  ClassEvaluation e = of_names({"sky", "eighteen characters", "exactly eighteen!!"});
  e.confusion = {3, 1, 0, 0,  //
                 2, 6, 0, 2,  //
                 0, 0, 0, 0};
  const std::string page = to_html(std::span(&e, 1));
  // 150 at the left, 4 cells of 56, 80 at the right; 130 above, 3 cells, 24 below.
  EXPECT_THAT(page, HasSubstr("<svg viewBox=\"0 0 454 322\" style=\"max-width:454px\""));
  EXPECT_THAT(page, AllOf(HasSubstr(">eighteen character\xE2\x80\xA6</text>"),
                          HasSubstr(">exactly eighteen!!</text>"), HasSubstr(">no class</text>")));
  EXPECT_THAT(page, HasSubstr("fill=\"#0072b2\" fill-opacity=\"0.750\" stroke=\"var(--line)\" "
                              "stroke-width=\".5\"><title>sky: sky: 3 pixels, 75.00 %</title>"));
  EXPECT_THAT(page,
              HasSubstr("fill=\"#d55e00\" fill-opacity=\"0.250\" stroke=\"var(--line)\" "
                        "stroke-width=\".5\"><title>sky: eighteen characters: 1 pixels, 25.00 %</title>"));
  EXPECT_THAT(page, HasSubstr("<title>eighteen characters: no class: 2 pixels, 20.00 %</title>"));
  // White on dark from more than 60 per cent on; where nothing is there is no number.
  EXPECT_THAT(page, AllOf(HasSubstr(" fill=\"#fff\">75.0</text>"), HasSubstr("\">60.0</text>"),
                          Not(HasSubstr("#fff\">60.0"))));
  EXPECT_EQ(test::occurrences(page, "font-size=\"10\" text-anchor=\"middle\""), 8U);
  // Without it there is no column for it.
  e.confusion[7] = 0;
  const std::string fewer = to_html(std::span(&e, 1));
  EXPECT_THAT(fewer, AllOf(Not(HasSubstr("no class")), HasSubstr("viewBox=\"0 0 398 322\"")));
  // A class before the last may be the one.
  e.confusion[3] = 1;
  EXPECT_THAT(to_html(std::span(&e, 1)), HasSubstr(">no class</text>"));
}

// Cells share 760 pixels, and below 30 have no numbers; a letter of two bytes is not cut in half.
TEST(ClassEvaluateWords, TheMatrixOfManyClasses) {
  std::vector<std::string> names;
  for (int i = 0; i < 26; ++i) names.push_back("class " + std::to_string(i));
  names[3] = "seventeen letters\xC3\xA9";
  ClassEvaluation e = of_names(names);
  e.confusion[0] = 5;
  const std::string page = to_html(std::span(&e, 1));
  EXPECT_THAT(page,
              AllOf(HasSubstr("width=\"29.2\" height=\"29.2\""), Not(HasSubstr("text-anchor=\"middle\"")),
                    HasSubstr(">seventeen letters\xE2\x80\xA6</text>")));
  names.pop_back();
  e = of_names(names);
  e.confusion[0] = 5;
  EXPECT_THAT(to_html(std::span(&e, 1)),
              AllOf(HasSubstr("width=\"30.4\" height=\"30.4\""), HasSubstr("text-anchor=\"middle\"")));
  ClassEvaluation most = of_names(std::vector<std::string>(200, "x"));
  EXPECT_THAT(to_html(std::span(&most, 1)), HasSubstr("width=\"6.0\" height=\"6.0\""));
}

}  // namespace
}  // namespace sam2unet
