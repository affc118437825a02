// The training loop on a small network and made-up pictures: it learns, resumes bit for bit, and refuses.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "train/random.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Killed : public Training {
 protected:
  // Starts or resumes the program on killed.toml and kills it a random while after its next checkpoint; false
  // if it ended before.
  bool start_and_kill(int& kills) {
    const std::string program = S2U_BIN_DIR "/sam2unet-train";
    const fs::path state = fs::path(settings.out) / "state.safetensors";
    const bool resumes = fs::exists(state);
    const std::string config = (dir / "killed.toml").string();
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
      if (resumes) {
        ::execl(program.c_str(), program.c_str(), "--resume", "--out", settings.out.c_str(), nullptr);
      } else {
        ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
      }
      ::_exit(127);
    }
    const auto written = [&] {
      std::error_code none;
      return fs::last_write_time(state, none);
    };
    const auto before = written();
    int status = 0;
    for (int wait = 0; wait < 120000 && written() == before; ++wait) {
      ::usleep(500);
      if (::waitpid(child, &status, WNOHANG) == child) {
        EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
        return false;
      }
    }
    ::usleep(static_cast<useconds_t>(Random(7, 7, static_cast<std::uint64_t>(kills)).below(40000)));
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) return false;
    ++kills;
    return true;
  }
};

TEST_F(Training, Learns) {
  settings.epochs = 14;
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.freeze = Freeze::none;
  settings.lr = 2e-3;
  const RunResult r = train();
  EXPECT_TRUE(r.finished);
  EXPECT_LT(r.last_loss, r.first_loss / 2);
  EXPECT_GT(r.best, 0.5);  // mean Dice
  EXPECT_GT(r.best_epoch, 0);
  EXPECT_GT(r.best, r.start);
  for (const char* name : {"train.toml", "steps.csv", "log.csv", "log.jsonl", "best.safetensors",
                           "last.safetensors", "validation/0.png"}) {
    EXPECT_TRUE(fs::exists(fs::path(settings.out) / name)) << name;
  }
}

TEST_F(Training, WhatWasTrainedIsACheckpoint) {
  settings.pth = settings.task_only = true;
  settings.epochs = 1;
  train();
  for (const char* name : {"last.safetensors", "last.pth"}) {
    const auto file = formats::TensorFile::open(fs::path(settings.out) / name);
    std::size_t found = 0;
    for (const auto& spec : model::tensor_table(test::nano_config())) {
      const TensorView* v = file.find(spec.name);
      ASSERT_NE(v, nullptr) << spec.name;
      EXPECT_EQ(v->shape, spec.shape) << spec.name;
      EXPECT_EQ(v->dtype, spec.role == model::Role::counter ? DType::i64 : DType::f32) << spec.name;
      ++found;
    }
    EXPECT_EQ(file.tensors().size(), found) << name;
  }
  auto task = formats::TensorFile::open(fs::path(settings.out) / "last.task.safetensors");
  EXPECT_EQ(model::recognise(task).contents, model::Contents::task_only);
}

// The frozen trunk and up4 stay as they were; the rest moves.
TEST_F(Training, FreezesTheTrunk) {
  settings.epochs = 1;
  train();
  const auto first = formats::TensorFile::open(fs::path(settings.out) / "last.safetensors");
  settings.init = (fs::path(settings.out) / "last.safetensors").string();
  settings.out = (dir / "second").string();
  train();
  const auto second = formats::TensorFile::open(fs::path(settings.out) / "last.safetensors");
  std::vector<float> a, b;
  for (const auto& spec : model::tensor_table(test::nano_config())) {
    if (spec.is_buffer()) continue;
    model::read_tensor(first, spec.name, a);
    model::read_tensor(second, spec.name, b);
    EXPECT_EQ(a != b, spec.trainable()) << spec.name;
  }
}

TEST_F(Training, SameSeedSameWeightsForAnyNumberOfWorkers) {
  settings.workers = 1;
  train();
  const auto first = bytes("last.safetensors");
  settings.workers = 3;
  settings.out = (dir / "again").string();
  train();
  EXPECT_EQ(bytes("last.safetensors"), first);
  settings.seed = 2;
  settings.out = (dir / "other").string();
  train();
  EXPECT_NE(bytes("last.safetensors"), first);
}

// Ten times: a process of its own, killed at a moment the clock decides, often in the middle of writing.
TEST_F(Killed, ResumesAfterTenKillsBitForBit) {
  settings.epochs = 16;
  settings.batch = 2;
  settings.save_every = 1;
  settings.ema = 0.9;
  settings.size = 32;
  train();
  const auto wanted = bytes("last.safetensors");
  const auto wanted_log = lines("log.csv"), wanted_steps = lines("steps.csv");
  int kills = 0, started = 0;
  while (kills < 10) {
    // A run that ends before its last kill is checked, and the next begins afresh.
    settings.out = (dir / ("killed" + std::to_string(started++))).string();
    write_file(dir / "killed.toml", settings.to_toml());
    bool ended = false;
    while (kills < 10 && !ended) ended = !start_and_kill(kills);
    train(Begin::resume);
    EXPECT_EQ(bytes("last.safetensors"), wanted);
    EXPECT_EQ(lines("log.csv"), wanted_log);  // no epoch twice
    EXPECT_EQ(lines("log.jsonl"), wanted_log - 1);
    EXPECT_EQ(lines("steps.csv"), wanted_steps);
    EXPECT_EQ(lines("steps.jsonl"), wanted_steps - 1);
  }
}

TEST_F(Training, StopsOnRequestAndGoesOn) {
  settings.batch = 2;
  train();
  const auto wanted = bytes("last.safetensors");
  settings.out = (dir / "stopped").string();
  int steps = 0;
  listener.stop = [&] { return ++steps == 4; };
  EXPECT_FALSE(train().finished);
  listener.stop = [] { return false; };
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_EQ(bytes("last.safetensors"), wanted);
}

// Stopped inside an epoch and resumed, with everything that has a state.
class ResumeOf : public Training,
                 public ::testing::WithParamInterface<std::pair<const char*, void (*)(Settings&)>> {};
INSTANTIATE_TEST_SUITE_P(Settings, ResumeOf,
                         ::testing::Values(std::pair{"accumulate_ema_clip_warmup",
                                                     +[](Settings& s) {
                                                       s.accumulate = 2;
                                                       s.ema = 0.9;
                                                       s.clip = 0.5;
                                                       s.warmup_epochs = 1;
                                                       s.decay_all = false;
                                                     }},
                                           std::pair{"bf16_strong_augmentation",
                                                     +[](Settings& s) {
                                                       s.precision = ComputeType::bf16;
                                                       s.augment = Augment::strong;
                                                     }},
                                           std::pair{"float64_recompute_deterministic_all",
                                                     +[](Settings& s) {
                                                       s.precision = ComputeType::f64;
                                                       s.recompute = s.deterministic = true;
                                                       s.freeze = Freeze::none;
                                                     }},
                                           std::pair{"two_data_sets_split_best_by_s",
                                                     +[](Settings& s) {
                                                       s.images.push_back(s.images[0]);
                                                       s.masks.push_back(s.masks[0]);
                                                       s.val_split = 0.25;
                                                       s.best_by = BestBy::s;
                                                     }},
                                           std::pair{"two_scales_fold_and_empty_masks",
                                                     +[](Settings& s) {
                                                       s.size = 64;
                                                       s.multi_scale = {0.5, 1};
                                                       s.fold = {1, 3};
                                                       s.loss = LossKind::structure_empty;
                                                       s.save_every = 1;
                                                     }},
                                           std::pair{"early_stop",
                                                     +[](Settings& s) {
                                                       s.val_split = 0.3;
                                                       s.early_stop = 1;
                                                       s.epochs = 6;
                                                       s.lr = 0.05;
                                                     }}),
                         [](const auto& p) { return p.param.first; });

TEST_P(ResumeOf, IsBitIdentical) {
  settings.batch = 2;
  settings.size = 32;
  GetParam().second(settings);
  train();
  const auto wanted = bytes("last.safetensors"), best = bytes("best.safetensors");
  const auto rows = lines("log.csv"), steps = lines("steps.csv");
  settings.out = (dir / "stopped").string();
  for (const int after : {2, 3}) {
    int asked = 0;
    listener.stop = [&] { return ++asked == after; };
    const bool is_first = after == 2;
    const bool is_over = train(is_first ? Begin::fresh : Begin::resume).finished;
    EXPECT_FALSE(is_first && is_over);  // later, early stopping may have ended it
  }
  listener.stop = [] { return false; };
  EXPECT_TRUE(train(Begin::resume).finished);
  EXPECT_EQ(bytes("last.safetensors"), wanted);
  EXPECT_EQ(bytes("best.safetensors"), best);
  EXPECT_EQ(lines("log.csv"), rows);
  EXPECT_EQ(lines("steps.csv"), steps);
  EXPECT_TRUE(train(Begin::resume).finished);  // a run that is over stays as it is
  EXPECT_EQ(bytes("last.safetensors"), wanted);
  EXPECT_EQ(lines("log.csv"), rows);
}

TEST_F(Training, RecomputingChangesNoBit) {
  settings.epochs = 1;
  train();
  const auto kept = bytes("last.safetensors");
  settings.recompute = true;
  settings.out = (dir / "again").string();
  train();
  EXPECT_EQ(bytes("last.safetensors"), kept);
}

TEST_F(Training, LogsHoldTheMetricsOfEvalAndEveryStep) {
  settings.epochs = 2;
  settings.val_split = 0.3;
  settings.best_by = BestBy::dice;
  std::vector<StepReport> reports;
  listener.step = [&](const StepReport& r) { reports.push_back(r); };
  const RunResult r = train();
  ASSERT_EQ(reports.size(), 2U);  // 4 pictures in a batch
  EXPECT_EQ(reports[1].epoch, 2);
  EXPECT_GT(reports[0].gradient_norm, 0.0);
  EXPECT_GT(reports[0].seconds_left, 0.0);
  EXPECT_EQ(reports[1].seconds_left, 0.0);
  EXPECT_THAT(text("log.csv"), AllOf(HasSubstr("epoch,step,lr,loss,S,E_adp,E_mean,E_max,wF,MAE,"),
                                     HasSubstr(",sample_iou,"), HasSubstr(",dice.mean,")));
  EXPECT_THAT(text("steps.csv"), HasSubstr("step,epoch,loss,lr,gradient_norm,pictures_per_s,size\n1,1,"));
  const auto row = nlohmann::json::parse(text("log.jsonl").substr(0, text("log.jsonl").find('\n')));
  EXPECT_GT(row.at("dice.mean").get<double>(), 0.0);
  EXPECT_GE(r.best, row.at("dice.mean").get<double>());
}

// A disk that is full, by the largest size that this process may write.
TEST_F(Training, AFullDiskIsToldAndKeepsTheLastCheckpoint) {
  settings.epochs = 1;
  train();
  settings.epochs = 2;  // as if it had been asked for from the start
  auto state = fs::path(settings.out) / "state.safetensors";
  settings.out = (dir / "full").string();
  int asked = 0;
  listener.stop = [&] { return ++asked == 1; };
  train();
  state = fs::path(settings.out) / "state.safetensors";
  const auto before = read_file(state);
  listener.stop = [] { return false; };
  ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit old {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  struct rlimit small = old;
  small.rlim_cur = before.size() / 2;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of([&] { train(Begin::resume); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_THAT(message, AllOf(HasSubstr("cannot write"), HasSubstr(".safetensors")));
  EXPECT_EQ(read_file(state), before);
  for (const auto& e : fs::directory_iterator(settings.out))
    EXPECT_NE(e.path().extension(), ".part") << e.path();
  EXPECT_TRUE(train(Begin::resume).finished);
}

TEST_F(Training, AnIncompatibleStartIsNamed) {
  settings.epochs = 1;
  train();
  settings.init = (fs::path(settings.out) / "last.safetensors").string();
  settings.network.clear();
  settings.variant = "t";
  settings.out = (dir / "other").string();
  EXPECT_THAT(message_of([&] { train(); }), AllOf(HasSubstr("last.safetensors"), HasSubstr("variant")));
}

TEST_F(Training, AccumulationIsTheWholeBatchButForBatchStatistics) {
  settings.augment = Augment::none;
  settings.epochs = 1;
  settings.accumulate = 2;
  EXPECT_TRUE(train().finished);
}

TEST_F(Training, BadPicturesAreNamedBeforeTheFirstEpoch) {
  write_file(dir / "images" / "3.png", std::string_view("no picture"));
  EXPECT_THAT(message_of([&] { train(); }), AllOf(HasSubstr("3.png"), HasSubstr("--skip-bad")));
  EXPECT_FALSE(fs::exists(fs::path(settings.out) / "log.csv"));
  settings.skip_bad = true;
  settings.epochs = 1;
  EXPECT_TRUE(train().finished);
}

TEST_F(Training, RefusesWhatCannotBeMeant) {
  EXPECT_THAT(message_of([] { Settings::from_toml("bce = \"other\""); }),
              HasSubstr("--bce other: use one of effective, weighted"));
  fs::remove(dir / "masks" / "2.png");
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("2.png"));
  write_pair(2, 255);
  fs::create_directories(dir / "empty");
  settings.images = {(dir / "empty").string()};
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("no pictures"));
  settings.images = {(dir / "images").string()};
  settings.size = 70;
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("multiples of 32"));
}

TEST_F(Training, StopsAtALossThatIsNoNumber) {
  settings.lr = 1e3;
  settings.freeze = Freeze::none;
  settings.epochs = 50;
  settings.save_every = 1;
  EXPECT_THAT(message_of([&] { train(); }), AllOf(HasSubstr("step"), HasSubstr(".png")));
  EXPECT_NO_THROW(formats::TensorFile::open(fs::path(settings.out) / "state.safetensors"));
}

#ifndef __SANITIZE_ADDRESS__  // its shadow memory is over any limit
TEST_F(Training, SaysWhatToDoWhereMemoryRunsOut) {
  settings.size = 1024;
  settings.workers = 1;  // threads reserve address space
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (2ULL << 30);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
  const std::string message = message_of([&] { train(); });
  ::setrlimit(RLIMIT_AS, &before);
  EXPECT_THAT(message, AllOf(HasSubstr("memory ran out at --batch 4 and --size 1024"),
                             HasSubstr("--recompute"), Not(HasSubstr("frame #"))));
}
#endif

TEST_F(Training, ResumeRefusesAnotherConfiguration) {
  settings.epochs = 1;
  train();
  settings.lr = 5e-4;
  EXPECT_THAT(message_of([&] { train(Begin::resume); }), AllOf(HasSubstr("lr"), HasSubstr("0.001")));
  settings.lr = 1e-3;
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("--resume"));
}

TEST_F(Training, TheStoredConfigurationIsTheRun) {
  settings.epochs = 1;
  settings.variant = "with \"quotes\" and \\";
  settings.val_split = 0.25;
  const Settings again = Settings::from_toml(settings.to_toml());
  EXPECT_TRUE(Settings::differences(settings, again, Settings::Scope::processes).empty());
  EXPECT_EQ(again.out, settings.out);
  EXPECT_THAT(message_of([] { Settings::from_toml("unknown = 1"); }), HasSubstr("unknown"));
  EXPECT_THAT(message_of([] { Settings::from_toml("lr = \"x\""); }), HasSubstr("lr"));
}

}  // namespace
}  // namespace sam2unet::train
