// sam2unet-train as a user starts it: exit codes, what it prints, and which option comes before which.
#include <nlohmann/json.hpp>

#include "support/process.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TrainProgram : public Training {
 protected:
  test::Finished start(const std::vector<std::string>& arguments) {
    test::RunOptions options;
    options.folder = dir.path();
    options.environment = {"OMP_WAIT_POLICY=passive"};
    return test::run(test::program("sam2unet-train"), arguments, options);
  }
  const std::string network = test::nano_config().to_json();
};

// 0: something fits; 1: nothing does; 2: it was not asked well.
TEST_F(TrainProgram, APlansExitCodeSaysWhetherSomethingFits) {
  const auto fits = start({"--network", network, "--size", "96", "--plan", "--memory", "4G", "--json"});
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
  const auto j = nlohmann::json::parse(fits.out);
  EXPECT_EQ(j.at("overhead"), 512 << 20);
  EXPECT_GE(j.at("recommended"), 0);
  const auto none =
      start({"--network", network, "--size", "96", "--plan", "--memory", "600M", "--overhead", "599M"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.out, AllOf(HasSubstr("of which 599 MiB"), HasSubstr("nothing fits")));
  EXPECT_EQ(start({"--plan"}).exit_code, 2);
  EXPECT_EQ(start({"--network", network, "--plan", "--memory", "lots"}).exit_code, 2);
}

TEST_F(TrainProgram, ErrorsOfUseEndWithTwoAndOthersWithOne) {
  const auto unknown = start({"--no-such-option"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("sam2unet train: "), HasSubstr("--no-such-option")));
  EXPECT_EQ(start({"--images", "images", "--masks", "nowhere", "--network", network}).exit_code, 2);
  const auto help = start({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("--decay-all,--no-decay-all "), Not(HasSubstr("{false}"))));
  write_file(dir / "images" / "3.png", std::string_view("no picture"));
  const auto bad = start(
      {"--images", "images", "--masks", "masks", "--network", network, "--size", "32", "--freeze", "none"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, HasSubstr("3.png"));
}

// The recipe, then the options, wherever they stand.
TEST_F(TrainProgram, OptionsComeOnTopOfTheRecipe) {
  const auto plan = start({"--ema", "0.5", "--no-decay-all", "--network", network, "--size", "96", "--recipe",
                           "scratch", "--epochs", "3", "--plan", "--memory", "8G", "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(nlohmann::json::parse(plan.out).at("command").get<std::string>(),
              AllOf(HasSubstr("--recipe scratch"), HasSubstr("--ema 0.5"), HasSubstr("--epochs 3"),
                    Not(HasSubstr("--clip")), Not(HasSubstr("decay-all"))));
}

// A run is repeated from its configuration with what is said on top, and gone on with from its folder alone.
TEST_F(TrainProgram, ConfigurationsAreRepeatedAndRunsGoneOnWith) {
  settings.size = 32;
  settings.batch = 6;
  settings.epochs = 5;
  settings.lr = 2e-3;
  settings.weight_decay = 0.125;
  write_file(dir / "c.toml", settings.to_toml());
  const auto first = start({"--config", "c.toml", "--epochs", "1", "--out", "again", "--no-decay-all"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out, "again/last.safetensors\n");
  settings.out = (dir / "again").string();
  const Settings stored = Settings::from_toml(text("train.toml"));
  EXPECT_EQ(stored.epochs, 1);
  EXPECT_EQ(stored.lr, 2e-3);
  EXPECT_EQ(stored.weight_decay, 0.125);
  EXPECT_FALSE(stored.decay_all);
  const auto on = start({"--resume", "--out", "again", "--epochs", "2"});
  ASSERT_EQ(on.exit_code, 0) << on.err;
  EXPECT_THAT(on.err, HasSubstr("resumed at epoch 2 of 2"));
  EXPECT_EQ(lines("log.csv"), 3);
  EXPECT_EQ(start({"--resume", "--out", "again", "--lr", "0.5"}).exit_code, 2);
}

}  // namespace
}  // namespace sam2unet::train
