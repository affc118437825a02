// What a run says of itself, starts from, is split into and goes on with.
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <tuple>

#include "formats/tensor_file.h"
#include "model/tensor_table.h"
#include "sam2unet/errors.h"
#include "train/data.h"
#include "train/multi_scale.h"
#include "train/start.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A frozen trunk of random numbers is nothing that a newcomer means.
TEST_F(Training, AFrozenTrunkOfRandomNumbersIsRefused) {
  settings.frozen_scratch = false;
  EXPECT_THAT(message_of([&] { train(); }), AllOf(HasSubstr("random numbers"), HasSubstr("--init default"),
                                                  HasSubstr("--freeze none"), HasSubstr("--frozen-scratch")));
  EXPECT_FALSE(fs::exists(settings.out));
  settings.epochs = 1;
  settings.freeze = Freeze::none;
  EXPECT_TRUE(train().finished);
}

TEST_F(Training, TheStartIsValidatedAndKeptWhereNothingIsBetter) {
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.epochs = 8;
  settings.lr = 2e-3;
  settings.freeze = Freeze::none;
  train();
  const fs::path trained = fs::path(settings.out) / "last.safetensors";
  settings.init = trained.string();
  settings.out = (dir / "worse").string();
  settings.epochs = 2;
  settings.lr = 0.5;  // destroys what was learned
  listen();
  const RunResult r = train();
  EXPECT_EQ(r.best_epoch, 0);
  EXPECT_EQ(r.best, r.start);
  EXPECT_THAT(said, AllOf(HasSubstr("start: mean Dice 0."), HasSubstr("no epoch was better than the start")));
  EXPECT_EQ(bytes("best.safetensors"), read_file(trained));
  EXPECT_NE(bytes("last.safetensors"), read_file(trained));
  // The first row is the start's.
  const auto row = nlohmann::json::parse(text("log.jsonl").substr(0, text("log.jsonl").find('\n')));
  EXPECT_EQ(row.at("epoch"), 0);
  EXPECT_EQ(row.at("step"), 0);
  EXPECT_TRUE(row.at("loss").is_null());
  EXPECT_EQ(row.at("dice.mean").get<double>(), r.start);
  EXPECT_EQ(lines("log.csv"), 4);  // header, start, two epochs
}

TEST_F(Training, TheRecordSaysWhatTheRunIsAndHowFarItCame) {
  settings.fold = {2, 3};
  settings.seed = 7;
  settings.epochs = 2;
  int asked = 0;
  listener.stop = [&] { return ++asked == 1; };
  train();
  auto j = nlohmann::json::parse(text("run.json"));
  EXPECT_EQ(j.at("status"), "stopped");
  EXPECT_EQ(j.at("epochs_done"), 0);
  const std::string started = j.at("started");
  listener.stop = [] { return false; };
  const RunResult r = train(Begin::resume);
  j = nlohmann::json::parse(text("run.json"));
  EXPECT_EQ(j.at("status"), "finished");
  EXPECT_EQ(j.at("epochs_done"), 2);
  EXPECT_EQ(j.at("steps_done"), 2);
  EXPECT_EQ(j.at("started"), started);
  EXPECT_EQ(j.at("start"), "fresh weights");
  EXPECT_EQ(j.at("seed"), 7);
  EXPECT_EQ(j.at("fold").at("index"), 2);
  EXPECT_EQ(j.at("fold").at("count"), 3);
  EXPECT_EQ(j.at("pictures").at("train"), 4);
  EXPECT_EQ(j.at("pictures").at("validation"), 2);
  EXPECT_EQ(j.at("metric"), "dice.mean");
  EXPECT_EQ(j.at("best").at("value").get<double>(), r.best);
  EXPECT_EQ(j.at("start_value").get<double>(), r.start);
  EXPECT_THAT(j.at("command").get<std::string>(),
              AllOf(HasSubstr("sam2unet train "), HasSubstr("--fold 2/3"), HasSubstr("--seed 7")));
}

TEST_F(Training, WeightsCarryTheSizeTheyWereTrainedAt) {
  settings.epochs = 1;
  settings.task_only = true;
  train();
  for (const char* name : {"last.safetensors", "best.safetensors", "last.task.safetensors"}) {
    const auto file = formats::TensorFile::open(fs::path(settings.out) / name);
    EXPECT_EQ(file.metadata().at("input_size"), "64") << name;
  }
}

// Resumed runs never speak of fresh weights, and can be made longer.
TEST_F(Training, CanBeMadeLonger) {
  settings.epochs = 1;
  train();
  listen();
  settings.epochs = 3;
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_THAT(said,
              AllOf(HasSubstr("resumed at epoch 2 of 3"), HasSubstr("3 epochs instead of 1: the cosine"),
                    HasSubstr("weights of "), HasSubstr("state.safetensors"), Not(HasSubstr("fresh"))));
  EXPECT_EQ(lines("log.csv"), 4);
  const std::string rows = text("log.csv");
  EXPECT_THAT(rows, HasSubstr(fmt::format("\n2,4,{},", 1e-7 + (1e-3 - 1e-7) * 0.75)));  // 1 + cos(pi / 3)
  said.clear();
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_THAT(said, HasSubstr("resumed: all 3 epochs are made"));
  settings.epochs = 2;
  EXPECT_THAT(message_of([&] { train(Begin::resume); }), HasSubstr("can only be made longer"));
}

// A data set may move while its run is stopped, but not become another.
TEST_F(Training, ResumesWhereItsPicturesHaveMovedButNotOnOthers) {
  settings.batch = 2;
  settings.save_every = 1;
  train();
  const auto wanted = bytes("last.safetensors");
  settings.out = (dir / "moved_run").string();
  int asked = 0;
  listener.stop = [&] { return ++asked == 2; };
  train();
  listener.stop = [] { return false; };
  fs::create_directories(dir / "elsewhere");
  fs::rename(dir / "images", dir / "elsewhere" / "images");
  fs::rename(dir / "masks", dir / "elsewhere" / "masks");
  settings.images = {(dir / "elsewhere" / "images").string()};
  settings.masks = {(dir / "elsewhere" / "masks").string()};
  fs::rename(dir / "elsewhere" / "images" / "3.png", dir / "3.png");
  EXPECT_THAT(message_of([&] { train(Begin::resume); }),
              AllOf(HasSubstr("not those this run was started with"), HasSubstr("5 pictures")));
  fs::rename(dir / "3.png", dir / "elsewhere" / "images" / "3.png");
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_EQ(bytes("last.safetensors"), wanted);
}

// Each batch at each size: as many steps, and the sizes of PraNet's rule.
TEST_F(Training, SeveralScalesAreStepsOfTheirOwn) {
  settings.size = 96;
  settings.multi_scale = {0.75, 1, 1.25};
  settings.epochs = 1;
  std::vector<StepReport> reports;
  listener.step = [&](const StepReport& r) { reports.push_back(r); };
  train();
  EXPECT_EQ(reports.size(), 2U);  // batches
  EXPECT_EQ(reports[1].step, 6);
  const std::string rows = text("steps.csv");
  std::vector<std::string> sizes;
  for (std::size_t at = rows.find('\n') + 1; at < rows.size(); at = rows.find('\n', at) + 1) {
    const std::string row = rows.substr(at, rows.find('\n', at) - at);
    sizes.push_back(row.substr(row.rfind(',') + 1));
  }
  EXPECT_THAT(sizes, ::testing::ElementsAre("64", "96", "128", "64", "96", "128"));
  const auto with = bytes("last.safetensors");
  settings.multi_scale = {1};
  settings.out = (dir / "one").string();
  train();
  const auto one = bytes("last.safetensors");
  EXPECT_NE(one, with);
  settings.multi_scale.clear();  // which is the same
  settings.out = (dir / "none").string();
  train();
  EXPECT_EQ(bytes("last.safetensors"), one);
}

// By the documented rule of the loop: int(round(352 * rate / 32) * 32), Python's round.
TEST(MultiScale, SizesArePranets) {
  EXPECT_EQ(training_sizes(352, {0.75, 1, 1.25}), (std::vector<int>{256, 352, 448}));
  EXPECT_EQ(training_sizes(160, {0.5, 0.7}), (std::vector<int>{64, 128}));  // 2.5 goes to 2, 3.5 to 4
  EXPECT_EQ(training_sizes(352, {}), (std::vector<int>{352}));
  EXPECT_THAT(message_of([] { training_sizes(32, {0.25}); }), HasSubstr("--multi-scale"));
}

// Against F.interpolate(..., mode='bilinear', align_corners=True) by hand.
TEST(MultiScale, ResizesWithAlignedCorners) {
  const at::Tensor t = at::tensor({0.0, 1.0, 2.0, 3.0}, at::kDouble).view({1, 2, 2, 1});
  const at::Tensor got = at_size(t, 4).view({4, 4});
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x)
      EXPECT_NEAR(got[y][x].item<double>(), 2.0 * y / 3 + 1.0 * x / 3, 1e-12) << y << " " << x;
  EXPECT_TRUE(at_size(t, 2).is_same(t));
}

// Every picture is in one fold, whatever the seed.
TEST_F(Training, FoldsArePartsOfTheWholeForEverySeed) {
  std::vector<std::string> all;
  for (int i = 1; i <= 3; ++i) {
    settings.fold = {i, 3};
    const Data data = find_data(settings, [](const std::string&) {});
    settings.seed += 1;
    const Data other = find_data(settings, [](const std::string&) {});
    ASSERT_EQ(data.validation.size(), 2U);
    EXPECT_EQ(data.train.size(), 4U);
    for (std::size_t k = 0; k < 2; ++k) {
      all.push_back(data.validation[k].image.filename());
      EXPECT_EQ(data.validation[k].image, other.validation[k].image);
    }
  }
  EXPECT_THAT(all, ::testing::UnorderedElementsAre("0.png", "1.png", "2.png", "3.png", "4.png", "5.png"));
  settings.fold = {1, 7};
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("there are 6 pictures"));
  settings.fold = {1, 3};
  settings.val_split = 0.5;
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("--val-split"));
  for (const char* bad : {"3", "0/3", "4/3", "1/1", "1/3x", "a/b", "-1/3", "1/"})
    EXPECT_THAT(message_of([&] { parse_setting("fold", bad, settings.fold); }), HasSubstr("--fold")) << bad;
}

// The command that a record and --plan give starts the same run.
TEST_F(Training, ItsCommandIsQuotedForAShell) {
  settings.images = {"a folder/it's", "b"};
  settings.masks = {"c", "d"};
  settings.decay_all = false;
  settings.multi_scale = {0.75, 1, 1.25};
  settings.loss = LossKind::dice_bce;
  settings.lr = 5e-4;
  EXPECT_THAT(
      settings.to_command(),
      AllOf(HasSubstr("sam2unet train --images 'a folder/it'\\''s' --images b --masks c --masks d"),
            HasSubstr("--no-decay-all"), HasSubstr("--multi-scale 0.75,1,1.25"), HasSubstr("--loss dice-bce"),
            HasSubstr("--lr 0.0005"), HasSubstr("--network '{"), Not(HasSubstr("--batch 12"))));
}

TEST_F(Training, ItsCommandStartsTheSameRun) {
  settings.epochs = 1;
  train();
  const auto wanted = bytes("last.safetensors");
  fs::rename(dir / "images", dir / "it's a folder");
  settings.images = {(dir / "it's a folder").string()};
  settings.out = (dir / "pasted run").string();
  std::string command = settings.to_command();
  command.replace(0, std::string("sam2unet train").size(), S2U_BIN_DIR "/sam2unet-train");
  ASSERT_EQ(std::system((command + " >/dev/null 2>&1").c_str()), 0) << command;
  EXPECT_EQ(bytes("last.safetensors"), wanted);
}

// `default` is the model that comes with the program, which SAM2UNET_MODEL may name; where no terminal is,
// lines tell what is going on.
TEST_F(Training, FinetuneStartsFromTheDefaultModel) {
  settings.epochs = 1;
  train();
  const std::string model = (fs::path(settings.out) / "last.safetensors").string();
  const fs::path out = dir / "tuned", log = dir / "said";
  const std::string command = fmt::format(
      "SAM2UNET_MODEL='{}' {}/sam2unet-train --recipe finetune --images '{}' --masks '{}' --size 64 --epochs "
      "2 "
      "--batch 3 --workers 1 --threads 1 --out '{}' >/dev/null 2>'{}'",
      model, S2U_BIN_DIR, settings.images[0], settings.masks[0], out.string(), log.string());
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  settings.out = out.string();
  const std::string stored = text("train.toml");
  EXPECT_THAT(stored, AllOf(HasSubstr("recipe = \"finetune\""), HasSubstr("init = \"" + model + "\""),
                            HasSubstr("loss = \"structure-empty\""), HasSubstr("augment = \"strong\""),
                            HasSubstr("batch = 3"), HasSubstr("freeze = \"trunk\"")));
  const auto bytes_said = read_file(log);
  const std::string lines_said(reinterpret_cast<const char*>(bytes_said.data()), bytes_said.size());
  EXPECT_THAT(lines_said,
              AllOf(HasSubstr("\nepoch 1/2: batch 1/2 loss "), HasSubstr("\nepoch 1/2: batch 2/2 "),
                    HasSubstr("\nepoch 2/2: batch 2/2 "), HasSubstr(" left\n"), Not(HasSubstr("\r"))));
}

// A file that is not there may be a model by its name; `--plan` reads the start and nothing else.
TEST_F(Training, StartsFromTheNameOfAModel) {
  settings.epochs = 1;
  train();
  fs::create_directories(dir / "models");
  fs::copy_file(fs::path(settings.out) / "last.safetensors", dir / "models" / "mine.safetensors");
  const auto plan = [&](const std::string& init) {
    return std::system(
        fmt::format("cd '{}' && SAM2UNET_MODELS=models {}/sam2unet-train --init {} --plan --memory 4G "
                    ">'{}' 2>&1",
                    dir.path().string(), S2U_BIN_DIR, init, (dir / "said").string())
            .c_str());
  };
  const auto printed = [&] {
    const auto bytes = read_file(dir / "said");
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(plan("mine"), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("--init models/mine.safetensors"));
  EXPECT_NE(plan("sam2-t"), 0);
  EXPECT_THAT(printed(), AllOf(HasSubstr("sam2-t: no such file"), HasSubstr("sam2unet models fetch sam2-t")));
}

// Fresh adapters near identity have weights of deviation .02; nothing else differs.
TEST(StartWeights, AdaptersNearIdentity) {
  const auto config = test::nano_config();
  StartWeights standard({}, config, 1), near({}, config, 1, AdapterInit::near_identity);
  double squares = 0.0;
  std::size_t count = 0, adapters = 0;
  for (const auto& spec : model::tensor_table(config)) {
    const auto usual = standard.read(spec.name, spec.shape);
    const auto got = near.read(spec.name, spec.shape);
    if (spec.part != model::Part::adapter || spec.role != model::Role::weight) {
      EXPECT_TRUE(std::equal(got.begin(), got.end(), usual.begin(), usual.end())) << spec.name;
      continue;
    }
    ++adapters;
    for (const float v : got) squares += static_cast<double>(v) * v;
    count += got.size();
  }
  EXPECT_EQ(adapters, 14U);  // two layers before each of seven blocks
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.02, 0.001);
}

TEST(TrainingConfiguration, PathsAreMeantFromTheFilesFolder) {
  const Settings s = Settings::from_toml(R"(
images = ["data/Imgs", "/abs/Imgs"]
masks = ["../GT", "/abs/GT"]
val_images = ["val/Imgs", "/abs/val"]
val_masks = ["val/GT", "../val"]
classes = "road.toml"
init = "default"
)",
                                         "/somewhere/else");
  EXPECT_THAT(s.images, ::testing::ElementsAre("/somewhere/else/data/Imgs", "/abs/Imgs"));
  EXPECT_THAT(s.masks, ::testing::ElementsAre("/somewhere/GT", "/abs/GT"));
  EXPECT_THAT(s.val_images, ::testing::ElementsAre("/somewhere/else/val/Imgs", "/abs/val"));
  EXPECT_THAT(s.val_masks, ::testing::ElementsAre("/somewhere/else/val/GT", "/somewhere/val"));
  EXPECT_EQ(s.classes, "/somewhere/else/road.toml");
  EXPECT_EQ(s.init, "default");
  EXPECT_EQ(s.out, "run");  // not named, so not beside the file
  const Settings counted = Settings::from_toml("classes = \"3\"\nout = \"mine\"\n", "/somewhere/else");
  EXPECT_EQ(counted.classes, "3");  // a number of them, not a file
  EXPECT_EQ(counted.out, "/somewhere/else/mine");
}

// A file beside the configuration comes before a model of its name.
TEST(TrainingConfiguration, InitIsAFileBesideItOrTheNameOfAModel) {
  const test::TempDir dir;
  const auto init = [&](const std::string& text) {
    return Settings::from_toml("init = \"" + text + "\"\n", dir.path()).init;
  };
  EXPECT_EQ(init("sam2-t"), "sam2-t");
  EXPECT_EQ(init("w/none.pth"), (dir / "w/none.pth").string());
  write_file(dir / "sam2-t", std::string_view("a file"));
  EXPECT_EQ(init("sam2-t"), (dir / "sam2-t").string());
}

// A file that names a recipe and little else means the recipe's values.
// `official` is train.py's: 20 epochs of 12 pictures of 352, AdamW at 1e-3 with decay 5e-4 on everything,
// cosine to 1e-7. The others are docs/training.md's.
TEST(TrainingConfiguration, TheRecipesAreWhatIsSaidOfThem) {
  Settings official, scratch, finetune;
  apply_recipe(official, Recipe::official);
  apply_recipe(scratch, Recipe::scratch);
  apply_recipe(finetune, Recipe::finetune);
  const auto schedule = [](const Settings& s) {
    return std::vector<double>{s.lr,
                               s.min_lr,
                               s.weight_decay,
                               s.warmup_epochs,
                               s.clip,
                               s.ema,
                               s.decay_all ? 1.0 : 0.0,
                               static_cast<double>(s.size),
                               static_cast<double>(s.batch),
                               static_cast<double>(s.epochs)};
  };
  EXPECT_EQ(schedule(official), (std::vector<double>{1e-3, 1e-7, 5e-4, 0, 0, 0, 1, 352, 12, 20}));
  EXPECT_EQ(schedule(scratch), (std::vector<double>{1e-3, 1e-7, 0.05, 5, 1, 0.999, 0, 352, 12, 200}));
  EXPECT_EQ(schedule(finetune), (std::vector<double>{1e-3, 1e-7, 5e-4, 0.5, 1, 0.95, 0, 352, 4, 20}));
  const auto choices = [](const Settings& s) {
    return std::tuple(s.freeze, s.augment, s.loss, s.bce, s.adapters, s.init);
  };
  EXPECT_EQ(choices(official), std::tuple(Freeze::trunk, Augment::official, LossKind::structure,
                                          Bce::effective, AdapterInit::standard, std::string(kInitScratch)));
  EXPECT_EQ(choices(scratch), std::tuple(Freeze::none, Augment::strong, LossKind::structure, Bce::effective,
                                         AdapterInit::standard, std::string(kInitScratch)));
  EXPECT_EQ(choices(finetune),
            std::tuple(Freeze::trunk, Augment::strong, LossKind::structure_empty, Bce::effective,
                       AdapterInit::near_identity, std::string(kInitDefault)));
}

TEST(TrainingConfiguration, TheRecipesValuesStandWhereAFileSaysNone) {
  const Settings s = Settings::from_toml("recipe = \"scratch\"\nepochs = 3\n");
  Settings want;
  apply_recipe(want, Recipe::scratch);
  want.epochs = 3;
  EXPECT_EQ(s.to_toml(), want.to_toml());
}

}  // namespace
}  // namespace sam2unet::train
