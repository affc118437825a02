// The training loop on a small network and made-up pictures: it learns, resumes bit for bit, and refuses.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/file.h"
#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/temp_dir.h"
#include "train/loader.h"
#include "train/trainer.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kNano =
    R"({"embed_dim": 16, "stages": [1, 1, 3, 2], "global_att_blocks": [3], "window_spec": [8, 4, 14, 7],
        "window_pos_embed_bkg_spatial_size": [7, 7]})";

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    fs::create_directories(dir / "images");
    fs::create_directories(dir / "masks");
    for (int i = 0; i < 6; ++i) write_pair(i, 255);
    settings.images = {(dir / "images").string()};
    settings.masks = {(dir / "masks").string()};
    settings.network = kNano;
    settings.size = 64;
    settings.batch = 4;
    settings.epochs = 3;
    settings.out = (dir / "run").string();
    settings.threads = 1;
  }

  // A bright disc on a dark gradient; the mask is the disc.
  void write_pair(int i, int white) {
    Image image(80, 60, 3), mask(80, 60, 1);
    for (int y = 0; y < 60; ++y) {
      for (int x = 0; x < 80; ++x) {
        const bool inside = std::hypot(x - 20 - 8 * i, y - 15 - 5 * i) < 14;
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(inside ? 200 + 10 * c : x + y);
        mask.row(y)[x] = static_cast<std::uint8_t>(inside ? white : 0);
      }
    }
    write_png(dir / "images" / (std::to_string(i) + ".png"), image);
    write_png(dir / "masks" / (std::to_string(i) + ".png"), mask);
  }

  RunResult train(bool resume = false) { return run(settings, resume, listener); }
  std::vector<std::byte> bytes(const std::string& name) const {
    return read_file(fs::path(settings.out) / name);
  }

  test::TempDir dir;
  Settings settings;
  Listener listener;
};

TEST_F(Training, Learns) {
  settings.epochs = 25;
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  settings.freeze = "none";
  settings.lr = 2e-3;
  const RunResult r = train();
  EXPECT_TRUE(r.finished);
  EXPECT_LT(r.last_loss, r.first_loss / 2);
  EXPECT_LT(r.best_mae, 0.2);
  for (const char* name :
       {"train.toml", "log.csv", "log.jsonl", "best.safetensors", "last.safetensors", "validation/0.png"}) {
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
    for (const auto& spec : model::tensor_table(model::Config::from_json(kNano))) {
      const TensorView* v = file.find(spec.name);
      ASSERT_NE(v, nullptr) << spec.name;
      EXPECT_EQ(v->shape, spec.shape) << spec.name;
      EXPECT_EQ(v->dtype, spec.role == model::Role::counter ? DType::i64 : DType::f32) << spec.name;
      ++found;
    }
    EXPECT_EQ(file.tensors().size(), found) << name;
  }
  const auto task =
      model::recognise(formats::TensorFile::open(fs::path(settings.out) / "last.task.safetensors"));
  EXPECT_EQ(task.contents, model::Contents::task_only);
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
  for (const auto& spec : model::tensor_table(model::Config::from_json(kNano))) {
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

// A process of its own per try, killed at a moment the clock decides.
TEST_F(Training, ResumesAfterKillBitForBit) {
  settings.epochs = 4;
  settings.batch = 2;
  settings.save_every = 1;
  settings.ema = 0.9;
  train();
  const auto wanted = bytes("last.safetensors");
  settings.out = (dir / "killed").string();
  const std::string program = S2U_BIN_DIR "/sam2unet-train";
  const fs::path state = fs::path(settings.out) / "state.safetensors";
  write_file(dir / "killed.toml", settings.to_toml());
  int kills = 0;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const bool resume = fs::exists(state);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string config = (dir / "killed.toml").string();
      if (resume) {
        ::execl(program.c_str(), program.c_str(), "--resume", "--out", settings.out.c_str(), nullptr);
      } else {
        ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
      }
      ::_exit(127);
    }
    // Killed a random while after its first checkpoint, often in the middle of writing the next.
    const auto written = [&] {
      std::error_code none;
      return fs::last_write_time(state, none);
    };
    const auto before = written();
    int status = 0;
    bool ended = false;
    for (int wait = 0; wait < 3000 && !ended && written() == before; ++wait) {
      ::usleep(10000);
      ended = ::waitpid(child, &status, WNOHANG) == child;
    }
    if (ended) {
      EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
      break;
    }
    ::usleep(static_cast<useconds_t>(1000 * Random(7, 7, static_cast<std::uint64_t>(attempt)).below(200)));
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      ++kills;
    } else {
      EXPECT_EQ(WEXITSTATUS(status), 0);
    }
  }
  EXPECT_GE(kills, 2);
  if (fs::exists(state)) {
    train(/*resume=*/true);
  } else {
    train();
  }
  EXPECT_EQ(bytes("last.safetensors"), wanted);
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
  EXPECT_TRUE(train(true).finished);
  EXPECT_EQ(bytes("last.safetensors"), wanted);
}

TEST_F(Training, AccumulationIsTheWholeBatchButForBatchStatistics) {
  settings.augment = "none";
  settings.epochs = 1;
  settings.accumulate = 2;
  EXPECT_TRUE(train().finished);
}

TEST_F(Training, ZeroOneMasksAreScaled) {
  Random random(1, 2, 3);
  const Sample scaled =
      load_sample({dir / "images" / "0.png", dir / "masks" / "0.png"}, 64, Augment::none, random);
  write_pair(0, 1);
  const Sample from_ones =
      load_sample({dir / "images" / "0.png", dir / "masks" / "0.png"}, 64, Augment::none, random);
  EXPECT_EQ(scaled.mask, from_ones.mask);
  EXPECT_EQ(*std::max_element(from_ones.mask.begin(), from_ones.mask.end()), 1.0F);
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
  settings.bce = "other";
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("--bce other"));
  settings.bce = "effective";
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
  settings.freeze = "none";
  settings.epochs = 50;
  EXPECT_THAT(message_of([&] { train(); }), AllOf(HasSubstr("step"), HasSubstr(".png")));
}

TEST_F(Training, ResumeRefusesAnotherConfiguration) {
  settings.epochs = 1;
  train();
  settings.lr = 5e-4;
  EXPECT_THAT(message_of([&] { train(true); }), AllOf(HasSubstr("lr"), HasSubstr("0.001")));
  settings.lr = 1e-3;
  EXPECT_THAT(message_of([&] { train(); }), HasSubstr("--resume"));
}

TEST_F(Training, TheStoredConfigurationIsTheRun) {
  settings.epochs = 1;
  settings.variant = "with \"quotes\" and \\";
  settings.val_split = 0.25;
  const Settings again = Settings::from_toml(settings.to_toml());
  EXPECT_TRUE(Settings::differences(settings, again).empty());
  EXPECT_EQ(again.out, settings.out);
  EXPECT_THAT(message_of([] { Settings::from_toml("unknown = 1"); }), HasSubstr("unknown"));
  EXPECT_THAT(message_of([] { Settings::from_toml("lr = \"x\""); }), HasSubstr("lr"));
}

}  // namespace
}  // namespace sam2unet::train
