// The papers' test sets and their published rows, each with every name that it goes by.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"
#include "sam2unet/reproduce.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Where pictures and ground truths were found, below the root.
std::vector<std::string> found_in(const std::vector<std::string>& folders) {
  const test::TempDir dir;
  for (const auto& f : folders) fs::create_directories(dir / f);
  std::vector<std::string> out;
  for (const DatasetFolder& d : find_datasets(dir.path()).found)
    out.push_back(d.dataset + ": " + fs::relative(d.images, dir.path()).string() + ", " +
                  fs::relative(d.truths, dir.path()).string());
  return out;
}

// As the papers and the listings print them.
TEST(KnownSets, PublishedRowsAreThoseOfTheSources) {
  using Row = std::map<std::string, double>;
  const std::map<std::string, Row> want{
      {"CHAMELEON", {{"S", .914}, {"fm.adp", .863}, {"E_mean", .961}, {"MAE", .022}}},
      {"CAMO", {{"S", .884}, {"fm.adp", .861}, {"E_mean", .932}, {"MAE", .042}}},
      {"COD10K", {{"S", .880}, {"fm.adp", .789}, {"E_mean", .936}, {"MAE", .021}}},
      {"NC4K", {{"S", .901}, {"fm.adp", .863}, {"E_mean", .941}, {"MAE", .029}}},
      {"DUTS-TE", {{"S", .934}, {"E_mean", .959}, {"MAE", .020}}},
      {"DUT-OMRON", {{"S", .884}, {"E_mean", .912}, {"MAE", .039}}},
      {"HKU-IS", {{"S", .941}, {"E_mean", .971}, {"MAE", .019}}},
      {"PASCAL-S", {{"S", .894}, {"E_mean", .931}, {"MAE", .043}}},
      {"ECSSD", {{"S", .950}, {"E_mean", .970}, {"MAE", .020}}},
      {"MAS3K", {{"iou.mean", .799}, {"S", .903}, {"wF", .848}, {"E_mean", .943}, {"MAE", .021}}},
      {"RMAS", {{"iou.mean", .738}, {"S", .874}, {"wF", .810}, {"E_mean", .944}, {"MAE", .022}}},
      {"MSD", {{"mirror.IoU", .918}, {"mirror.F", .957}, {"mirror.MAE", .022}}},
      {"PMD", {{"mirror.IoU", .728}, {"mirror.F", .826}, {"mirror.MAE", .027}}},
      {"Kvasir", {{"dice.mean", .928}, {"iou.mean", .879}}},
      {"CVC-ClinicDB", {{"dice.mean", .907}, {"iou.mean", .856}}},
      {"CVC-ColonDB", {{"dice.mean", .808}, {"iou.mean", .730}}},
      {"CVC-300", {{"dice.mean", .894}, {"iou.mean", .827}}},
      {"ETIS", {{"dice.mean", .796}, {"iou.mean", .723}}}};
  std::map<std::string, Row> got;
  for (const PublishedResult& r : published_results())
    for (const MetricValue& v : r.values) got[r.dataset][v.key] = v.value;
  EXPECT_EQ(got, want);
}

TEST(KnownSets, TasksAndNumbersOfPictures) {
  const test::TempDir dir;
  for (const PublishedResult& r : published_results()) {
    fs::create_directories(dir / r.dataset / "images");
    fs::create_directories(dir / r.dataset / "masks");
  }
  std::vector<std::string> got;
  const DatasetSearch search = find_datasets(dir.path());
  for (const DatasetFolder& d : search.found)
    got.push_back(d.task + " " + d.dataset + " " + std::to_string(d.pictures_published));
  EXPECT_THAT(
      got, ElementsAre("cod CHAMELEON 76", "cod CAMO 250", "cod COD10K 2026", "cod NC4K 4121",
                       "sod DUTS-TE 5019", "sod DUT-OMRON 5168", "sod HKU-IS 4447", "sod PASCAL-S 850",
                       "sod ECSSD 1000", "marine MAS3K 1141", "marine RMAS 500", "mirror MSD 955",
                       "mirror PMD 571", "polyp Kvasir 100", "polyp CVC-ClinicDB 62", "polyp CVC-ColonDB 380",
                       "polyp CVC-300 60", "polyp ETIS 196"));
  EXPECT_THAT(search.not_found, IsEmpty());
  EXPECT_THAT(search.notes, IsEmpty());
}

TEST(KnownSets, EachGoesByTheNamesOfItsDownloads) {
  const std::map<std::string, std::vector<std::string>> names{
      {"CHAMELEON", {"chameleon", "CHAMELEON_test", "CHAMELEON_TestingDataset", "Chameleon-TE", "Chamelon"}},
      {"CAMO", {"camo", "CAMO-Test", "CAMO_TE", "CAMO-V.1.0-CVIU2019", "CAMO_TestingDataset"}},
      {"COD10K", {"cod10k", "COD10K-Test", "COD10K_TE", "COD10K-v3"}},
      {"NC4K", {"nc4k", "NC4K_Test"}},
      {"DUTS-TE", {"duts_te", "DUTS-Test", "DUTS"}},
      {"DUT-OMRON", {"DUT-OMRON", "DUTS-OMRON", "DUT-O", "OMRON", "DUT_OMRON_test"}},
      {"HKU-IS", {"hku_is", "HKU"}},
      {"PASCAL-S", {"pascal_s", "PASCAL", "PASCAL-S-test"}},
      {"ECSSD", {"ecssd", "ECSSD_test"}},
      {"MAS3K", {"mas3k", "MAS3K_test"}},
      {"RMAS", {"rmas", "RMAS-test"}},
      {"MSD", {"msd", "MSD_test"}},
      {"PMD", {"pmd", "PMD-test"}},
      {"Kvasir", {"kvasir", "Kvasir-SEG", "kvasir_test"}},
      {"CVC-ClinicDB", {"cvc-clinicdb", "ClinicDB", "CVC-612"}},
      {"CVC-ColonDB", {"cvc-colondb", "ColonDB"}},
      {"CVC-300", {"cvc-300", "EndoScene", "CVC-EndoScene"}},
      {"ETIS", {"ETIS-LaribPolypDB", "etis", "ETIS-Larib"}}};
  for (const auto& [dataset, all] : names)
    for (const std::string& name : all) {
      ASSERT_NE(find_published(name), nullptr) << name;
      EXPECT_EQ(find_published(name)->dataset, dataset) << name;
    }
  for (const char* none : {"CAMO-Train", "COD", "CVC", "DUTS-TR", "SOD", "dataset"})
    EXPECT_EQ(find_published(none), nullptr) << none;
}

TEST(KnownSets, FoldersOfPicturesAndTruthsByEveryUsualName) {
  for (const char* images : {"Imgs", "Images", "image", "img", "im", "pictures"})
    EXPECT_THAT(found_in({std::string("CAMO/") + images, "CAMO/GT"}),
                ElementsAre(std::string("CAMO: CAMO/") + images + ", CAMO/GT"));
  for (const char* truths : {"GT", "masks", "mask", "gts", "GT_Object", "ground_truth_mask", "groundtruth",
                             "labels", "pixelwiseGT-new-PNG", "label"})
    EXPECT_THAT(found_in({"CAMO/Imgs", std::string("CAMO/") + truths}),
                ElementsAre(std::string("CAMO: CAMO/Imgs, CAMO/") + truths));
  for (const char* part : {"test", "TE", "testing", "TestDataset"})
    EXPECT_THAT(found_in({std::string("CAMO/") + part + "/Imgs", std::string("CAMO/") + part + "/GT",
                          "CAMO/Imgs", "CAMO/GT"}),
                ElementsAre(std::string("CAMO: CAMO/") + part + "/Imgs, CAMO/" + part + "/GT"));
  // The most usual first; what only ends in a name comes last, and two letters end too many words.
  EXPECT_THAT(found_in({"CAMO/image", "CAMO/Imgs", "CAMO/mask", "CAMO/GT"}),
              ElementsAre("CAMO: CAMO/Imgs, CAMO/GT"));
  EXPECT_THAT(found_in({"CAMO/a_img", "CAMO/pictures", "CAMO/b_mask", "CAMO/label"}),
              ElementsAre("CAMO: CAMO/pictures, CAMO/label"));
  EXPECT_THAT(found_in({"CAMO/my_gt", "CAMO/a_images"}), ElementsAre("CAMO: CAMO/a_images, CAMO/my_gt"));
  EXPECT_THAT(found_in({"CAMO/maxim", "CAMO/GT"}), IsEmpty());
  EXPECT_THAT(found_in({"CAMO/.Imgs", "CAMO/GT"}), IsEmpty());
}

// A file has a folder's name, "Imgs" before the "images" that are looked for next.
TEST(KnownSets, FilesAreNoFolders) {
  const test::TempDir dir;
  for (const char* folder : {"CAMO/images", "CAMO/masks"}) fs::create_directories(dir / folder);
  for (const char* file : {"CAMO/Imgs", "CAMO/GT", "ECSSD"}) std::ofstream(dir / file) << "x";
  const DatasetSearch search = find_datasets(dir.path());
  ASSERT_EQ(search.found.size(), 1U);
  EXPECT_EQ(search.found[0].images, dir / "CAMO" / "images");
  EXPECT_EQ(search.found[0].truths, dir / "CAMO" / "masks");
  EXPECT_THAT(search.notes, IsEmpty());
}

TEST(KnownSets, TrainingDataIsPassedOver) {
  for (const char* folder :
       {"train", "TR", "training", "TrainDataset", "my_train", "COD_TR", "val", "ValSet"})
    EXPECT_THAT(found_in({std::string(folder) + "/CAMO/Imgs", std::string(folder) + "/CAMO/GT"}), IsEmpty())
        << folder;
  for (const char* folder : {"strong", "trial", "eval", "data"})
    EXPECT_THAT(found_in({std::string(folder) + "/CAMO/Imgs", std::string(folder) + "/CAMO/GT"}).size(), 1U)
        << folder;
}

TEST(KnownSets, WeightsGoByEveryWordOfTheirTask) {
  const auto task_of = [](const std::string& dataset) { return find_published(dataset)->task; };
  const std::map<std::string, std::vector<std::string>> words{
      {"CAMO", {"cod", "camouflage", "camouflaged", "cod10k", "camo", "camoufl"}},
      {"ECSSD", {"sod", "salient", "saliency", "duts", "dutstr"}},
      {"MAS3K", {"mas3k", "marine", "mas"}},
      {"RMAS", {"rmas", "marine", "mas"}},
      {"MSD", {"msd", "mirror"}},
      {"PMD", {"pmd", "mirror"}},
      {"ETIS", {"polyp", "polyps", "kvasir", "medical"}}};
  for (const auto& [dataset, all] : words)
    for (const std::string& word : all) {
      const std::vector<fs::path> files{"w/SAM2-UNet_" + word + ".pth", "w/other.pth"};
      EXPECT_EQ(weights_for({task_of(dataset), dataset, {}, {}, 0}, files), files[0]) << dataset << word;
    }
  // The set's own word goes before the task's; a part of a word is none.
  const std::vector<fs::path> both{"marine.pth", "rmas.pth"}, part{"codec.pth"};
  EXPECT_EQ(weights_for({"marine", "RMAS", {}, {}, 0}, both), fs::path("rmas.pth"));
  EXPECT_EQ(weights_for({"cod", "CAMO", {}, {}, 0}, part), fs::path());
  EXPECT_EQ(weights_for({"cod", "unheard of", {}, {}, 0}, both), fs::path());
}

TEST(Columns, HaveTheirKeys) {
  const auto columns = [](const char* protocol) {
    std::string out;
    for (const TableColumn& c : table_columns(protocol)) out += c.title + "=" + c.key + " ";
    return out;
  };
  EXPECT_EQ(columns("common"),
            "S=S maxE=E_max mE=E_mean maxF=fm.max adpF=fm.adp wF=wF MAE=MAE mIoU=iou.mean mDice=dice.mean ");
  EXPECT_EQ(columns("cod"), "S=S F=fm.adp E=E_mean MAE=MAE ");
  EXPECT_EQ(columns("sod"), "S=S E=E_mean MAE=MAE ");
  EXPECT_EQ(columns("marine"), "mIoU=iou.mean S=S wF=wF mE=E_mean MAE=MAE ");
  EXPECT_EQ(columns("mirror"), "IoU=mirror.IoU F=mirror.F MAE=mirror.MAE ");
  EXPECT_EQ(columns("polyp"), "mDice=dice.mean mIoU=iou.mean ");
  EXPECT_THAT(test::message_of<UsageError>([] { table_columns("x"); }),
              HasSubstr("unknown protocol 'x': one of common, cod, sod, marine, mirror, polyp, all"));
}

// Errors, distances and corrections are better when they are less.
TEST(Columns, TellWhichWayIsBetter) {
  for (const char* key :
       {"S", "wF", "E_adp", "fm.mean", "iou.max", "sample_dice", "overall_pre", "MSIoU.bin", "CM", "CCM",
        "BIoU", "mirror.IoU", "mirror.acc", "kappa.mean", "spec.adp", "oa.max", "SIfm.mean"})
    EXPECT_TRUE(higher_is_better(key)) << key;
  for (const char* key : {"MAE", "fpr.mean", "sample_fpr", "ber.adp", "overall_ber", "HCE", "SIMAE", "HD95",
                          "ASSD", "mirror.MAE", "mirror.BER"})
    EXPECT_FALSE(higher_is_better(key)) << key;
}

// CAMO's download beside others of its kind: the test part of the truths too, where they have one.
TEST(KnownSets, TestPartsOfPicturesAndTruths) {
  EXPECT_THAT(found_in({"CAMO/Images/Test", "CAMO/Images/Train", "CAMO/GT/Test", "CAMO/GT/Train"}),
              ElementsAre("CAMO: CAMO/Images/Test, CAMO/GT/Test"));
  // A part that has only pictures is none; then the folder's own are taken.
  EXPECT_THAT(found_in({"CAMO/test/Imgs", "CAMO/Imgs", "CAMO/GT"}), ElementsAre("CAMO: CAMO/Imgs, CAMO/GT"));
  EXPECT_THAT(found_in({"CAMO/test/GT", "CAMO/Imgs", "CAMO/GT"}), ElementsAre("CAMO: CAMO/Imgs, CAMO/GT"));
  // The next part is looked at as well.
  EXPECT_THAT(found_in({"CAMO/test/other", "CAMO/te/Imgs", "CAMO/te/GT"}),
              ElementsAre("CAMO: CAMO/te/Imgs, CAMO/te/GT"));
}

// Within a data set too, by the folders' own names.
TEST(KnownSets, FoldersOfTrainingPicturesArePassedOver) {
  EXPECT_THAT(found_in({"CAMO/TrainImages", "CAMO/TrainMasks"}), IsEmpty());
  EXPECT_THAT(found_in({"CAMO/TrainImages", "CAMO/TrainMasks", "CAMO/Z-Images", "CAMO/Z-Masks"}),
              ElementsAre("CAMO: CAMO/Z-Images, CAMO/Z-Masks"));
}

// Of two folders for one data set the nearer one, wherever it stands in the alphabet.
TEST(KnownSets, TheNearerFolderIsTaken) {
  const test::TempDir dir;
  for (const char* folder : {"a/b/CAMO/Imgs", "a/b/CAMO/GT", "z/CAMO/Imgs", "z/CAMO/GT"})
    fs::create_directories(dir / folder);
  const DatasetSearch search = find_datasets(dir.path());
  ASSERT_EQ(search.found.size(), 1U);
  EXPECT_EQ(search.found[0].images, dir / "z/CAMO/Imgs");
  EXPECT_THAT(search.notes, ElementsAre("CAMO is there twice: " + (dir / "z/CAMO").string() + " is taken, " +
                                        (dir / "a/b/CAMO").string() + " is not"));
  EXPECT_EQ(search.not_found.size(), 17U);
}

// Where pictures and truths of a set stand beside each other neither of its folders lacks anything.
TEST(KnownSets, FoldersBesideEachOtherLackNothing) {
  const test::TempDir dir;
  for (const char* folder : {"Imgs/CAMO", "GT/CAMO", "Imgs/ECSSD"}) fs::create_directories(dir / folder);
  const DatasetSearch search = find_datasets(dir.path());
  ASSERT_EQ(search.found.size(), 1U);
  EXPECT_EQ(search.found[0].dataset, "CAMO");
  EXPECT_EQ(search.found[0].images, dir / "Imgs/CAMO");
  EXPECT_EQ(search.found[0].truths, dir / "GT/CAMO");
  EXPECT_THAT(search.notes, ElementsAre(HasSubstr((dir / "Imgs/ECSSD").string() + " is called like ECSSD")));
}

}  // namespace
}  // namespace sam2unet
