// Runs are read from their folders, whatever state these are in, and compared.
#include "sam2unet/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/run_folder.h"
#include "run_writer.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::RunWriter;
using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Runs, SettingsComeInTheOrderOfTheFileAndAsAPersonWritesThem) {
  const TempDir dir;
  RunWriter{.folder = dir / "run"}.write();
  const TrainingRun run = read_run(dir / "run");
  EXPECT_EQ(run.name, "run");
  ASSERT_EQ(run.settings.size(), 6u);
  EXPECT_EQ(run.settings[0].key, "images");
  EXPECT_EQ(run.settings[0].value, "a b/images, more");
  EXPECT_EQ(run.settings[5].key, "out");
  EXPECT_EQ(run.setting("lr"), "0.001");
  EXPECT_EQ(run.setting("seed"), "1");
  EXPECT_EQ(run.setting("nothing"), "");
  EXPECT_EQ(run.epochs_planned, 3);
}

TEST(Runs, TheBestEpochIsByTheSettingTheFirstOfEqualOnes) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  w.add_epoch(0, 0.30, 0.09);
  w.add_epoch(1, 0.21, 0.08);
  w.add_epoch(2, 0.46, 0.11);
  w.add_epoch(3, 0.46, 0.12);
  w.write();
  TrainingRun run = read_run(w.folder);
  EXPECT_EQ(run.best_key, "dice.mean");
  EXPECT_EQ(run.epochs[run.best].epoch, 2);
  EXPECT_DOUBLE_EQ(run.value("MAE"), 0.11);
  EXPECT_TRUE(std::isnan(run.epochs[0].value("loss")));  // there is none before training
  w.best_by = "mae";                                     // less is better
  w.write();
  run = read_run(w.folder);
  EXPECT_EQ(run.epochs[run.best].epoch, 1);
  w.best_by = "S";  // was not measured
  w.write();
  run = read_run(w.folder);
  EXPECT_EQ(run.best_key, "");
  EXPECT_EQ(run.epochs[run.best].epoch, 3);
}

// As the run kept it: one that is only as good as another takes nothing from it.
TEST(Runs, TheBestIsTheFirstOfTheBestOnes) {
  const TempDir dir;
  for (const char* best_by : {"dice", "mae"}) {  // more is better, and less
    RunWriter w{.folder = dir / best_by, .best_by = best_by};
    w.add_epoch(1, 0.4, 0.2);
    w.add_epoch(2, 0.5, 0.1);
    w.add_epoch(3, 0.5, 0.1);
    w.write();
    const TrainingRun run = read_run(w.folder);
    EXPECT_EQ(run.epochs[run.best].epoch, 2) << best_by;
  }
}

TEST(Runs, HalfALineIsLeftOutAndSaid) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  w.add_epoch(1, 0.5, 0.1);
  w.log.insert(w.log.end(), {"[1,2]", "{\"loss\":1}", "\xff\xfe",
                             "{\"epoch\":2,\"dice.mean\":\"high\",\"loss\":0.5}", "{\"epoch\":3,\"lo"});
  w.write();
  const TrainingRun run = read_run(w.folder);
  ASSERT_EQ(run.epochs.size(), 2u);
  EXPECT_DOUBLE_EQ(run.epochs[1].value("loss"), 0.5);
  EXPECT_TRUE(std::isnan(run.epochs[1].value("dice.mean")));
  EXPECT_THAT(run.notes, ElementsAre("4 lines of log.jsonl could not be read"));
}

TEST(Runs, AFolderThatIsNoRunsIsRefused) {
  const TempDir dir;
  EXPECT_THAT(message_of<FileError>([&] { read_run(dir / "none"); }), HasSubstr("train.toml"));
  fs::create_directories(dir / "empty");
  const fs::path empty = dir / "empty", none = dir / "none";
  EXPECT_THAT(message_of<FileError>([&] { read_runs(std::span(&empty, 1)); }), HasSubstr("empty: neither"));
  EXPECT_THAT(message_of<FileError>([&] { read_runs(std::span(&none, 1)); }), HasSubstr("No such file"));
  write_file(dir / "empty" / "train.toml", "lr = = 3\n");
  EXPECT_THAT(message_of<FormatError>([&] { read_run(empty); }), HasSubstr("train.toml: line 1"));
}

TEST(Runs, OfAFolderTheyComeByTheirNames) {
  const TempDir dir;
  std::vector<std::string> names;
  for (const char* name : {"e", "b", "h", "a", "k", "d", "g", "i", "c", "j", "f"})
    RunWriter{.folder = dir / name}.write();
  const fs::path folder = dir.path();
  for (const TrainingRun& run : read_runs(std::span(&folder, 1))) names.push_back(run.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"));
}

TEST(Runs, AFolderOfRunsIsAllOfThemAndNamesAreTold) {
  const TempDir dir;
  for (const char* name : {"b/run", "a/run", "a/other"}) RunWriter{.folder = dir / name}.write();
  const std::vector<fs::path> folders{dir / "a", dir / "b/run/"};
  const std::vector<TrainingRun> runs = read_runs(folders);
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].name, "other");
  EXPECT_EQ(runs[1].name, "a/run");
  EXPECT_EQ(runs[2].name, "b/run");
}

std::vector<TrainingRun> several(const TempDir& dir) {
  const std::vector<double> dice{0.80, 0.82, 0.87, 0.99, 0.10};
  std::vector<fs::path> folders;
  for (std::size_t i = 0; i < dice.size(); ++i) {
    RunWriter w{.folder = dir / ("run" + std::to_string(i)), .seed = std::to_string(i < 3 ? i : 1)};
    if (i == 3) w.lr = "0.01";
    w.add_epoch(1, dice[i] - 0.1, 0.2);
    w.add_epoch(2, dice[i], 0.1);
    w.write();
    folders.push_back(w.folder);
  }
  return read_runs(folders);
}

// (0.80 + 0.82 + 0.87) / 3 = 0.83; sqrt((0.03^2 + 0.01^2 + 0.04^2) / 2) = 0.0360555
TEST(Runs, ThoseThatDifferInSeedAloneHaveMeanAndDeviation) {
  const TempDir dir;
  const std::vector<TrainingRun> runs = several(dir);
  const std::vector<RunGroup> groups = group_runs(runs);
  ASSERT_EQ(groups.size(), 1u);
  // Not the one with another rate, nor the one that repeats a seed.
  EXPECT_THAT(groups[0].members, ElementsAre(0u, 1u, 2u));
  const auto dice = std::find_if(groups[0].values.begin(), groups[0].values.end(),
                                 [](const RunSpread& s) { return s.key == "dice.mean"; });
  ASSERT_NE(dice, groups[0].values.end());
  EXPECT_NEAR(dice->mean, 0.83, 1e-12);
  EXPECT_NEAR(dice->deviation, 0.0360555127546399, 1e-12);
  EXPECT_DOUBLE_EQ(dice->min, 0.80);
  EXPECT_DOUBLE_EQ(dice->max, 0.87);
  EXPECT_THAT(differing_settings(runs), ElementsAre("seed", "lr"));
}

// A value that one of the group has not has no mean.
TEST(Runs, SpreadsAreOfWhatAllHave) {
  std::vector<TrainingRun> runs(2);
  for (std::size_t i = 0; i < 2; ++i) {
    runs[i].settings = {{"seed", std::to_string(i)}};
    runs[i].epochs.resize(1);
    runs[i].epochs[0].values = {{"MAE", 0.25 + 0.5 * static_cast<double>(i)}};
  }
  runs[0].epochs[0].values.push_back({"S", 0.5});
  runs[0].epochs[0].values.push_back({"wF", 0.5});
  runs[1].epochs[0].values.push_back({"wF", NAN});
  const auto groups = group_runs(runs);
  ASSERT_EQ(groups.size(), 1u);
  ASSERT_EQ(groups[0].values.size(), 1u);
  EXPECT_EQ(groups[0].values[0].key, "MAE");
  EXPECT_DOUBLE_EQ(groups[0].values[0].mean, 0.5);
  EXPECT_DOUBLE_EQ(groups[0].values[0].deviation, std::sqrt(0.125));
}

TEST(Runs, FoldsAreAGroup) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (const char* fold : {"1/3", "2/3", "3/3"}) {
    RunWriter w{.folder = dir / ("fold" + std::string(1, fold[0])), .fold = fold};
    w.add_epoch(1, 0.5, 0.1);
    w.write();
    folders.push_back(w.folder);
  }
  const std::vector<TrainingRun> runs = read_runs(folders);
  const auto groups = group_runs(runs);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].members.size(), 3u);
  EXPECT_THAT(differing_settings(runs), ElementsAre("fold"));
}

TEST(Runs, JsonHasRunsAndGroups) {
  const TempDir dir;
  const auto json = nlohmann::json::parse(runs_json(several(dir)));
  EXPECT_EQ(json.at("runs").size(), 5u);
  EXPECT_EQ(json.at("runs").at(3).at("settings").at("lr"), "0.01");
  EXPECT_EQ(json.at("runs").at(3).at("best_epoch"), 2);
  EXPECT_DOUBLE_EQ(json.at("runs").at(3).at("values").at("dice.mean").get<double>(), 0.99);
  EXPECT_NEAR(json.at("groups").at(0).at("values").at("dice.mean").at("mean").get<double>(), 0.83, 1e-12);
  EXPECT_EQ(json.at("groups").at(0).at("runs"), (std::vector<std::string>{"run0", "run1", "run2"}));
  const auto& dice = json.at("groups").at(0).at("values").at("dice.mean");
  EXPECT_DOUBLE_EQ(dice.at("min").get<double>(), 0.80);
  EXPECT_DOUBLE_EQ(dice.at("max").get<double>(), 0.87);
  EXPECT_NEAR(dice.at("deviation").get<double>(), 0.0360555127546399, 1e-12);
  EXPECT_FALSE(json.at("groups").at(0).at("values").contains("lr"));  // is no result
}

// The start is validated too, as epoch 0, and is none.
TEST(Runs, TheStartIsNoEpoch) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  for (int epoch = 0; epoch <= 2; ++epoch) w.add_epoch(epoch, 0.5 + 0.1 * epoch, 0.1);
  w.write();
  const TrainingRun run = read_run(dir / "run");
  EXPECT_EQ(nlohmann::json::parse(runs_json(std::span(&run, 1))).at("runs").at(0).at("epochs"), 2);
}

TEST(Steps, ASampleIsSpreadOverTheWholeFile) {
  const TempDir dir;
  std::string text;
  for (int i = 1; i <= 5000; ++i) text += "{\"step\":" + std::to_string(i) + "}\n";
  write_file(dir / "steps.jsonl", text + "{\"st");
  const auto rows = report::sample_rows(dir / "steps.jsonl", 100);
  EXPECT_EQ(rows.size(), 100u);
  double last = 0;
  for (const auto& row : rows) {
    const double step = report::value_in(row, "step");
    EXPECT_GT(step, last);
    EXPECT_LT(step - last, 80);
    last = step;
  }
  EXPECT_GT(last, 4900);
  EXPECT_EQ(report::sample_rows(dir / "steps.jsonl", 100000).size(), 5000u);  // each once
  EXPECT_THAT(report::sample_rows(dir / "none.jsonl", 100), IsEmpty());
}

// Every member, in its order, and nothing else.
TEST(Runs, JsonOfOneRunWordForWord) {
  TrainingRun run;
  run.folder = "a/b";
  run.name = "n\xFF";  // no UTF-8
  run.settings = {{"lr", "0.1"}, {"out", "b"}};
  run.epochs.resize(2);
  run.epochs[0].epoch = 3;
  run.epochs[0].values = {{"loss", 0.5}, {"S", NAN}, {"wF", INFINITY}};
  run.epochs[1].epoch = 4;
  run.epochs_planned = 7;
  run.status = "stopped";
  run.best_key = "S";
  EXPECT_EQ(
      runs_json(std::span(&run, 1)),
      "{\n \"runs\": [\n  {\n   \"name\": \"n\xEF\xBF\xBD\",\n   \"folder\": \"a/b\",\n   \"epochs\": 4,\n"
      "   \"epochs_planned\": 7,\n   \"status\": \"stopped\",\n   \"best_by\": \"S\",\n   \"best_epoch\": "
      "3,\n"
      "   \"values\": {\n    \"loss\": 0.5,\n    \"S\": null,\n    \"wF\": null\n   },\n"
      "   \"settings\": {\n    \"lr\": \"0.1\",\n    \"out\": \"b\"\n   }\n  }\n ],\n \"groups\": []\n}\n");
  run.status.clear();
  EXPECT_THAT(runs_json(std::span(&run, 1)), HasSubstr("\"status\": null,"));
}

// The same seeds once more are a group of their own; settings are alike in name, value and number.
TEST(Runs, GroupsOfRepeatedSeedsAndOfOtherSettings) {
  const auto members = [](const std::vector<std::vector<RunSetting>>& settings) {
    std::vector<TrainingRun> runs(settings.size());
    for (std::size_t i = 0; i < runs.size(); ++i) {
      runs[i].name = std::to_string(i);
      runs[i].settings = settings[i];
    }
    std::vector<std::vector<std::size_t>> out;
    for (const RunGroup& g : group_runs(runs)) out.push_back(g.members);
    return out;
  };
  const auto seed = [](const char* n) { return std::vector<RunSetting>{{"lr", "1"}, {"seed", n}}; };
  EXPECT_THAT(members({seed("0"), seed("1"), seed("0"), seed("1"), seed("0")}),
              ElementsAre(ElementsAre(0u, 1u), ElementsAre(2u, 3u)));
  EXPECT_THAT(members({{{"a", "1"}, {"seed", "0"}}, {{"b", "1"}, {"seed", "1"}}}), IsEmpty());
  EXPECT_THAT(members({{{"a", "1"}, {"seed", "0"}}, {{"a", "1"}, {"b", "1"}, {"seed", "1"}}}), IsEmpty());
  EXPECT_THAT(members({{{"a", "1"}, {"b", "1"}, {"seed", "0"}}, {{"a", "1"}, {"seed", "1"}}}), IsEmpty());
}

TEST(Runs, WhatOnlyOneRunSetsDiffers) {
  std::vector<TrainingRun> runs(3);
  runs[0].settings = {{"lr", "1"}, {"same", "x"}};
  runs[1].settings = {{"same", "x"}, {"ema", "0.9"}, {"lr", "1"}, {"out", "o"}};
  runs[2].settings = {{"lr", "2"}, {"same", "x"}};
  EXPECT_THAT(differing_settings(runs), ElementsAre("lr", "ema"));
}

TEST(Runs, TheLineOfAnErrorAndWhatIsWrong) {
  const TempDir dir;
  fs::create_directories(dir / "run");
  write_file(dir / "run" / "train.toml", std::string_view("lr = 1\n\nseed = = 3\n"));
  EXPECT_THAT(message_of<FormatError>([&] { read_run(dir / "run"); }),
              testing::MatchesRegex(".*/run/train.toml: line 3: .+"));
  EXPECT_EQ(message_of<FileError>([&] { read_run(dir.path()); }),
            dir.path().string() + ": not the folder of a training run, which has a file train.toml");
}

// Rows are spread over the file's bytes; of an empty file, and of lines that are no objects, there are none.
TEST(Steps, WhatIsNoRow) {
  const TempDir dir;
  write_file(dir / "empty.jsonl", std::string_view());
  EXPECT_THAT(report::sample_rows(dir / "empty.jsonl", 10), IsEmpty());
  EXPECT_THAT(report::sample_rows(dir.path(), 10), IsEmpty());
  write_file(dir / "steps.jsonl",
             std::string_view("[1]\n{\"step\":1,\"a\":true,\"b\":\"2\"}\nnull\n{\"step\":2}"));
  const auto rows = report::sample_rows(dir / "steps.jsonl", 10);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(report::value_in(rows[0], "step"), 1);
  EXPECT_TRUE(std::isnan(report::value_in(rows[0], "a")));
  EXPECT_TRUE(std::isnan(report::value_in(rows[0], "b")));
  EXPECT_TRUE(std::isnan(report::value_in(rows[0], "c")));
  EXPECT_EQ(report::value_in(rows[1], "step"), 2);
}

// What the names of --best-by stand for in the log.
TEST(Runs, TheNamesOfBestBy) {
  const std::vector<std::pair<const char*, const char*>> keys = {
      {"mae", "MAE"},        {"s", "S"},       {"wf", "wF"},
      {"e", "E_mean"},       {"f", "fm.mean"}, {"iou", "iou.mean"},
      {"dice", "dice.mean"}, {"miou", "mIoU"}, {"other", "other"}};
  for (const auto& [option, key] : keys) EXPECT_EQ(report::criterion_key(option), key) << option;
  const TempDir dir;
  RunWriter w{.folder = dir / "run", .best_by = "f"};
  w.log = {R"({"epoch":1,"fm.mean":0.7,"fm.max":0.8})", R"({"epoch":2,"fm.mean":0.6,"fm.max":0.9})"};
  w.write();
  const TrainingRun run = read_run(w.folder);
  EXPECT_EQ(run.best_key, "fm.mean");
  EXPECT_EQ(run.epochs[run.best].epoch, 1);
}

TEST(Runs, StatusAndStepsAreRead) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  w.add_epoch(1, 0.5, 0.1);
  w.add_epoch(2, 0.6, 0.1);
  w.write();
  EXPECT_EQ(read_run(w.folder).status, "");
  write_file(dir / "run" / "run.json", std::string_view("{\"status\":\"finished\"}"));
  EXPECT_EQ(read_run(w.folder).status, "finished");
  EXPECT_EQ(read_run(w.folder).epochs[1].step, 20);
  const TrainingRun run = read_run(w.folder);
  const auto json = nlohmann::json::parse(runs_json(std::span(&run, 1))).at("runs").at(0);
  EXPECT_EQ(json.at("status"), "finished");
  EXPECT_EQ(json.at("epochs"), 2);
  EXPECT_EQ(json.at("epochs_planned"), 3);
  EXPECT_EQ(json.at("best_by"), "dice.mean");
  EXPECT_EQ(json.at("folder"), w.folder.string());
  for (const char* damaged : {"{\"status\":", "[]", "{\"status\":3}"}) {
    write_file(dir / "run" / "run.json", std::string_view(damaged));
    EXPECT_EQ(read_run(w.folder).status, "") << damaged;
  }
}

TEST(Runs, ARunThatHasNotBegunHasNoBest) {
  const TempDir dir;
  RunWriter{.folder = dir / "run"}.write();
  fs::remove(dir / "run" / "log.jsonl");
  const TrainingRun run = read_run(dir / "run");
  EXPECT_THAT(run.notes, IsEmpty());
  const auto json = nlohmann::json::parse(runs_json(std::span(&run, 1))).at("runs").at(0);
  EXPECT_EQ(json.at("epochs"), 0);
  EXPECT_TRUE(json.at("best_epoch").is_null());
  EXPECT_TRUE(json.at("best_by").is_null());
  EXPECT_TRUE(json.at("values").empty());
}

// Two folders before the name are alike too: then the whole path.
TEST(Runs, RunsOfOneNameAndOneFolderHaveTheirPaths) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (const char* name : {"x/a/run", "y/a/run"}) {
    RunWriter{.folder = dir / name}.write();
    folders.push_back(dir / name);
  }
  const std::vector<TrainingRun> runs = read_runs(folders);
  EXPECT_EQ(runs[0].name, folders[0].string());
  EXPECT_EQ(runs[1].name, folders[1].string());
}

TEST(Runs, SettingsOfEveryKindAreSpelled) {
  const TempDir dir;
  fs::create_directories(dir / "run");
  write_file(dir / "run" / "train.toml",
             std::string_view("z = true\na = 1e-5\nm = -3\nsizes = [352, \"auto\", 0.5]\n"));
  const TrainingRun run = read_run(dir / "run");
  EXPECT_EQ(run.settings.front().key, "z");
  EXPECT_EQ(run.setting("z"), "true");
  EXPECT_EQ(run.setting("a"), "1e-05");
  EXPECT_EQ(run.setting("m"), "-3");
  EXPECT_EQ(run.setting("sizes"), "352, auto, 0.5");
}

// What changes no result does not part a group; what does, does.
TEST(Runs, AGroupMayDifferInWhatChangesNoResult) {
  const auto groups = [](const std::string& key) {
    std::vector<TrainingRun> runs(2);
    for (std::size_t i = 0; i < 2; ++i) {
      runs[i].name = std::to_string(i);
      runs[i].settings = {{"lr", "0.1"}, {"seed", std::to_string(i)}, {key, std::to_string(i)}};
      if (i == 1) std::swap(runs[i].settings[0], runs[i].settings[2]);  // in whatever order
    }
    return group_runs(runs).size();
  };
  for (const char* key :
       {"workers", "threads", "save_every", "dist_timeout", "pth", "task_only", "recompute", "device", "out"})
    EXPECT_EQ(groups(key), 1u) << key;
  for (const char* key : {"batch", "ema", "size", "images"}) EXPECT_EQ(groups(key), 0u) << key;
}

// Values that the common table lacks are shown as far as they fit, those of the training not.
TEST(Runs, ColumnsOfAnotherKindOfValidation) {
  TrainingRun run;
  run.epochs.resize(1);
  run.epochs[0].values = {
      {"lr", 0.1}, {"loss", 1}, {"gradient_norm", 2}, {"seconds", 3}, {"pictures_per_s", 4}};
  for (int i = 0; i < 12; ++i) run.epochs[0].values.push_back({"v" + std::to_string(i), 0.5});
  run.epochs[0].values.push_back({"nothing", NAN});
  EXPECT_THAT(compared_keys(std::span(&run, 1)),
              ElementsAre("v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"));
  run.epochs[0].values = {{"MAE", 0.1}, {"v0", 0.5}, {"S", 0.9}};
  run.best_key = "v0";
  EXPECT_THAT(compared_keys(std::span(&run, 1)), ElementsAre("v0", "S", "MAE"));
}

}  // namespace
}  // namespace sam2unet
