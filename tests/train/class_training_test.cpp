// Training of several classes: from class files to weights that know them.
#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/errors.h"
#include "train/loader.h"
#include "train/start.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ClassTraining : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    for (int i = 0; i < 6; ++i) write_class_mask(i);
    write_file(dir / "classes.toml",
               std::string_view("[[class]]\nid = 1\nname = \"disc\"\n"
                                "[[class]]\nid = 2\nname = \"stripe\"\ncolor = \"#00ffff\"\n"));
    settings.classes = (dir / "classes.toml").string();
    apply_classes(settings);
    settings.val_images = settings.images;
    settings.val_masks = settings.masks;
    settings.freeze = Freeze::none;
  }

  // The picture's disc is class 1, its lowest rows class 2, its left column ignored.
  void write_class_mask(int i, int stripe = 2) {
    Image mask(80, 60, 1);
    for (int y = 0; y < 60; ++y) {
      for (int x = 0; x < 80; ++x) {
        const bool inside = std::hypot(x - 20 - 8 * i, y - 15 - 5 * i) < 14;
        mask.row(y)[x] = static_cast<std::uint8_t>(x == 0 ? 255 : inside ? 1 : y > 50 ? stripe : 0);
      }
    }
    write_png(dir / "masks" / (std::to_string(i) + ".png"), mask);
  }
  StartWeights started(const std::string& init, const ClassTable& classes) const {
    return {init, std::nullopt, 1, AdapterInit::standard, classes};
  }
  ClassTable table() const { return read_class_table(settings.classes); }
};

TEST_F(ClassTraining, WeightsKnowTheirClassesAndTheLogEachOnesIou) {
  settings.epochs = 2;
  settings.task_only = true;
  listen();
  const RunResult r = train();
  EXPECT_TRUE(r.finished);
  EXPECT_LT(r.last_loss, r.first_loss);
  for (const char* name :
       {"last.safetensors", "best.safetensors", "last.task.safetensors", "state.safetensors"}) {
    const auto file = formats::TensorFile::open(fs::path(settings.out) / name);
    EXPECT_EQ(class_table_from_json(file.metadata().at("classes")), table()) << name;
    EXPECT_EQ(model::Config::from_json(file.metadata().at("config")).out_channels, 3) << name;
    EXPECT_EQ(file.find("head.weight")->shape[0], 3) << name;
  }
  EXPECT_THAT(said, AllOf(HasSubstr("mIoU 0."), HasSubstr("IoU background 0."), HasSubstr(", disc "),
                          HasSubstr(", stripe ")));
  EXPECT_THAT(text("log.csv"), AllOf(HasSubstr("mIoU"), HasSubstr("foreground.mDice"),
                                     HasSubstr("IoU.stripe"), Not(HasSubstr("iou.mean"))));
  EXPECT_EQ(nlohmann::json::parse(text("run.json")).at("metric"), "mIoU");
  EXPECT_FALSE(std::isnan(r.best));
}

TEST_F(ClassTraining, ResumesWithTheSameBitsAndOnlyWithTheSameClasses) {
  settings.epochs = 2;
  train();
  const auto whole = bytes("last.safetensors");
  settings.out = (dir / "parts").string();
  int asked = 0;
  listener.stop = [&] { return ++asked == 3; };
  train();
  listener.stop = [] { return false; };
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_EQ(bytes("last.safetensors"), whole);
  write_file(settings.classes,
             std::string_view("[[class]]\nid = 1\nname = \"disc\"\n[[class]]\nid = 2\nname = \"bar\"\n"));
  EXPECT_THAT(message_of<UsageError>([&] { train(Begin::resume); }),
              HasSubstr("no longer holds the classes"));
}

TEST_F(ClassTraining, WhatItStartsFrom) {
  settings.epochs = 1;
  train();
  const std::string of_classes = (fs::path(settings.out) / "last.safetensors").string();
  // One foreground.
  settings.out = (dir / "one").string();
  settings.classes.clear();
  settings.loss = LossKind::structure;
  settings.best_by = BestBy::dice;
  for (int i = 0; i < 6; ++i) write_pair(i, 255);
  train();
  const std::string of_one = (fs::path(settings.out) / "last.safetensors").string();
  settings.classes = (dir / "classes.toml").string();

  StartWeights same = started(of_classes, table());
  EXPECT_THAT(same.description(), Not(HasSubstr("fresh")));
  const auto file = formats::TensorFile::open(of_classes);
  std::vector<float> stored(static_cast<std::size_t>(file.find("head.weight")->numel()));
  copy_to(*file.find("head.weight"), std::span(stored));
  const auto head = same.read("head.weight", file.find("head.weight")->shape);
  EXPECT_TRUE(std::equal(head.begin(), head.end(), stored.begin(), stored.end()));

  StartWeights fresh = started(of_one, table());
  EXPECT_THAT(fresh.description(),
              HasSubstr("its heads are of one foreground, those of 3 classes start fresh"));
  EXPECT_EQ(fresh.config().out_channels, 3);
  EXPECT_EQ(fresh.read("head.weight", file.find("head.weight")->shape).size(), stored.size());

  EXPECT_THAT(message_of<WeightsError>([&] { started(of_classes, {}); }),
              HasSubstr("holds 3 classes; name them"));
  EXPECT_THAT(message_of<WeightsError>([&] { started(of_classes, default_class_table(4)); }),
              HasSubstr("holds 3 classes, but 4 are asked for"));
  EXPECT_THAT(message_of<WeightsError>([&] { started(of_classes, default_class_table(3)); }),
              HasSubstr("its class 1 is 'disc', not the 'class 1'"));
}

TEST_F(ClassTraining, MasksThatTeachNonsenseAreTold) {
  write_class_mask(3, 9);
  EXPECT_THAT(message_of<ImageError>([&] { train(); }),
              HasSubstr("3.png: the id 9 (711 pixels) is no class"));
  for (int i = 0; i < 6; ++i) write_pair(i, 255);  // 0 and 255
  EXPECT_THAT(message_of<UsageError>([&] { train(); }),
              HasSubstr("no training mask has a pixel of any class but"));
  write_png(dir / "masks" / "2.png", Image(40, 60, 1));
  EXPECT_THAT(message_of<ImageError>([&] { train(); }), HasSubstr("2.png is 80x60, its mask 40x60"));
}

TEST_F(ClassTraining, OptionsThatDoNotFitAreRefused) {
  settings.loss = LossKind::focal;
  EXPECT_THAT(message_of<UsageError>([&] { train(); }), HasSubstr("--loss focal is of one foreground"));
  settings.loss = LossKind::ce_dice;
  settings.best_by = BestBy::mae;
  EXPECT_THAT(message_of<UsageError>([&] { train(); }), HasSubstr("--best-by mae is of one foreground"));
  settings.best_by = BestBy::miou;
  settings.classes.clear();
  EXPECT_THAT(message_of<UsageError>([&] { train(); }), HasSubstr("--loss ce-dice is of several classes"));
}

TEST_F(ClassTraining, TomlWithClassesMeansTheirLossAndMetric) {
  const Settings s = Settings::from_toml("classes = \"4\"\n", "/base");
  EXPECT_EQ(s.classes, "4");
  EXPECT_EQ(s.loss, LossKind::ce_dice);
  EXPECT_EQ(s.best_by, BestBy::miou);
  EXPECT_EQ(Settings::from_toml("classes = \"c.toml\"\n", "/base").classes, "/base/c.toml");
  EXPECT_THAT(settings.to_command(),
              AllOf(HasSubstr("--classes "), Not(HasSubstr("--loss")), Not(HasSubstr("--best-by"))));
}

TEST_F(ClassTraining, SamplesHoldIdsOnlyWhateverIsDoneToThem) {
  const ClassTable classes = table();
  const Pair pair{dir / "images" / "1.png", dir / "masks" / "1.png"};
  for (const Augment augment : {Augment::none, Augment::official, Augment::strong}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const Sample s = load_sample(pair, 64, augment, Random(seed, 1, 2), &classes);
      for (const float v : s.mask) ASSERT_TRUE(v == 0 || v == 1 || v == 2 || v == 255) << v;
    }
  }
  // Without augmentation: Pillow's nearest neighbour of the file's ids.
  const Sample s = load_sample(pair, 64, Augment::none, Random(0, 0, 0), &classes);
  const Image want = resize_nearest(read_class_mask(pair.mask, classes), 64, 64);
  EXPECT_TRUE(std::equal(want.pixels.begin(), want.pixels.end(), s.mask.begin(), s.mask.end()));
}

}  // namespace
}  // namespace sam2unet::train
