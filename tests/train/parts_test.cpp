// Widths, neck and letterbox of a training, there and back through weights.
#include <cmath>

#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "support/process.h"
#include "train/start.h"
#include "train/validate.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Parts : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    settings.epochs = 1;
    settings.freeze = Freeze::none;
    test::write_weights(dir / "trunk.safetensors", test::nano_config(), {}, /*only_trunk=*/true);
    test::write_weights(dir / "full.safetensors", test::nano_config());
  }
  StartWeights start(const char* file, const AskedParts& parts, std::optional<model::Config> config = {}) {
    return {file[0] == 0 ? fs::path() : dir / file, std::move(config), 1, AdapterInit::standard, {}, parts};
  }
  test::Finished program(const std::vector<std::string>& arguments) {
    test::RunOptions options;
    options.folder = dir.path();
    return test::run(test::program("sam2unet"), arguments, options);
  }
};

TEST_F(Parts, AreChosenWhereTheStartLeavesThemOpen) {
  const AskedParts wide{72, 128, NeckChoice::pointwise};
  for (const char* file : {"", "trunk.safetensors"}) {
    const model::Config c = start(file, wide, test::nano_config()).config();
    EXPECT_EQ(c.adapter_width, 72);
    EXPECT_EQ(c.decoder_width, 128);
    EXPECT_EQ(c.neck, model::NeckKind::pointwise);
  }
  EXPECT_EQ(start("full.safetensors", {}).config(), test::nano_config());
  EXPECT_EQ(start("full.safetensors", {32, 64, NeckChoice::rfb}).config(), test::nano_config());
  const std::string message = message_of<WeightsError>([&] { start("full.safetensors", wide); });
  EXPECT_THAT(message, AllOf(HasSubstr("full.safetensors: has the original's parts"), HasSubstr("72"),
                             HasSubstr("start from a SAM2 trunk")));
  // A whole configuration may say so too.
  model::Config asked = test::nano_config();
  asked.decoder_width = 32;
  EXPECT_EQ(start("trunk.safetensors", {}, asked).config().decoder_width, 32);
  EXPECT_THAT(message_of<WeightsError>([&] { start("full.safetensors", {}, asked); }),
              HasSubstr("decoder width 32"));
}

// A variant names a trunk: what stands behind it in a fork's file stays.
TEST_F(Parts, AForksFileIsTrainedAsItIs) {
  model::Config fork = test::nano_config();
  fork.adapter_width = 64;
  test::write_weights(dir / "fork.safetensors", fork);
  EXPECT_EQ(start("fork.safetensors", {}, test::nano_config()).config(), fork);
}

TEST_F(Parts, SettingsAreWrittenReadAndBounded) {
  settings.adapter_width = 48;
  settings.decoder_width = 32;
  settings.neck = NeckChoice::pointwise;
  settings.fit = FitChoice::letterbox;
  const std::string toml = settings.to_toml();
  EXPECT_THAT(toml, AllOf(HasSubstr("adapter_width = 48\n"), HasSubstr("decoder_width = 32\n"),
                          HasSubstr("neck = \"1x1\"\n"), HasSubstr("fit = \"letterbox\"\n")));
  const Settings back = Settings::from_toml(toml);
  EXPECT_TRUE(Settings::differences(settings, back, Settings::Scope::processes).empty());
  EXPECT_THAT(settings.to_command(), AllOf(HasSubstr(" --adapter-width 48"), HasSubstr(" --decoder-width 32"),
                                           HasSubstr(" --neck 1x1"), HasSubstr(" --fit letterbox")));
  EXPECT_THAT(Settings().to_command(), AllOf(Not(HasSubstr("--neck")), Not(HasSubstr("--fit"))));
  // What a shell would read otherwise is quoted.
  for (const char c : std::string(" *?[]{}$`\"\\;&|<>()!#~")) {
    Settings odd;
    odd.classes = std::string("a") + c;
    EXPECT_THAT(odd.to_command(), HasSubstr("--classes 'a" + std::string(1, c) + "'"));
  }
  settings.adapter_width = -1;
  EXPECT_THAT(message_of<UsageError>([&] { settings.validate(); }), HasSubstr("--adapter-width -1"));
  settings.adapter_width = 0;
  settings.decoder_width = 5000;
  EXPECT_THAT(message_of<UsageError>([&] { settings.validate(); }), HasSubstr("--decoder-width 5000"));
  NeckChoice neck;
  EXPECT_THAT(message_of<UsageError>([&] { parse_setting("neck", "rbf", neck); }),
              HasSubstr("--neck rbf: use one of"));
}

// Train, look into the weights, predict, evaluate: each knows what was trained, untold.
TEST_F(Parts, ATrainingsWeightsCarryThemEverywhere) {
  settings.init = (dir / "trunk.safetensors").string();
  settings.adapter_width = 8;
  settings.decoder_width = 16;
  settings.neck = NeckChoice::pointwise;
  settings.fit = FitChoice::letterbox;
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  listen();
  ASSERT_TRUE(train().finished);
  const fs::path weights = fs::path(settings.out) / "last.safetensors";
  const auto file = formats::TensorFile::open(weights);
  EXPECT_EQ(file.metadata().at("fit"), "letterbox");
  const auto config = model::Config::from_json(file.metadata().at("config"));
  EXPECT_EQ(config.adapter_width, 8);
  EXPECT_EQ(config.decoder_width, 16);
  EXPECT_EQ(config.neck, model::NeckKind::pointwise);

  const auto info = program({"info", weights.string()});
  ASSERT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out,
              AllOf(HasSubstr("adapter width 8"), HasSubstr("decoder width 16"), HasSubstr("letterbox")));
  ASSERT_EQ(program({"predict", "images", "-o", "untold", "--weights", weights.string()}).exit_code, 0);
  ASSERT_EQ(program({"predict", "images", "-o", "told", "--weights", weights.string(), "--fit", "letterbox",
                     "--size", "64"})
                .exit_code,
            0);
  ASSERT_EQ(program({"predict", "images", "-o", "squashed", "--weights", weights.string(), "--fit", "squash"})
                .exit_code,
            0);
  EXPECT_EQ(read_file(dir / "untold/0.png"), read_file(dir / "told/0.png"));
  EXPECT_NE(read_file(dir / "untold/0.png"), read_file(dir / "squashed/0.png"));

  // What validation said is what eval says of these weights.
  const auto eval = program({"eval", "--images", "images", "--gt", "masks", "--weights", weights.string(),
                             "--bootstrap", "0", "--dataset-csv", "values.csv"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const auto bytes = read_file(dir / "values.csv");
  const std::string values(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto at = values.find(",dice.mean,");
  ASSERT_NE(at, std::string::npos);
  const double scored = std::stod(values.substr(at + 11));
  const auto dice = said.rfind("mean Dice ");
  ASSERT_NE(dice, std::string::npos);
  EXPECT_NEAR(std::stod(said.substr(dice + 10)), scored, 2e-4);
  // A task-only file and a resumed run know it too.
  settings.out = (dir / "longer").string();
  settings.task_only = true;
  settings.epochs = 2;
  int asked = 0;
  listener.stop = [&] { return ++asked == 2; };
  train();
  listener.stop = [] { return false; };
  ASSERT_TRUE(train(Begin::resume).finished);
  for (const char* name : {"last.safetensors", "last.task.safetensors"})
    EXPECT_EQ(formats::TensorFile::open(fs::path(settings.out) / name).metadata().at("fit"), "letterbox");
}

TEST_F(Parts, LetterboxedSamplesKeepTheirShape) {
  const Pair pair{dir / "images/2.png", dir / "masks/2.png"};  // 80 x 60
  const Sample s = load_sample(pair, 64, Augment::none, Random(0, 0, 0), nullptr, Fit::letterbox);
  const Image picture = resize_pillow(read_image(pair.image), 64, 48, ResizeFilter::bilinear);
  constexpr float kMean[] = {0.485F, 0.456F, 0.406F}, kDeviation[] = {0.229F, 0.224F, 0.225F};
  constexpr int kPadding[] = {124, 116, 104};
  double inside = 0.0;
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) {
      const bool is_picture = y >= 8 && y < 56;
      for (int c = 0; c < 3; ++c) {
        const float level = static_cast<float>(is_picture ? picture.row(y - 8)[3 * x + c] : kPadding[c]);
        ASSERT_NEAR(s.image[static_cast<std::size_t>((y * 64 + x) * 3 + c)],
                    (level / 255 - kMean[c]) / kDeviation[c], 1e-5);
      }
      const float mask = s.mask[static_cast<std::size_t>(y * 64 + x)];
      if (!is_picture) {
        ASSERT_EQ(mask, 0.0F);
      }
      inside += mask;
    }
  EXPECT_NEAR(inside, 3.14159 * 14 * 14 * 0.8 * 0.8, 15);  // a disc stays one

  // Around ids is what is ignored, and flips take picture and mask along.
  const ClassTable table = default_class_table(256 - 1);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Sample ids = load_sample(pair, 64, Augment::official, Random(seed, 1, 2), &table, Fit::letterbox);
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x) {
        const auto at = static_cast<std::size_t>(y * 64 + x);
        const bool is_picture = y >= 8 && y < 56;
        ASSERT_EQ(ids.mask[at] == 255.0F && !is_picture, !is_picture) << seed;
      }
  }
}

}  // namespace
}  // namespace sam2unet::train
