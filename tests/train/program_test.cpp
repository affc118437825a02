// sam2unet-train as a user starts it: exit codes, what it prints, and which option comes before which.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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
  // CLI11 puts a default behind "=", from 2.4 on into brackets.
  const auto option = [](const std::string& name, const std::string& value) {
    return testing::ContainsRegex(name + "(=| \\[)" + value + "(\\]| )");
  };
  EXPECT_THAT(help.out,
              AllOf(HasSubstr("--decay-all,--no-decay-all "), Not(HasSubstr("{false}")),
                    option("--size INT", "352"), option("--loss TEXT", "structure"),
                    option("--lr FLOAT", "0.001"), HasSubstr("--clip FLOAT "), HasSubstr("--fold TEXT ")));
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
  EXPECT_THAT(first.err, ::testing::ContainsRegex("\nepoch 1/1: batch 1/1 loss [0-9]+\\.[0-9][0-9][0-9][0-9] "
                                                  "[0-9]+\\.[0-9] pictures/s, 0:00 left\nepoch 1/1: loss "));
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

// What does not pair is told by this program's options.
TEST_F(TrainProgram, APairingThatFailsNamesTheOptionThatHelps) {
  const auto refused = [&](const std::string& images, const std::string& masks) {
    const auto r = start(
        {"--images", images, "--masks", masks, "--network", network, "--size", "32", "--frozen-scratch"});
    EXPECT_EQ(r.exit_code, 2) << r.err;
    return r.err;
  };
  fs::create_directories(dir / "above");
  for (const char* folder : {"behind", "before", "rgb"}) fs::create_directories(dir / folder);
  fs::rename(dir / "images", dir / "above" / "images");
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    fs::copy_file(dir / "masks" / (n + ".png"), dir / "behind" / (n + "_gt.png"));
    fs::copy_file(dir / "masks" / (n + ".png"), dir / "before" / ("m_" + n + ".png"));
    fs::copy_file(dir / "masks" / (n + ".png"), dir / "rgb" / (n + "_rgb.png"));
  }
  EXPECT_THAT(refused("above", "masks"), HasSubstr(" (--recursive looks into them)\n"));
  EXPECT_THAT(refused("above/images", "behind"), HasSubstr(" (--mask-suffix '_gt')\n"));
  EXPECT_THAT(refused("before", "masks"), HasSubstr(" (--image-prefix 'm_')\n"));
  EXPECT_THAT(refused("rgb", "behind"), HasSubstr(" (--image-suffix '_rgb' --mask-suffix '_gt')\n"));
  EXPECT_THAT(refused("masks", "masks"),
              HasSubstr(" (--images 'DIR/*.jpg' --masks 'DIR/*.png', or --mask-suffix _mask)\n"));
}

// Ctrl-C: the state is saved, nothing is printed as made, and the end is a clean one.
TEST_F(TrainProgram, AnInterruptSavesAndEndsCleanly) {
  settings.size = 32;
  settings.epochs = 100000;
  settings.save_every = 1;
  settings.threads = settings.workers = 1;
  write_file(dir / "c.toml", settings.to_toml());
  const std::string program = test::program("sam2unet-train"), config = dir / "c.toml", log = dir / "said";
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(file, STDERR_FILENO);
    ::dup2(file, STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
    ::_exit(127);
  }
  const fs::path state = fs::path(settings.out) / "state.safetensors";
  for (int i = 0; i < 6000 && !fs::exists(state); ++i) ::usleep(10000);
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  const auto bytes = read_file(log);
  const std::string told(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_THAT(told, AllOf(HasSubstr("epoch 1/100000: batch 1/2 loss "), HasSubstr(" pictures/s, "),
                          ::testing::EndsWith("stopped on request; --resume goes on from here\n")));
  EXPECT_EQ(nlohmann::json::parse(text("run.json")).at("status"), "stopped");
}

// On a terminal a bar is drawn over itself; it is full at the end of an epoch.
TEST_F(TrainProgram, ATerminalSeesABar) {
  settings.size = 32;
  settings.epochs = 1;
  write_file(dir / "c.toml", settings.to_toml());
  test::RunOptions options;
  options.folder = dir.path();
  options.environment = {"OMP_WAIT_POLICY=passive"};
  options.terminal = true;
  const auto ran = test::run(test::program("sam2unet-train"), {"--config", "c.toml"}, options);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("\r\x1b[Kepoch 1/1 [############            ] 1/2 loss "),
                             HasSubstr("\r\x1b[Kepoch 1/1 [########################] 2/2 loss "),
                             HasSubstr(" pictures/s, 0:00 left\r\x1b[Kepoch 1/1: loss ")));
}

// Several classes bring their loss and their metric; a recipe on top of a configuration brings what it says.
TEST_F(TrainProgram, ClassesAndRecipesBringWhatFollowsFromThem) {
  const auto classes =
      start({"--classes", "4", "--network", network, "--size", "96", "--plan", "--memory", "8G", "--json"});
  ASSERT_EQ(classes.exit_code, 0) << classes.err;
  EXPECT_THAT(nlohmann::json::parse(classes.out).at("command").get<std::string>(),
              AllOf(HasSubstr("--classes 4"), Not(HasSubstr("--loss"))));
  settings.size = 96;
  settings.batch = 5;
  settings.ema = 0.25;
  write_file(dir / "c.toml", settings.to_toml());
  const auto recipe =
      start({"--config", "c.toml", "--recipe", "scratch", "--plan", "--memory", "8G", "--json"});
  ASSERT_EQ(recipe.exit_code, 0) << recipe.err;
  EXPECT_THAT(nlohmann::json::parse(recipe.out).at("command").get<std::string>(),
              AllOf(HasSubstr("--recipe scratch"), HasSubstr("--batch 5"), Not(HasSubstr("--ema"))));
  const auto stored = start({"--config", "c.toml", "--plan", "--memory", "8G", "--json"});
  EXPECT_THAT(nlohmann::json::parse(stored.out).at("command").get<std::string>(),
              AllOf(Not(HasSubstr("--recipe")), HasSubstr("--ema 0.25")));
}

// A plan that reaches nobody is no success.
TEST_F(TrainProgram, OutputThatCannotBeWrittenIsAnError) {
  test::RunOptions options;
  options.environment = {"OMP_WAIT_POLICY=passive"};
  options.out_to = "/dev/full";
  const auto full = test::run(test::program("sam2unet-train"),
                              {"--network", network, "--size", "96", "--plan", "--memory", "4G"}, options);
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.err, "sam2unet train: cannot write to standard output\n");
}

TEST_F(TrainProgram, MasksThatBeginOtherwiseNameTheirPrefix) {
  fs::create_directories(dir / "before");
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i) + ".png";
    fs::copy_file(dir / "masks" / n, dir / "before" / ("m_" + n));
  }
  const auto r = start(
      {"--images", "images", "--masks", "before", "--network", network, "--size", "32", "--frozen-scratch"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err, HasSubstr(" (--mask-prefix 'm_')\n"));
}

// Options that may come several times, or hold several values; a GPU's process takes a whole gibibyte.
TEST_F(TrainProgram, ListsAreTakenWhole) {
  const auto plan =
      start({"--network", network,    "--size",  "64",    "--images",      "a",   "--images", "b",
             "--masks",   "c",        "--masks", "d",     "--multi-scale", "1,2", "--device", "cuda",
             "--plan",    "--memory", "8G",      "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const auto j = nlohmann::json::parse(plan.out);
  EXPECT_EQ(j.at("overhead"), 1 << 30);
  EXPECT_THAT(j.at("command").get<std::string>(),
              AllOf(HasSubstr(" --images a --images b --masks c --masks d"), HasSubstr(" --multi-scale 1,2"),
                    HasSubstr(" --device cuda")));
  EXPECT_EQ(start({"--images", "a", "b"}).exit_code, 2);
  // What is of --plan alone.
  for (const std::vector<std::string>& alone :
       {std::vector<std::string>{"--json"}, {"--memory", "1G"}, {"--overhead", "1G"}}) {
    const auto r = start(alone);
    EXPECT_EQ(r.exit_code, 2) << alone[0];
    EXPECT_THAT(r.err, HasSubstr("--plan")) << alone[0];
  }
}

// A configuration's paths are meant from its own folder, those of the command line from where it is given;
// the run keeps whole ones, so that it can be gone on with from anywhere.
TEST_F(TrainProgram, PathsAreMeantFromWhereTheyStand) {
  fs::create_directories(dir / "sub");
  write_file(dir / "sub" / "c.toml",
             std::string_view("images = [\"../images\"]\nmasks = [\"m\"]\nsize = 96\n"));
  const auto plan =
      start({"--config", "sub/c.toml", "--network", network, "--plan", "--memory", "4G", "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(nlohmann::json::parse(plan.out).at("command").get<std::string>(),
              AllOf(HasSubstr(" --images " + (dir / "images").string() + " "),
                    HasSubstr(" --masks " + (dir / "sub" / "m").string() + " ")));
  const auto run = start({"--images", "sub/../images", "--masks", "masks", "--network",
                          test::tiny_config().to_json(), "--size", "32", "--batch", "6", "--epochs", "1",
                          "--threads", "1", "--workers", "1", "--frozen-scratch", "--out", "sub/run"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, "sub/run/last.safetensors\n");
  settings.out = (dir / "sub" / "run").string();
  const Settings stored = Settings::from_toml(text("train.toml"));
  EXPECT_THAT(stored.images, ::testing::ElementsAre((dir / "images").string()));
  EXPECT_THAT(stored.masks, ::testing::ElementsAre((dir / "masks").string()));
  EXPECT_EQ(stored.out, settings.out);
  const auto none = start({"--resume", "--out", "nowhere"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("nowhere/train.toml"));
}

}  // namespace
}  // namespace sam2unet::train
