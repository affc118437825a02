// The papers' test sets are found as their downloads name them, and judged against the published values.
#include "sam2unet/reproduce.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempDir;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Where each data set's pictures and ground truths were found, below the root.
std::vector<std::string> found(const fs::path& root) {
  std::vector<std::string> out;
  for (const DatasetFolder& d : find_datasets(root).found) {
    out.push_back(d.dataset + ": " + fs::relative(d.images, root).string() + ", " +
                  fs::relative(d.truths, root).string());
  }
  return out;
}

std::vector<std::string> found_in(const std::vector<std::string>& folders) {
  const TempDir dir;
  for (const auto& f : folders) fs::create_directories(dir / f);
  return found(dir.path());
}

TEST(Datasets, AreFoundAsTheirDownloadsNameThem) {
  EXPECT_THAT(
      found_in({"COD/TestDataset/CAMO/Imgs", "COD/TestDataset/CAMO/GT", "COD/TestDataset/CAMO/Edge",
                "COD/TestDataset/COD10K/Imgs", "COD/TestDataset/COD10K/GT", "COD/TestDataset/NC4K/Imgs",
                "COD/TestDataset/NC4K/GT", "COD/TestDataset/CHAMELEON/Imgs", "COD/TestDataset/CHAMELEON/GT",
                "COD/TrainDataset/CAMO/Imgs", "COD/TrainDataset/CAMO/GT"}),
      ElementsAre("CHAMELEON: COD/TestDataset/CHAMELEON/Imgs, COD/TestDataset/CHAMELEON/GT",
                  "CAMO: COD/TestDataset/CAMO/Imgs, COD/TestDataset/CAMO/GT",
                  "COD10K: COD/TestDataset/COD10K/Imgs, COD/TestDataset/COD10K/GT",
                  "NC4K: COD/TestDataset/NC4K/Imgs, COD/TestDataset/NC4K/GT"));
  EXPECT_THAT(found_in({"DUTS-TE/DUTS-TE-Image", "DUTS-TE/DUTS-TE-Mask", "DUTS-TR/DUTS-TR-Image",
                        "DUTS-TR/DUTS-TR-Mask", "DUT-OMRON/DUT-OMRON-image", "DUT-OMRON/pixelwiseGT-new-PNG",
                        "ECSSD/images", "ECSSD/ground_truth_mask", "HKU-IS/imgs", "HKU-IS/gt",
                        "PASCAL-S/Imgs", "PASCAL-S/GT"}),
              ElementsAre("DUTS-TE: DUTS-TE/DUTS-TE-Image, DUTS-TE/DUTS-TE-Mask",
                          "DUT-OMRON: DUT-OMRON/DUT-OMRON-image, DUT-OMRON/pixelwiseGT-new-PNG",
                          "HKU-IS: HKU-IS/imgs, HKU-IS/gt", "PASCAL-S: PASCAL-S/Imgs, PASCAL-S/GT",
                          "ECSSD: ECSSD/images, ECSSD/ground_truth_mask"));
  EXPECT_THAT(found_in({"MAS3K/train/image", "MAS3K/train/mask", "MAS3K/test/image", "MAS3K/test/mask",
                        "rmas/Test/Image", "rmas/Test/Mask", "MSD/test/image", "MSD/test/mask",
                        "PMD/test/image", "PMD/test/mask"}),
              ElementsAre("MAS3K: MAS3K/test/image, MAS3K/test/mask", "RMAS: rmas/Test/Image, rmas/Test/Mask",
                          "MSD: MSD/test/image, MSD/test/mask", "PMD: PMD/test/image, PMD/test/mask"));
  EXPECT_THAT(
      found_in({"polyp/TestDataset/Kvasir/images", "polyp/TestDataset/Kvasir/masks",
                "polyp/TestDataset/CVC-ClinicDB/images", "polyp/TestDataset/CVC-ClinicDB/masks",
                "polyp/TestDataset/CVC-ColonDB/images", "polyp/TestDataset/CVC-ColonDB/masks",
                "polyp/TestDataset/CVC-300/images", "polyp/TestDataset/CVC-300/masks",
                "polyp/TestDataset/ETIS-LaribPolypDB/images", "polyp/TestDataset/ETIS-LaribPolypDB/masks"})
          .size(),
      5u);
}

TEST(Datasets, AreFoundFourLevelsDown) {
  EXPECT_THAT(found_in({"1/2/3/CAMO/Imgs", "1/2/3/CAMO/GT", "1/2/3/4/NC4K/Imgs", "1/2/3/4/NC4K/GT"}),
              ElementsAre("CAMO: 1/2/3/CAMO/Imgs, 1/2/3/CAMO/GT"));
}

TEST(Datasets, BesideEachOtherAndInCamosOwnDownload) {
  EXPECT_THAT(found_in({"Imgs/DUT-O", "GT/DUT-O", "Imgs/other", "GT/other"}),
              ElementsAre("DUT-OMRON: Imgs/DUT-O, GT/DUT-O"));
  EXPECT_THAT(found_in({"CAMO-V.1.0-CVIU2019/Images/Test", "CAMO-V.1.0-CVIU2019/Images/Train",
                        "CAMO-V.1.0-CVIU2019/GT"}),
              ElementsAre("CAMO: CAMO-V.1.0-CVIU2019/Images/Test, CAMO-V.1.0-CVIU2019/GT"));
  const TempDir dir;  // the root itself
  fs::create_directories(dir / "ECSSD/image");
  fs::create_directories(dir / "ECSSD/mask");
  EXPECT_THAT(found(dir / "ECSSD"), ElementsAre("ECSSD: image, mask"));
}

TEST(Datasets, WhatIsPassedOverIsSaid) {
  const TempDir dir;
  for (const char* f : {"a/CAMO/Imgs", "a/CAMO/GT", "b/c/CAMO/Imgs", "b/c/CAMO/GT", "NC4K/pictures_only/x",
                        "DUTS/train/images", "DUTS/train/masks", "one/two/three/four/ECSSD/image",
                        "one/two/three/four/ECSSD/mask"})
    fs::create_directories(dir / f);
  const DatasetSearch s = find_datasets(dir.path());
  ASSERT_EQ(s.found.size(), 1u);  // DUTS is for training only, ECSSD lies too deep
  EXPECT_EQ(s.found[0].images, dir / "a/CAMO/Imgs");
  EXPECT_EQ(s.found[0].pictures_published, 250u);
  EXPECT_THAT(s.notes, Contains(AllOf(HasSubstr("CAMO is there twice"), HasSubstr("b/c/CAMO"))));
  EXPECT_THAT(s.notes, Contains(HasSubstr("NC4K, but holds no folders")));
  EXPECT_THAT(s.notes, Contains(HasSubstr("DUTS-TE, but holds no folders")));
  EXPECT_THAT(s.not_found, AllOf(Contains("ECSSD"), Not(Contains("CAMO"))));
  EXPECT_THROW(find_datasets(dir / "nowhere"), FileError);
}

TEST(Datasets, ALinkToAFolderAboveEnds) {
  const TempDir dir;
  fs::create_directories(dir / "x");
  fs::create_directory_symlink(dir.path(), dir / "x" / "loop");
  EXPECT_THAT(find_datasets(dir.path()).found, IsEmpty());
}

TEST(WeightFiles, AreChosenByTheWordsOfTheirNames) {
  const std::vector<fs::path> files{"w/SAM2-UNet-COD.pth",   "w/sam2unet_sod.safetensors",
                                    "w/SAM2-UNet-MAS3K.pth", "w/SAM2-UNet-RMAS.pth",
                                    "w/mirror.pth",          "w/SAM2-UNet-Polyp.pth"};
  const auto of = [&](const std::string& task, const std::string& name) {
    return weights_for({task, name, {}, {}, 0}, files).filename().string();
  };
  EXPECT_EQ(of("cod", "NC4K"), "SAM2-UNet-COD.pth");
  EXPECT_EQ(of("sod", "DUT-OMRON"), "sam2unet_sod.safetensors");
  EXPECT_EQ(of("marine", "MAS3K"), "SAM2-UNet-MAS3K.pth");
  EXPECT_EQ(of("marine", "RMAS"), "SAM2-UNet-RMAS.pth");
  EXPECT_EQ(of("mirror", "MSD"), "mirror.pth");
  EXPECT_EQ(of("polyp", "ETIS"), "SAM2-UNet-Polyp.pth");
  EXPECT_EQ(weights_for({"cod", "CAMO", {}, {}, 0}, std::span(files).subspan(1)), fs::path());
  const std::vector<fs::path> two{"a-cod.pth", "b-cod.pth"};
  EXPECT_THAT(message_of<UsageError>([&] {
                weights_for({"cod", "CAMO", {}, {}, 0}, two);
              }),
              AllOf(HasSubstr("a-cod.pth and b-cod.pth"), HasSubstr("CAMO")));
}

Evaluation scores(std::vector<MetricValue> values) {
  Evaluation e;
  e.dataset = std::move(values);
  e.counted = 250;
  return e;
}

// The published row of CAMO: S .884, F .861, E .932, MAE .042.
TEST(Reproduction, IsJudgedAgainstThePublishedRow) {
  const DatasetFolder camo{"cod", "CAMO", "i", "g", 250};
  const Reproduction good = compare_with_published(
      camo, "w.pth", scores({{"S", 0.886}, {"fm.adp", 0.859}, {"E_mean", 0.932}, {"MAE", 0.0415}}));
  ASSERT_EQ(good.values.size(), 4u);
  EXPECT_EQ(good.values[1].title, "F");
  EXPECT_NEAR(good.values[1].difference(), -0.002, 1e-12);
  EXPECT_TRUE(is_reproduced(good, 0.002));
  const Reproduction off = compare_with_published(
      camo, "w.pth", scores({{"S", 0.887}, {"fm.adp", 0.861}, {"E_mean", 0.932}, {"MAE", 0.042}}));
  EXPECT_FALSE(is_reproduced(off, 0.002));
  EXPECT_TRUE(is_reproduced(off, 0.01));
  EXPECT_FALSE(is_reproduced(compare_with_published(camo, "w.pth", scores({{"S", 0.884}})), 0.002));  // no F
  Reproduction failed = good;
  failed.evaluation.failures.push_back({"a.jpg", "a.jpg: damaged"});
  EXPECT_FALSE(is_reproduced(failed, 0.002));

  const std::vector<Reproduction> all{good, off};
  const auto json = nlohmann::json::parse(to_json(all, 0.002));
  EXPECT_EQ(json.at("reproduced"), false);
  EXPECT_EQ(json.at("datasets").at(0).at("reproduced"), true);
  EXPECT_EQ(json.at("datasets").at(1).at("values").at("S").at("agrees"), false);
  EXPECT_NEAR(json.at("datasets").at(1).at("values").at("S").at("difference").get<double>(), 0.003, 1e-12);
  const std::string html = to_html(all, 0.002);
  EXPECT_THAT(html,
              AllOf(HasSubstr("1 of 2 data sets"), HasSubstr("<td class=\"warn best\">+0.003</td>"),
                    HasSubstr("250 of 250 pictures"), HasSubstr("2508.03566"), Not(HasSubstr("<script"))));
}

// Each value in its own row; what was not scored, or not published, has a dash.
TEST(Reproduction, ThePageHasEveryValueInItsRow) {
  const DatasetFolder camo{"cod", "CAMO", "i", "g", 250};
  Reproduction r = compare_with_published(
      camo, "w.pth", scores({{"S", 0.886}, {"fm.adp", 0.851}, {"E_mean", NAN}, {"MAE", 0.0424}}));
  std::erase_if(r.values, [](const ReproducedValue& v) { return v.key == "MAE"; });
  EXPECT_THAT(
      to_html(std::span(&r, 1), 0.002),
      HasSubstr("<tbody><tr><td>S</td><td>0.886</td><td>0.884</td><td>+0.002</td></tr>"
                "<tr><td>F</td><td>0.851</td><td>0.861</td><td class=\"warn best\">-0.010</td></tr>"
                "<tr><td>E</td><td>&ndash;</td><td>0.932</td><td class=\"warn best\">&ndash;</td></tr>"
                "<tr><td>MAE</td><td>0.042</td><td>&ndash;</td><td>&ndash;</td></tr></tbody>"));
}

TEST(Reproduction, SecondHandRowsAreShownAndDoNotDecide) {
  const Reproduction r = compare_with_published({"polyp", "Kvasir", "i", "g", 100}, "w.pth",
                                                scores({{"dice.mean", 0.5}, {"iou.mean", 0.4}}));
  EXPECT_NEAR(r.values.at(0).difference(), 0.5 - 0.928, 1e-12);
  EXPECT_TRUE(is_reproduced(r, 0.002));
  EXPECT_THAT(to_html(std::span(&r, 1), 0.002),
              AllOf(HasSubstr("second-hand"), HasSubstr("not the papers' test set")));
}

// Facts of the listing: these rows had two digits or none before.
TEST(Published, TheSalientSetsRowsAreTheListings) {
  const auto value = [](const char* dataset, const std::string& key) {
    for (const MetricValue& v : find_published(dataset)->values) {
      if (v.key == key) return v.value;
    }
    return -1.0;
  };
  EXPECT_EQ(value("ECSSD", "S"), 0.950);
  EXPECT_EQ(value("HKU-IS", "S"), 0.941);
  EXPECT_EQ(value("HKU-IS", "E_mean"), 0.971);
  EXPECT_EQ(value("PASCAL-S", "MAE"), 0.043);
}

// A value below the published one is as far off as one above it.
TEST(Reproduction, TooLittleIsNotReproduced) {
  const DatasetFolder camo{"cod", "CAMO", "i", "g", 250};
  const Reproduction low = compare_with_published(
      camo, "w.pth", scores({{"S", 0.700}, {"fm.adp", 0.861}, {"E_mean", 0.932}, {"MAE", 0.042}}));
  EXPECT_FALSE(low.values[0].agrees(0.002));
  EXPECT_TRUE(low.values[0].agrees(0.184));
  EXPECT_FALSE(is_reproduced(low, 0.002));
}

TEST(Reproduction, JsonSaysWhatWasScoredWithWhat) {
  Reproduction r = compare_with_published({"cod", "CAMO", "i/x", "g/y", 250}, "w/a.pth",
                                          scores({{"S", 0.884}, {"fm.adp", NAN}}));
  r.evaluation.counted = 3;
  r.evaluation.failures.push_back({"a.jpg", "damaged"});
  const auto json = nlohmann::json::parse(to_json(std::span(&r, 1), 0.25));
  EXPECT_EQ(json.at("tolerance"), 0.25);
  const auto& one = json.at("datasets").at(0);
  EXPECT_EQ(one.at("dataset"), "CAMO");
  EXPECT_EQ(one.at("task"), "cod");
  EXPECT_EQ(one.at("images"), "i/x");
  EXPECT_EQ(one.at("truths"), "g/y");
  EXPECT_EQ(one.at("weights"), "w/a.pth");
  EXPECT_EQ(one.at("count"), 3);
  EXPECT_EQ(one.at("pictures_published"), 250);
  EXPECT_EQ(one.at("values").at("S").at("published"), 0.884);
  EXPECT_EQ(one.at("values").at("S").at("agrees"), true);
  EXPECT_TRUE(one.at("values").at("fm.adp").at("ours").is_null());
  EXPECT_EQ(one.at("values").at("fm.adp").at("agrees"), false);
  EXPECT_EQ(one.at("failures").at(0).at("error"), "damaged");
  EXPECT_FALSE(one.contains("passes"));
  EXPECT_THAT(to_html(std::span(&r, 1), 0.25),
              AllOf(HasSubstr("3 of 250 pictures"), HasSubstr("not the papers"), HasSubstr("damaged"),
                    HasSubstr("as the reference's test.py does")));
  r.passes = "4 tiles";
  EXPECT_EQ(nlohmann::json::parse(to_json(std::span(&r, 1), 0.25)).at("datasets").at(0).at("passes"),
            "4 tiles");
  EXPECT_THAT(to_html(std::span(&r, 1), 0.25), HasSubstr("with 4 tiles"));
}

// Numbers of test pictures of the papers.
TEST(Datasets, HowManyPicturesThePapersTestOn) {
  const TempDir dir;
  for (const char* name : {"COD10K", "NC4K", "DUTS-TE", "MSD", "Kvasir", "ETIS"}) {
    fs::create_directories(dir / name / "images");
    fs::create_directories(dir / name / "masks");
  }
  std::vector<std::string> counts;
  for (const DatasetFolder& d : find_datasets(dir.path()).found)
    counts.push_back(d.task + " " + d.dataset + " " + std::to_string(d.pictures_published));
  EXPECT_THAT(counts, ElementsAre("cod COD10K 2026", "cod NC4K 4121", "sod DUTS-TE 5019", "mirror MSD 955",
                                  "polyp Kvasir 100", "polyp ETIS 196"));
}

// A set of which nothing was published has its own values, and nothing to fall short of.
TEST(Reproduction, OfWhatWasNotPublishedHasNothingBesideIt) {
  Reproduction r = compare_with_published({"sod", "mine", "i", "g", 250}, "w/<a>.pth",
                                          scores({{"S", 0.5}, {"E_mean", 0.25}, {"MAE", 0.125}}));
  EXPECT_EQ(r.published, nullptr);
  EXPECT_THAT(r.values, IsEmpty());
  EXPECT_TRUE(is_reproduced(r, 0.002));
  r.evaluation.warnings = {"<first>", "second"};
  r.evaluation.failures = {};
  const auto one = nlohmann::json::parse(to_json(std::span(&r, 1), 0.002)).at("datasets").at(0);
  EXPECT_TRUE(one.at("source").is_null());
  EXPECT_EQ(
      one.at("values"),
      nlohmann::json::parse(R"({"S": {"ours": 0.5}, "E_mean": {"ours": 0.25}, "MAE": {"ours": 0.125}})"));
  const std::string page = to_html(std::span(&r, 1), 0.002);
  EXPECT_THAT(page, AllOf(HasSubstr("<h2>mine</h2><p>250 of 250 pictures; weights &lt;a&gt;.pth</p>"),
                          HasSubstr("<td>S</td><td>0.500</td><td>&ndash;</td><td>&ndash;</td>"),
                          HasSubstr("<p class=\"warn\">&lt;first&gt;</p><p class=\"warn\">second</p>"),
                          HasSubstr("1 of 1 data sets within 0.002 of"), Not(HasSubstr("Published:"))));
  r.evaluation.failures = {{"x.jpg", "damaged"}};
  EXPECT_FALSE(is_reproduced(r, 0.002));
}

// Each data set by itself, and all of them together.
TEST(Reproduction, JsonOfSeveral) {
  const auto row = scores({{"S", 0.884}, {"fm.adp", 0.861}, {"E_mean", 0.932}, {"MAE", 0.042}});
  std::vector<Reproduction> all{compare_with_published({"cod", "CAMO", "i", "g", 250}, "a.pth", row),
                                compare_with_published({"cod", "CAMO", "k", "l", 250}, "b.pth", row)};
  auto j = nlohmann::json::parse(to_json(all, 0.002));
  EXPECT_EQ(j.at("reproduced"), true);
  ASSERT_EQ(j.at("datasets").size(), 2U);
  EXPECT_EQ(j.at("datasets").at(1).at("images"), "k");
  EXPECT_EQ(j.at("datasets").at(1).at("truths"), "l");
  EXPECT_EQ(j.at("datasets").at(1).at("weights"), "b.pth");
  EXPECT_EQ(j.at("datasets").at(0).at("source"), all[0].published->source);
  EXPECT_EQ(
      j.at("datasets").at(0).at("values").at("fm.adp"),
      nlohmann::json::parse(R"({"ours": 0.861, "published": 0.861, "difference": 0.0, "agrees": true})"));
  all[1].evaluation.failures.push_back({"y/x.jpg", "damaged"});
  j = nlohmann::json::parse(to_json(all, 0.002));
  EXPECT_EQ(j.at("reproduced"), false);
  EXPECT_EQ(j.at("datasets").at(0).at("reproduced"), true);
  EXPECT_EQ(j.at("datasets").at(1).at("reproduced"), false);
  EXPECT_EQ(j.at("datasets").at(1).at("failures"),
            nlohmann::json::parse(R"([{"file": "y/x.jpg", "error": "damaged"}])"));
  EXPECT_EQ(nlohmann::json::parse(to_json(std::span<const Reproduction>(), 0.002)).at("datasets").size(), 0U);
}

}  // namespace
}  // namespace sam2unet
