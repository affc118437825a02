// Every key of a configuration, spelled out here once more: read, written, bounded, and what a resumed run
// may change.
#include "train/settings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet::train {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kEveryKey = R"(
images = ["/i1", "/i2"]
masks = ["/m1", "/m2"]
val_images = ["/vi"]
val_masks = ["/vm"]
recursive = true
image_suffix = "_is"
image_prefix = "ip_"
mask_suffix = "_ms"
mask_prefix = "mp_"
classes = "7"
val_split = 0.125
fold = "3/4"
size = 96
fit = "letterbox"
multi_scale = [0.5, 1.25]
augment = "none"
skip_bad = true
recipe = "scratch"
init = "/w.pth"
variant = "b+"
network = "{}"
freeze = "trunk"
frozen_scratch = true
adapters = "near-identity"
adapter_width = 11
decoder_width = 12
neck = "1x1"
batch = 13
epochs = 14
lr = 0.015
min_lr = 1.6e-5
weight_decay = 0.017
decay_all = true
warmup_epochs = 1.8
clip = 0.19
ema = 0.2
loss = "focal"
bce = "weighted"
seed = 21
device = "cuda"
precision = "bf16"
accumulate = 2
recompute = true
deterministic = true
threads = 23
workers = 24
out = "/out"
save_every = 25
best_by = "wf"
early_stop = 26
pth = true
task_only = true
sync_bn = true
dist_timeout = 27
)";

TEST(Settings, EveryKeySetsItsOwnField) {
  const Settings s = Settings::from_toml(kEveryKey);
  EXPECT_THAT(s.images, ElementsAre("/i1", "/i2"));
  EXPECT_THAT(s.masks, ElementsAre("/m1", "/m2"));
  EXPECT_THAT(s.val_images, ElementsAre("/vi"));
  EXPECT_THAT(s.val_masks, ElementsAre("/vm"));
  EXPECT_THAT((std::vector<std::string>{s.image_suffix, s.image_prefix, s.mask_suffix, s.mask_prefix,
                                        s.classes, s.init, s.variant, s.network, s.out}),
              ElementsAre("_is", "ip_", "_ms", "mp_", "7", "/w.pth", "b+", "{}", "/out"));
  EXPECT_THAT(
      (std::vector<double>{s.val_split, s.lr, s.min_lr, s.weight_decay, s.warmup_epochs, s.clip, s.ema}),
      ElementsAre(0.125, 0.015, 1.6e-5, 0.017, 1.8, 0.19, 0.2));
  EXPECT_THAT((std::vector<int>{s.size, s.adapter_width, s.decoder_width, s.batch, s.epochs, s.accumulate,
                                s.threads, s.workers, s.save_every, s.early_stop, s.dist_timeout}),
              ElementsAre(96, 11, 12, 13, 14, 2, 23, 24, 25, 26, 27));
  EXPECT_THAT((std::vector<bool>{s.recursive, s.skip_bad, s.frozen_scratch, s.decay_all, s.recompute,
                                 s.deterministic, s.pth, s.task_only, s.sync_bn}),
              ::testing::Each(true));
  EXPECT_EQ(s.fold, (Fold{3, 4}));
  EXPECT_THAT(s.multi_scale, ElementsAre(0.5, 1.25));
  EXPECT_EQ(s.seed, 21u);
  EXPECT_EQ(std::tuple(s.fit, s.augment, s.recipe, s.freeze, s.adapters, s.neck),
            std::tuple(FitChoice::letterbox, Augment::none, Recipe::scratch, Freeze::trunk,
                       AdapterInit::near_identity, NeckChoice::pointwise));
  EXPECT_EQ(std::tuple(s.loss, s.bce, s.device, s.precision, s.best_by),
            std::tuple(LossKind::focal, Bce::weighted, DeviceKind::cuda, ComputeType::bf16, BestBy::wf));
  // There and back.
  EXPECT_EQ(Settings::from_toml(s.to_toml()).to_toml(), s.to_toml());
}

// "no" of what a recipe says yes to, and numbers that are read back as the same bits.
TEST(Settings, TheTextHoldsEveryBit) {
  Settings s;
  s.decay_all = false;
  s.lr = 0.1 + 0.2;
  s.min_lr = 5e-324;
  s.clip = 3;
  s.seed = 9007199254740993;  // no float64
  s.out = "a\tb\"\\";
  const Settings back = Settings::from_toml(s.to_toml());
  EXPECT_FALSE(back.decay_all);
  EXPECT_EQ(back.lr, 0.1 + 0.2);
  EXPECT_EQ(back.min_lr, 5e-324);
  EXPECT_EQ(back.clip, 3.0);
  EXPECT_EQ(back.seed, 9007199254740993u);
  EXPECT_EQ(back.out, s.out);
}

// Each key changed alone; those of docs/training.md that may change are the ones that do not show.
std::set<std::string> noticed(Settings::Scope scope) {
  std::set<std::string> out;
  Settings::visit(std::as_const(*std::make_unique<Settings>()),
                  [&](const char*, const char* key, const auto&, const char*) {
                    Settings a, b;
                    Settings::visit(b, [&](const char*, const char* other, auto& field, const char*) {
                      if (std::string_view(key) != other) return;
                      using T = std::decay_t<decltype(field)>;
                      if constexpr (std::is_same_v<T, bool>) {
                        field = !field;
                      } else if constexpr (std::is_same_v<T, std::string>) {
                        field += "x";
                      } else if constexpr (std::is_same_v<T, Fold>) {
                        field = {1, 2};
                      } else if constexpr (Choice<T>) {
                        for (const auto& [choice, name] : ChoiceNames<T>::all)
                          if (choice != T(field)) field = choice;
                      } else if constexpr (requires { field.emplace_back(); }) {
                        field.emplace_back();
                      } else {
                        field += 1;
                      }
                    });
                    if (!Settings::differences(a, b, scope).empty()) out.insert(key);
                  });
  return out;
}

TEST(Settings, AResumedRunMayBeLongerAndMovedAndNothingElse) {
  const std::set<std::string> running = noticed(Settings::Scope::processes),
                              resumed = noticed(Settings::Scope::resumed);
  const std::set<std::string> files{"epochs", "images", "masks", "val_images", "val_masks", "init"};
  std::set<std::string> only_running;
  std::set_difference(running.begin(), running.end(), resumed.begin(), resumed.end(),
                      std::inserter(only_running, only_running.end()));
  EXPECT_EQ(only_running, files);
  for (const char* key : {"out", "workers", "save_every", "early_stop", "pth", "task_only", "skip_bad",
                          "recompute", "dist_timeout", "frozen_scratch"})
    EXPECT_EQ(running.count(key), 0u) << key;
  for (const char* key :
       {"lr",          "min_lr",  "weight_decay", "decay_all", "warmup_epochs", "clip",    "ema",
        "loss",        "bce",     "seed",         "batch",     "accumulate",    "size",    "fit",
        "multi_scale", "augment", "freeze",       "adapters",  "precision",     "fold",    "val_split",
        "classes",     "network", "variant",      "neck",      "best_by",       "sync_bn", "threads"})
    EXPECT_EQ(resumed.count(key), 1u) << key;
}

struct Bound {
  const char* option;
  void (*set)(Settings&);
};

TEST(Settings, WhatCannotBeMeantIsNamed) {
  Settings good;
  good.images = good.masks = {"d"};
  EXPECT_NO_THROW(good.validate());
  const std::vector<Bound> bounds{
      {"--batch 0", +[](Settings& s) { s.batch = 0; }},
      {"--epochs 0", +[](Settings& s) { s.epochs = 0; }},
      {"--accumulate 13", +[](Settings& s) { s.accumulate = 13; }},  // of a batch of 12
      {"--accumulate 0", +[](Settings& s) { s.accumulate = 0; }},
      {"--lr -1", +[](Settings& s) { s.lr = -1; }},
      {"--lr nan", +[](Settings& s) { s.lr = std::nan(""); }},
      {"--min-lr -1", +[](Settings& s) { s.min_lr = -1; }},
      {"--weight-decay 1.5", +[](Settings& s) { s.weight_decay = 1.5; }},
      {"--warmup-epochs -1", +[](Settings& s) { s.warmup_epochs = -1; }},
      {"--clip -1", +[](Settings& s) { s.clip = -1; }},
      {"--ema 1", +[](Settings& s) { s.ema = 1; }},
      {"--val-split 0.95", +[](Settings& s) { s.val_split = 0.95; }},
      {"--multi-scale 0.125",
       +[](Settings& s) {
         s.multi_scale = {1, 0.125};
       }},
      {"--workers 0", +[](Settings& s) { s.workers = 0; }},
      {"--threads -1", +[](Settings& s) { s.threads = -1; }},
      {"--dist-timeout 0", +[](Settings& s) { s.dist_timeout = 0; }},
      {"--fold says",
       +[](Settings& s) {
         s.fold = {1, 2}, s.val_images = s.val_masks = {"v"};
       }},
      {"--images DIR and --masks DIR", +[](Settings& s) { s.images = s.masks = {}; }},
      {"--images and --masks must", +[](Settings& s) { s.masks.emplace_back("e"); }},
      {"--images and --masks must", +[](Settings& s) { s.images.emplace_back("e"); }},
      {"--val-images and --val-masks must", +[](Settings& s) { s.val_images = {"v"}; }},
      {"--val-images and --val-masks must", +[](Settings& s) { s.val_masks = {"v"}; }},
      {"--precision tf32", +[](Settings& s) { s.precision = ComputeType::tf32; }},
  };
  for (const Bound& b : bounds) {
    Settings bad = good;
    b.set(bad);
    EXPECT_THAT(test::message_of<UsageError>([&] { bad.validate(); }), HasSubstr(b.option));
  }
}

TEST(Settings, TheCommandLeavesOutWhatTheRecipeAndTheClassesSay) {
  Settings s;
  apply_recipe(s, Recipe::scratch);
  s.images = s.masks = {"d"};
  EXPECT_EQ(s.to_command(), "sam2unet train --recipe scratch --images d --masks d");
  s.decay_all = true;
  s.ema = 0;
  s.classes = "4";
  apply_classes(s);
  s.fold = {2, 5};
  EXPECT_EQ(
      s.to_command(),
      "sam2unet train --recipe scratch --images d --masks d --classes 4 --fold 2/5 --decay-all --ema 0.0");
}

// The last value that is taken on either side, and the next one, which is not; the message says both ends.
TEST(Settings, TheEndsOfEveryRangeAreTaken) {
  struct Range {
    const char* said;
    void (*set)(Settings&, double);
    double low, high, below, above;
  };
  const std::vector<Range> ranges{
      {"--batch {}: use 1 to 65536", +[](Settings& s, double v) { s.batch = static_cast<int>(v); }, 1, 65536,
       0, 65537},
      {"--epochs {}: use 1 to 1000000", +[](Settings& s, double v) { s.epochs = static_cast<int>(v); }, 1,
       1e6, 0, 1000001},
      {"--accumulate {}: use 1 to 12", +[](Settings& s, double v) { s.accumulate = static_cast<int>(v); }, 1,
       12, 0, 13},
      {"--lr {}: use 0 to 1000", +[](Settings& s, double v) { s.lr = v; }, 0, 1000, -0.5, 1000.5},
      {"--min-lr {}: use 0 to 1000", +[](Settings& s, double v) { s.min_lr = v; }, 0, 1000, -0.5, 1000.5},
      {"--weight-decay {}: use 0 to 1", +[](Settings& s, double v) { s.weight_decay = v; }, 0, 1, -0.5, 1.5},
      {"--warmup-epochs {}: use 0 to 1000000", +[](Settings& s, double v) { s.warmup_epochs = v; }, 0, 1e6,
       -0.5, 1000000.5},
      {"--clip {}: use 0 to 1000000000", +[](Settings& s, double v) { s.clip = v; }, 0, 1e9, -0.5,
       1000000000.5},
      {"--ema {}: use 0 to 0.999999", +[](Settings& s, double v) { s.ema = v; }, 0, 0.999999, -0.5,
       0.9999995},
      {"--val-split {}: use 0 to 0.9", +[](Settings& s, double v) { s.val_split = v; }, 0, 0.9, -0.5, 0.95},
      {"--multi-scale {}: use 0.25 to 4",
       +[](Settings& s, double v) {
         s.multi_scale = {1, v};
       },
       0.25, 4, 0.125, 4.5},
      {"--adapter-width {}: use 0 to 4096",
       +[](Settings& s, double v) { s.adapter_width = static_cast<int>(v); }, 0, 4096, -1, 4097},
      {"--decoder-width {}: use 0 to 1024",
       +[](Settings& s, double v) { s.decoder_width = static_cast<int>(v); }, 0, 1024, -1, 1025},
      {"--workers {}: use 1 to 256", +[](Settings& s, double v) { s.workers = static_cast<int>(v); }, 1, 256,
       0, 257},
      {"--threads {}: use 0 to 1024", +[](Settings& s, double v) { s.threads = static_cast<int>(v); }, 0,
       1024, -1, 1025},
      {"--dist-timeout {}: use 1 to 1000000",
       +[](Settings& s, double v) { s.dist_timeout = static_cast<int>(v); }, 1, 1e6, 0, 1000001},
  };
  for (const Range& r : ranges) {
    SCOPED_TRACE(r.said);
    Settings s;
    s.images = s.masks = {"d"};
    for (const double v : {r.low, r.high}) {
      r.set(s, v);
      EXPECT_EQ(test::message_of([&] { s.validate(); }), "") << v;
    }
    for (const double v : {r.below, r.above}) {
      r.set(s, v);
      EXPECT_EQ(test::message_of<UsageError>([&] { s.validate(); }), fmt::format(fmt::runtime(r.said), v));
    }
  }
}

// Each kind of value has a reader of its own, and each names its key.
TEST(Settings, ValuesOfTheWrongTypeAreNamed) {
  for (const char* line : {"images = \"one\"", "images = [1]", "multi_scale = 1.5", "multi_scale = [\"a\"]",
                           "seed = -1", "seed = \"1\"", "batch = \"4\"", "batch = 4.5", "recursive = \"yes\"",
                           "lr = \"a\"", "out = 3", "loss = 3", "fold = 3", "recipe = 1", "classes = 4"}) {
    const std::string key(line, std::string_view(line).find(' '));
    EXPECT_EQ(test::message_of<FormatError>([&] { Settings::from_toml(line); }),
              "configuration: the value of " + key + " has the wrong type")
        << line;
  }
  EXPECT_EQ(Settings::from_toml("lr = 1").lr, 1.0);  // a whole number is a number
  EXPECT_EQ(Settings::from_toml("seed = 0").seed, 0u);
  EXPECT_THAT(test::message_of<FormatError>([] { Settings::from_toml("lr = 1\nbatch = = 2\n"); }),
              ::testing::StartsWith("configuration: line 2: "));
  EXPECT_EQ(test::message_of<UsageError>([] { Settings::from_toml("batches = 2"); }),
            "configuration: unknown key batches");
  EXPECT_EQ(test::message_of<UsageError>([] { Settings::from_toml("early-stop = 2"); }),
            "configuration: unknown key early-stop");
}

TEST(Settings, ChoicesAndFoldsSayWhatThereIs) {
  const auto refusal = [](const char* text) {
    return test::message_of<UsageError>([&] { Settings::from_toml(text); });
  };
  EXPECT_EQ(refusal("best_by = \"auc\""), "--best-by auc: use one of dice, iou, mae, s, wf, e, f, miou");
  EXPECT_EQ(refusal("precision = \"f16\""), "--precision f16: use one of f32, f64, bf16, tf32");
  EXPECT_EQ(refusal("fold = \"0/2\""), "--fold 0/2: give I/K, such as 2/5: part 2 of 5");
  Fold fold{2, 3};
  parse_setting("fold", "", fold);
  EXPECT_EQ(fold, Fold{});
  parse_setting("fold", "2/2", fold);
  EXPECT_EQ(fold, (Fold{2, 2}));
}

TEST(Settings, DifferencesNameBothValues) {
  Settings a, b;
  b.lr = 5e-4;
  b.loss = LossKind::focal;
  b.fold = {2, 5};
  EXPECT_THAT(Settings::differences(a, b, Settings::Scope::resumed),
              ElementsAre("fold (\"\" before, \"2/5\" now)", "lr (0.001 before, 0.0005 now)",
                          "loss (\"structure\" before, \"focal\" now)"));
  EXPECT_TRUE(Settings::differences(b, b, Settings::Scope::processes).empty());
}

// A comment and a line for each key, in the order of the groups; control characters as TOML spells them.
TEST(Settings, TheTextIsAFileForPeople) {
  Settings s;
  s.images = {"a b", "c\x1f"};
  s.multi_scale = {0.5, 1};
  const std::string text = s.to_toml();
  EXPECT_THAT(text, ::testing::StartsWith(
                        "# Folder of training pictures, or a pattern ('Imgs/*.jpg'); repeat for several data "
                        "sets\nimages = [\"a b\", \"c\\u001F\"]\n# Folder of their masks, one per --images\n"
                        "masks = []\n"));
  EXPECT_THAT(text, AllOf(HasSubstr("\nmulti_scale = [0.5, 1.0]\n"), HasSubstr("\nfold = \"\"\n"),
                          HasSubstr("\nlr = 0.001\n"), HasSubstr("\nmin_lr = 1e-07\n"),
                          HasSubstr("\ndecay_all = true\n"), HasSubstr("\nseed = 1\n")));
  EXPECT_EQ(Settings::from_toml(text).images, s.images);
  s.images = {""};
  EXPECT_THAT(s.to_command(), HasSubstr(" --images '' "));
}

// Every choice by the name that stands in the documentation, there and back.
TEST(Choices, HaveTheirNamesBothWays) {
  const auto both = [](auto value, std::string_view name) {
    EXPECT_EQ(name_of(value), name);
    EXPECT_EQ(choice_of<decltype(value)>(name), value) << name;
  };
  both(Recipe::official, "official");
  both(Recipe::scratch, "scratch");
  both(Recipe::finetune, "finetune");
  both(Freeze::trunk, "trunk");
  both(Freeze::none, "none");
  both(LossKind::structure, "structure");
  both(LossKind::structure_empty, "structure-empty");
  both(LossKind::dice_bce, "dice-bce");
  both(LossKind::focal, "focal");
  both(LossKind::ce_dice, "ce-dice");
  both(Bce::effective, "effective");
  both(Bce::weighted, "weighted");
  both(AdapterInit::standard, "standard");
  both(AdapterInit::near_identity, "near-identity");
  both(Augment::none, "none");
  both(Augment::official, "official");
  both(Augment::strong, "strong");
  both(ComputeType::f32, "f32");
  both(ComputeType::f64, "f64");
  both(ComputeType::bf16, "bf16");
  both(ComputeType::tf32, "tf32");
  both(DeviceKind::cpu, "cpu");
  both(DeviceKind::cuda, "cuda");
  both(FitChoice::squash, "squash");
  both(FitChoice::letterbox, "letterbox");
  both(NeckChoice::as_start, "as-start");
  both(NeckChoice::rfb, "rfb");
  both(NeckChoice::pointwise, "1x1");
  both(BestBy::dice, "dice");
  both(BestBy::iou, "iou");
  both(BestBy::mae, "mae");
  both(BestBy::s, "s");
  both(BestBy::wf, "wf");
  both(BestBy::e, "e");
  both(BestBy::f, "f");
  both(BestBy::miou, "miou");
  EXPECT_EQ(choice_of<Recipe>("Official"), std::nullopt);
  EXPECT_EQ(choice_of<Recipe>(""), std::nullopt);
  EXPECT_EQ(choices<LossKind>(), "structure, structure-empty, dice-bce, focal, ce-dice");
}

// What fits to the one and not to the other: several classes, and a GPU.
TEST(Settings, WhatIsOfClassesAndOfGpusIsAllowedThere) {
  Settings s;
  s.images = s.masks = {"d"};
  const auto said = [&] { return test::message_of<UsageError>([&] { s.validate(); }); };
  s.best_by = BestBy::miou;
  EXPECT_EQ(said(), "--best-by miou is of several classes: name them with --classes");
  s.loss = LossKind::ce_dice;
  EXPECT_EQ(said(), "--loss ce-dice is of several classes: name them with --classes");
  s.classes = "3";
  EXPECT_EQ(said(), "");
  s.loss = LossKind::dice_bce;
  EXPECT_EQ(said(), "--loss dice-bce is of one foreground; of --classes it is ce-dice");
  s.loss = LossKind::ce_dice;
  s.best_by = BestBy::wf;
  EXPECT_EQ(said(), "--best-by wf is of one foreground; of --classes it is miou");
  s = Settings();
  s.images = s.masks = {"d"};
  s.precision = ComputeType::tf32;
  s.device = DeviceKind::cuda;
  EXPECT_EQ(said(), "");
  s.precision = ComputeType::bf16;
  s.device = DeviceKind::cpu;
  EXPECT_EQ(said(), "");
  s.fold = {1, 2};
  EXPECT_EQ(said(), "");
  s.val_split = 0.25;
  EXPECT_EQ(said(), "--fold says what to validate on; leave --val-split and --val-images away");
}

}  // namespace
}  // namespace sam2unet::train
