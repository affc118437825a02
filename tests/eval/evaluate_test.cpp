#include "sam2unet/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "folders.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using test::disc;
using test::MapFolders;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(Evaluate, ScoresPairsByStemWhateverTheFormatAndOrder) {
  const MapFolders f;
  f.put_discs(4);
  std::filesystem::rename(f.pred() / "c.png", f.pred() / "c.PNG");
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_EQ(e.name, "maps");
  EXPECT_EQ(e.counted, 4u);
  ASSERT_THAT(e.images, SizeIs(4));
  EXPECT_EQ(e.images[2].name, "c.png");
  EXPECT_EQ(e.images[2].prediction.filename(), "c.PNG");
  EXPECT_TRUE(e.warnings.empty());
  double mean = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<MetricValue> alone =
        evaluate_pair(read_image(e.images[i].prediction, {.mode = ColorMode::gray}),
                      read_image(e.images[i].truth, {.mode = ColorMode::gray}));
    ASSERT_THAT(alone, SizeIs(e.image_keys.size()));
    for (std::size_t k = 0; k < alone.size(); ++k) {
      EXPECT_EQ(alone[k].key, e.image_keys[k]);
      EXPECT_TRUE(alone[k].value == e.images[i].values[k] ||
                  (std::isnan(alone[k].value) && std::isnan(e.images[i].values[k])));
    }
    mean += test::value_of(e, e.images[i], "S") / 4;
  }
  EXPECT_NEAR(e.value("S"), mean, 1e-12);
  EXPECT_TRUE(std::isnan(e.value("no such value")));
}

TEST(Evaluate, SameForAnyNumberOfThreads) {
  const MapFolders f;
  f.put_discs(9);
  EvaluateOptions one, four;
  one.threads = 1;
  four.threads = 4;
  const std::vector<Evaluation> a{evaluate(f.pred(), f.gt(), one)}, b{evaluate(f.pred(), f.gt(), four)};
  EXPECT_EQ(to_json(a), to_json(b));
}

TEST(Evaluate, SaysWhatIsUnpaired) {
  const MapFolders f;
  f.put_discs(3);
  std::filesystem::remove(f.pred() / "a.png");
  std::filesystem::remove(f.gt() / "c.png");
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_EQ(e.counted, 1u);
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("no partner in " + f.gt().string() + ": c.png"),
                                      HasSubstr("no partner in " + f.pred().string() + ": a.png")));
  EXPECT_THAT(e.unpaired, ElementsAre(f.pred() / "c.png", f.gt() / "a.png"));
  EvaluateOptions strict;
  strict.strict = true;
  EXPECT_THROW(evaluate(f.pred(), f.gt(), strict), UsageError);
  // So it is with maps that are made, for either side that is alone.
  const Predictor black = [](const ImageView& picture) { return Image(picture.width, picture.height, 1); };
  strict.pictures = f.pred();
  EXPECT_THROW(evaluate(black, f.gt(), strict), UsageError);
  std::filesystem::remove(f.pred() / "c.png");
  EXPECT_THROW(evaluate(black, f.gt(), strict), UsageError);
  std::filesystem::remove(f.gt() / "a.png");
  EXPECT_EQ(evaluate(black, f.gt(), strict).counted, 1u);
}

TEST(Evaluate, RefusesWrongPairings) {
  const MapFolders f;
  f.put_discs(2);
  // By position these would have paired.
  std::filesystem::rename(f.pred() / "a.png", f.pred() / "A.png");
  std::filesystem::rename(f.pred() / "b.png", f.pred() / "B.png");
  EXPECT_THAT(message_of([&] { evaluate(f.pred(), f.gt()); }), HasSubstr("upper and lower case"));
  std::filesystem::rename(f.pred() / "A.png", f.pred() / "a_pred.png");
  std::filesystem::rename(f.pred() / "B.png", f.pred() / "b_pred.png");
  EXPECT_THAT(message_of([&] { evaluate(f.pred(), f.gt()); }), HasSubstr("all end in \"_pred\""));
  write_png(f.pred() / "a.png", disc(9, 9, 4, 4, 2));
  write_png(f.pred() / "a.PNG", disc(9, 9, 4, 4, 2));
  EXPECT_THAT(message_of([&] { evaluate(f.pred(), f.gt()); }), HasSubstr("have one name"));
}

TEST(Evaluate, RefusesFoldersThatAreNone) {
  const MapFolders f;
  EXPECT_THAT(message_of([&] { evaluate(f.dir / "nowhere", f.gt()); }), HasSubstr("nowhere: no such folder"));
  EXPECT_THAT(message_of([&] { evaluate(f.pred(), f.gt()); }),
              HasSubstr("no pictures in " + f.pred().string()));
  f.put_discs(1);
  EXPECT_THAT(message_of([&] { evaluate(f.pred() / "a.png", f.gt()); }), HasSubstr("not a folder"));
  EvaluateOptions bad;
  bad.resamples = -1;
  EXPECT_THROW(evaluate(f.pred(), f.gt(), bad), UsageError);
}

TEST(Evaluate, ResizesWithAWarningUnlessStrict) {
  const MapFolders f;
  const Image truth = disc(80, 60, 40, 30, 20);
  f.put("x", disc(40, 30, 20, 15, 10), truth);
  f.put("y", truth, truth);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("1 of 2 predictions have another size")));
  EXPECT_THAT(e.warnings[0], HasSubstr("40x30 for 80x60"));
  EXPECT_TRUE(e.images[0].resized);
  EXPECT_FALSE(e.images[1].resized);
  const Image resized = resize_linear(read_image(f.pred() / "x.png", {.mode = ColorMode::gray}), 80, 60);
  EXPECT_EQ(test::value_of(e, e.images[0], "MAE"), evaluate_pair(resized, truth)[5].value);
  EXPECT_EQ(e.image_keys[5], "MAE");
  EvaluateOptions strict;
  strict.strict = true;
  EXPECT_THAT(message_of([&] { evaluate(f.pred(), f.gt(), strict); }), HasSubstr("another size"));
}

TEST(Evaluate, OneUnreadableFileIsReportedAndTheOthersAreScored) {
  const MapFolders f;
  f.put_discs(3);
  std::ofstream(f.pred() / "b.png") << "not a picture";
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_EQ(e.counted, 2u);
  ASSERT_THAT(e.failures, SizeIs(1));
  EXPECT_EQ(e.failures[0].file, f.pred() / "b.png");
  EXPECT_THAT(e.failures[0].message, HasSubstr("b.png"));
}

// Pillow and OpenCV bring more than 8 bits to 8 in different ways: one rule for every format that has them.
TEST(Evaluate, DeepGrayMapsAreRefused) {
  const auto files = test::repository_data() / "image" / "files";
  for (const char* name : {"color0_16bit.png", "i16.tif", "i32.tif", "f32.tif", "wide.pgm", "gray.pfm"}) {
    const MapFolders f;
    f.put_discs(2);
    std::filesystem::remove(f.pred() / "b.png");
    std::filesystem::copy_file(files / name,
                               f.pred() / ("b" + std::filesystem::path(name).extension().string()));
    const Evaluation e = evaluate(f.pred(), f.gt());
    EXPECT_EQ(e.counted, 1u) << name;
    ASSERT_THAT(e.failures, SizeIs(1)) << name;
    EXPECT_THAT(e.failures[0].message,
                testing::AllOf(HasSubstr("16 bits or floating"), HasSubstr("8 bits, 0 to 255")));
  }
}

TEST(Evaluate, TruthsWithoutALevelAbove128AreNotCalledEmpty) {
  const MapFolders f;
  f.put_discs(3);
  Image ones = disc(60, 40, 20, 20, 10);
  for (auto& v : ones.pixels) v = v != 0 ? 1 : 0;
  write_png(f.gt() / "a.png", ones);
  Image shape(61, 40, 4);
  for (int i = 0; i < 500; ++i) shape.pixels[static_cast<std::size_t>(4 * i + 3)] = 255;
  write_png(f.gt() / "b.png", shape);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_EQ(e.empty_truths, 2u);
  EXPECT_EQ(e.dim_truths, 2u);
  EXPECT_THAT(e.warnings,
              testing::Contains(testing::AllOf(HasSubstr("no level above 128"), HasSubstr("is 1"),
                                               HasSubstr("multiply them by 255"), HasSubstr("a.png"))));
  EXPECT_THAT(e.warnings, testing::Contains(testing::AllOf(HasSubstr("in alpha"), HasSubstr("b.png"))));
}

TEST(Evaluate, SequencesSuffixesAndPatterns) {
  const MapFolders f;
  for (const char* folder : {"one", "two"}) {
    std::filesystem::create_directories(f.pred() / folder);
    std::filesystem::create_directories(f.gt() / folder);
    write_png(f.pred() / folder / "0.png", disc(60, 40, 20, 20, 9));
    write_png(f.gt() / folder / "0_gt.png", disc(60, 40, 20, 20, 9));
  }
  EXPECT_THROW(evaluate(f.pred(), f.gt()), PairingError);
  EvaluateOptions o;
  o.recursive = true;
  o.truth_affix.suffix = "_gt";
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  ASSERT_THAT(e.images, SizeIs(2));
  EXPECT_EQ(e.images[1].name, "two/0_gt.png");
  EXPECT_EQ(e.value("MAE"), 0);
  EXPECT_THROW(evaluate(f.pred(), f.pred(), o), PairingError);
}

TEST(Evaluate, CountsEmptyGroundTruthsUnderEveryPolicy) {
  const MapFolders f;
  const Image black(30, 30, 1);
  f.put("a", black, black);
  f.put("b", disc(30, 30, 15, 15, 5), black);
  f.put("c", disc(30, 30, 15, 15, 5), disc(30, 30, 15, 15, 5));
  EvaluateOptions o;
  const auto iou = [&](EmptyPolicy policy) {
    o.empty = policy;
    const Evaluation e = evaluate(f.pred(), f.gt(), o);
    EXPECT_EQ(e.empty_truths, 2u);
    EXPECT_EQ(e.counted, policy == EmptyPolicy::skip ? 1u : 3u);
    EXPECT_EQ(e.images[0].counted, policy != EmptyPolicy::skip);
    return e.value("sample_iou");
  };
  EXPECT_NEAR(iou(EmptyPolicy::paper), 1.0 / 3, 1e-12);
  EXPECT_NEAR(iou(EmptyPolicy::skip), 1, 1e-12);
  EXPECT_NEAR(iou(EmptyPolicy::one_if_correct), 2.0 / 3, 1e-12);
}

TEST(Evaluate, PicturesGiveTheCamouflageMeasure) {
  const MapFolders f;
  f.put_discs(2);
  EvaluateOptions o;
  EXPECT_TRUE(std::isnan(evaluate(f.pred(), f.gt(), o).value("CCM")));
  std::filesystem::create_directories(f.images());
  for (const char* name : {"a.png", "b.png"}) {
    const Image gt = read_image(f.gt() / name);
    write_png(f.images() / name, gt);
  }
  o.pictures = f.images();
  EXPECT_TRUE(std::isfinite(evaluate(f.pred(), f.gt(), o).value("CCM")));
}

// PySODMetrics 1.6.2's CamouflageContextMeasure and ContextMeasure of pictures that are written out here.
TEST(Evaluate, TheCamouflageMeasureIsTheReferences) {
  struct Case {
    int width, height, shift;
    bool textured;
    double ccm, cm;
  };
  for (const Case& c : {Case{64, 48, 0, true, 0.36781061388930353, 0.352457975019848},
                        Case{70, 50, 3, false, 0.3358613062028471, 0.3203602306182305},
                        Case{64, 60, 77, true, 0.3049924464130818, 0.28994837994747497},
                        Case{64, 60, 5, false, 0.31563551269161133, 0.30018858384828095}}) {
    const MapFolders f;
    Image picture(c.width, c.height, 3), truth(c.width, c.height, 1), map(c.width, c.height, 1);
    for (int y = 0; y < c.height; ++y) {
      for (int x = 0; x < c.width; ++x) {
        const bool inside = y >= 12 && y < 35 && x >= 14 && x < 40;
        truth.row(y)[x] = inside ? 255 : 0;
        map.row(y)[x] = static_cast<std::uint8_t>((x * 5 + y * 3 + c.shift) % 200 + (inside ? 55 : 0));
        for (int k = 0; k < 3; ++k) {
          const int v =
              c.textured ? x * 7 + y * 13 + k * 29 + x * y % 11 * 5 : x / 9 * 40 + y / 7 * 25 + k * 60;
          picture.row(y)[3 * x + k] = static_cast<std::uint8_t>((v + c.shift) % 256);
        }
      }
    }
    f.put("a", map, truth);
    std::filesystem::create_directories(f.images());
    write_png(f.images() / "a.png", picture);
    EvaluateOptions o;
    o.pictures = f.images();
    const Evaluation e = evaluate(f.pred(), f.gt(), o);
    EXPECT_NEAR(e.value("CCM"), c.ccm, 1e-9) << c.shift;
    EXPECT_NEAR(e.value("CM"), c.cm, 1e-9) << c.shift;
  }
}

TEST(Evaluate, APredictorIsTheSameAsItsMapsInAFolder) {
  const MapFolders f;
  f.put_discs(5);
  EvaluateOptions o;
  o.name = "m";
  o.pictures = f.pred();  // the "pictures" are the maps, and the model hands them through
  const Predictor predictor = [](const ImageView& picture) {
    Image map(picture.width, picture.height, 1);
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) map.row(y)[x] = picture.row(y)[3 * x];
    }
    return map;
  };
  const Evaluation a = evaluate(predictor, f.gt(), o), b = evaluate(f.pred(), f.gt(), o);
  EXPECT_EQ(a.images.size(), 5u);
  for (std::size_t k = 0; k < a.dataset.size(); ++k) {
    EXPECT_TRUE(a.dataset[k].value == b.dataset[k].value || std::isnan(b.dataset[k].value))
        << a.dataset[k].key;
  }
}

TEST(Evaluate, TellsHowFarItIs) {
  const MapFolders f;
  f.put_discs(6);
  std::vector<std::size_t> seen;
  EvaluateOptions o;
  o.threads = 3;
  o.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, 6u);
    seen.push_back(done);
  };
  evaluate(f.pred(), f.gt(), o);
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6));
  o.progress = [](std::size_t, std::size_t) { throw std::runtime_error("enough"); };
  EXPECT_THROW(evaluate(f.pred(), f.gt(), o), std::runtime_error);
}

TEST(Evaluate, WorstFirst) {
  const MapFolders f;
  f.put_discs(6);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_THAT(worst_images(e, "S", 2), ElementsAre(5, 4));
  EXPECT_THAT(worst_images(e, "MAE", 1), ElementsAre(5));
  EXPECT_THAT(worst_images(e, "S", 100), SizeIs(6));
  EXPECT_THROW(worst_images(e, "overall_iou", 1), UsageError);
}

TEST(Published, KnownDataSetsHaveVerifiedRows) {
  ASSERT_NE(find_published("COD10K"), nullptr);
  EXPECT_EQ(find_published("cod-10k"), find_published("COD10K"));
  EXPECT_EQ(find_published("DUTS_TE")->dataset, "DUTS-TE");
  // Of the polyp sets only a third party's table was read, and they say so.
  for (const PublishedResult& r : published_results()) {
    EXPECT_EQ(r.second_hand, r.task == "polyp") << r.dataset;
    EXPECT_EQ(r.source.starts_with("second-hand"), r.second_hand) << r.dataset;
  }
  EXPECT_EQ(find_published(""), nullptr);
  for (const PublishedResult& r : published_results()) {
    EXPECT_FALSE(r.source.empty());
    const std::vector<TableColumn> columns = table_columns(r.task);
    for (const MetricValue& v : r.values) {
      EXPECT_TRUE(
          std::any_of(columns.begin(), columns.end(), [&](const TableColumn& c) { return c.key == v.key; }))
          << r.dataset << v.key;
    }
  }
}

TEST(Evaluate, AMapThatDiffersInHeightAloneIsResizedToo) {
  const MapFolders f;
  const Image truth = disc(40, 60, 20, 30, 12);
  f.put("x", disc(40, 30, 20, 15, 6), truth);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_THAT(e.failures, SizeIs(0));
  ASSERT_THAT(e.images, SizeIs(1));
  EXPECT_TRUE(e.images[0].resized);
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("40x30 for 40x60")));
  EXPECT_EQ(e.images[0].height, 60);
}

TEST(Evaluate, WhatIsLeftOutOfTheMeansIsNoneOfTheWorst) {
  const MapFolders f;
  f.put_discs(3);
  f.put("z", disc(30, 30, 15, 15, 9), Image(30, 30, 1));  // nothing is there: S is 0.7 or so, E_adp 0
  EvaluateOptions o;
  o.empty = EmptyPolicy::skip;
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  EXPECT_FALSE(e.images[3].counted);
  EXPECT_THAT(worst_images(e, "E_adp", 10), ElementsAre(2, 1, 0));
}

// The picture that is left out stands first, so that those behind it move up.
TEST(Evaluate, TheMeansAreOfThosePicturesThatCount) {
  const MapFolders f;
  f.put("a", disc(60, 40, 20, 20, 9), Image(60, 40, 1));
  f.put("b", disc(60, 40, 20, 20, 9), disc(60, 40, 20, 20, 9));
  std::ofstream(f.pred() / "c.png") << "no picture";
  write_png(f.gt() / "c.png", disc(60, 40, 20, 20, 9));
  f.put("d", Image(60, 40, 1), disc(60, 40, 20, 20, 12));
  EvaluateOptions o;
  o.empty = EmptyPolicy::skip;
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  EXPECT_EQ(e.counted, 2u);
  EXPECT_NEAR(e.value("sample_iou"), 0.5, 1e-12);  // 1 and 0
  std::size_t drawn = 0;
  for (const std::uint8_t v : disc(60, 40, 20, 20, 12).pixels) drawn += v == 255 ? 1 : 0;
  EXPECT_NEAR(e.value("MAE"), static_cast<double>(drawn) / (60 * 40) / 2, 1e-12);
}

TEST(Evaluate, PicturesThatAreMissingAreSaidAndRefusedUnderStrict) {
  const MapFolders f;
  f.put_discs(2);
  std::filesystem::create_directories(f.images());
  write_png(f.images() / "p_a.png", Image(60, 40, 3));
  EvaluateOptions o;
  o.pictures = f.images();
  o.picture_affix.prefix = "p_";
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  EXPECT_THAT(e.warnings, ElementsAre(HasSubstr("no partner in " + f.images().string() + ": b.png")));
  EXPECT_THAT(e.unpaired, ElementsAre(f.gt() / "b.png"));
  EXPECT_EQ(e.images[0].picture, f.images() / "p_a.png");
  EXPECT_TRUE(std::isfinite(test::value_of(e, e.images[0], "CCM")));
  EXPECT_TRUE(std::isnan(test::value_of(e, e.images[1], "CCM")));
  o.strict = true;
  EXPECT_THAT(message_of<UsageError>([&] { evaluate(f.pred(), f.gt(), o); }), HasSubstr("b.png"));
}

TEST(Evaluate, APictureOfAnotherSizeThanItsTruthIsNotMeasuredWith) {
  const MapFolders f;
  f.put_discs(1);
  std::filesystem::create_directories(f.images());
  EvaluateOptions o;
  o.pictures = f.images();
  for (const Image& other : {Image(60, 41, 3), Image(61, 40, 3)}) {
    write_png(f.images() / "a.png", other);
    const Evaluation e = evaluate(f.pred(), f.gt(), o);
    EXPECT_THAT(e.failures, SizeIs(0));
    EXPECT_EQ(e.counted, 1u);
    EXPECT_TRUE(std::isnan(e.value("CCM")));
  }
}

TEST(Evaluate, AffixesOfPredictions) {
  const MapFolders f;
  f.put_discs(2);
  for (const char* name : {"a", "b"})
    std::filesystem::rename(f.pred() / (std::string(name) + ".png"),
                            f.pred() / ("sal_" + std::string(name) + "_p.png"));
  EvaluateOptions o;
  o.prediction_affix = {"sal_", "_p"};
  EXPECT_EQ(evaluate(f.pred(), f.gt(), o).counted, 2u);
}

TEST(Evaluate, LimitsOfNumbersAreReached) {
  const MapFolders f;
  f.put_discs(1);
  EvaluateOptions o;
  const auto refused = [&] { return message_of<UsageError>([&] { evaluate(f.pred(), f.gt(), o); }); };
  o.resamples = 1;
  o.threads = 1024;
  o.predicting = 4096;
  EXPECT_EQ(refused(), "");
  o.threads = 1025;
  EXPECT_THAT(refused(), HasSubstr("threads"));
  o.threads = 1;
  o.predicting = 4097;
  EXPECT_THAT(refused(), HasSubstr("predicting"));
  o.predicting = 0;
  o.resamples = 1000001;
  EXPECT_THAT(refused(), HasSubstr("resamples"));
}

TEST(Evaluate, AFolderIsNamedByItsLastPartWhereverTheSlashes) {
  const MapFolders f;
  f.put_discs(1);
  EXPECT_EQ(evaluate(f.pred() / "", f.gt()).name, "maps");
  EXPECT_EQ(evaluate(f.pred() / ".", f.gt()).name, "maps");
  EvaluateOptions o;
  o.name = "mine";
  EXPECT_EQ(evaluate(f.pred(), f.gt(), o).name, "mine");
}

TEST(Evaluate, OnlyTheClassicMeasuresWhereAskedFor) {
  const MapFolders f;
  f.put_discs(2);
  EvaluateOptions o;
  const Evaluation all = evaluate(f.pred(), f.gt(), o);
  o.classic_only = true;
  const Evaluation some = evaluate(f.pred(), f.gt(), o);
  for (const char* key : {"S", "E_max", "fm.max", "wF", "MAE"})
    EXPECT_EQ(some.value(key), all.value(key)) << key;
  for (const char* key : {"HCE", "MSIoU.mean", "MSIoU.max", "SIMAE", "overall_SIfm.mean", "overall_SIfm.max",
                          "overall_SIfm.bin", "BIoU", "HD95", "mirror.MAE", "mirror.F"}) {
    EXPECT_TRUE(std::isnan(some.value(key))) << key;
    EXPECT_TRUE(std::isfinite(all.value(key))) << key;
  }
}

// The same resamples for the same seed, others for another.
TEST(Evaluate, IntervalsAreOfTheSeed) {
  const MapFolders f;
  f.put_discs(6);
  EvaluateOptions o;
  o.resamples = 30;
  const auto low = [&](std::uint64_t seed) {
    o.seed = seed;
    const Evaluation e = evaluate(f.pred(), f.gt(), o);
    EXPECT_EQ(e.seed, seed);
    return std::find_if(e.dataset.begin(), e.dataset.end(), [](const auto& v) { return v.key == "MAE"; })
        ->low;
  };
  EXPECT_EQ(low(3), low(3));
  EXPECT_NE(low(3), low(4));
}

// A good prediction, and a ground truth whose foreground has this level.
void put_truth_of(const MapFolders& f, const std::string& name, int level) {
  Image truth = disc(30, 30, 15, 15, 5);
  for (auto& v : truth.pixels) v = v != 0 ? static_cast<std::uint8_t>(level) : 0;
  f.put(name, disc(30, 30, 15, 15, 5), truth);
}

TEST(Evaluate, SomeOfManyDimTruthsAreNamed) {
  const MapFolders f;
  for (int i = 0; i < 5; ++i) put_truth_of(f, std::string(1, static_cast<char>('a' + i)), i + 2);
  const Evaluation e = evaluate(f.pred(), f.gt());
  EXPECT_THAT(e.warnings,
              ElementsAre(testing::AllOf(HasSubstr("5 of 5 ground truths"), HasSubstr("highest level is 6: "),
                                         HasSubstr("numbers of classes"),
                                         HasSubstr("(a.png, b.png, c.png and 2 more)"))));
}

// Foreground is what lies above 128, so that 128 itself is none.
TEST(Evaluate, AHighestLevelOf128IsDimAndOf129IsNot) {
  for (const int level : {128, 129}) {
    const MapFolders f;
    put_truth_of(f, "a", level);
    const Evaluation e = evaluate(f.pred(), f.gt());
    if (level == 129) {
      EXPECT_EQ(e.dim_truths, 0u);
      EXPECT_THAT(e.warnings, testing::IsEmpty());
      continue;
    }
    EXPECT_EQ(e.dim_truths, 1u);
    EXPECT_THAT(e.warnings, ElementsAre(testing::AllOf(HasSubstr("1 of 1 ground truths"),
                                                       HasSubstr("is 128: multiply them by 1.99"))));
  }
}

// Numbers of classes are few; from 64 on they are taken for levels.
TEST(Evaluate, LowLevelsAreTakenForClassesUpTo63) {
  for (const int level : {63, 64}) {
    const MapFolders f;
    put_truth_of(f, "a", level);
    EXPECT_THAT(evaluate(f.pred(), f.gt()).warnings,
                ElementsAre(HasSubstr(
                    level == 63 ? "is 63: if these are numbers of classes, write 255 for those that "
                                  "are foreground (a.png)"
                                : "is 64: multiply them by 3.98 (a.png)")));
  }
}

TEST(Evaluate, APredictionOfAnotherSizeIsTold) {
  const MapFolders f;
  f.put_discs(2);
  EvaluateOptions o;
  o.pictures = f.pred();
  const Predictor half = [](const ImageView& picture) {
    return Image(picture.width / 2, picture.height / 2, 1);
  };
  EXPECT_THAT(
      evaluate(half, f.gt(), o).warnings,
      ElementsAre("2 of 2 predictions have another size than their ground truth and were resized bilinearly "
                  "(the prediction is 30x20 for 60x40)"));
  EXPECT_EQ(evaluate(half, f.gt(), o).name, "maps");
  o.strict = true;
  EXPECT_THAT(
      message_of<UsageError>([&] { evaluate(half, f.gt(), o); }),
      HasSubstr("2 of 2 predictions have another size than their ground truth (the prediction is 30x20 for "
                "60x40): predict at the pictures' own size"));
}

TEST(Evaluate, PicturesAreTurnedAsExifSaysUnlessToldOtherwise) {
  const MapFolders f;
  std::filesystem::copy_file(test::repository_data() / "image" / "files" / "exif6.jpg", f.gt() / "a.jpg");
  const Image stored =
      read_image(f.gt() / "a.jpg", {.mode = ColorMode::gray, .apply_exif_orientation = false});
  write_png(f.pred() / "a.png", Image(stored.height, stored.width, 1));
  EXPECT_FALSE(evaluate(f.pred(), f.gt()).images.at(0).resized);
  EvaluateOptions o;
  o.apply_exif_orientation = false;
  const Evaluation e = evaluate(f.pred(), f.gt(), o);
  EXPECT_TRUE(e.images.at(0).resized);
  EXPECT_EQ(e.images[0].width, stored.width);
}

TEST(Evaluate, FilesThatAreNotReadAreSaid) {
  const MapFolders f;
  f.put_discs(1);
  std::ofstream(f.gt() / "IMG_7.HEIC") << "x";
  EXPECT_THAT(evaluate(f.pred(), f.gt()).warnings, ElementsAre(HasSubstr("IMG_7.HEIC")));
}

TEST(Evaluate, APredictorThatFailsIsAFailureOfItsPicture) {
  const MapFolders f;
  f.put_discs(3);
  EvaluateOptions o;
  o.pictures = f.pred();
  const Predictor predictor = [](const ImageView& picture) {
    if (picture.width == 61) throw Error("b is too much");
    return Image(picture.width, picture.height, 1);
  };
  const Evaluation e = evaluate(predictor, f.gt(), o);
  EXPECT_EQ(e.counted, 2u);
  ASSERT_THAT(e.failures, SizeIs(1));
  EXPECT_EQ(e.failures[0].file, f.pred() / "b.png");
  EXPECT_EQ(e.failures[0].message, "b is too much");
  EXPECT_EQ(e.images[1].picture, f.pred() / "c.png");
  EXPECT_EQ(e.images[1].prediction, "");
  EXPECT_THROW(evaluate(Predictor(), f.gt(), o), UsageError);
}

}  // namespace
}  // namespace sam2unet
