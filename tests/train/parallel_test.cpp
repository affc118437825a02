// Several processes of one run, over Gloo on this machine.
#include "train/parallel.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/file.h"
#include "formats/tensor_file.h"
#include "free_port.h"
#include "sam2unet/image.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "train/data.h"
#include "train/loader.h"
#include "train/loss.h"
#include "train/settings.h"
#include "train/start.h"
#include "train/trainable_network.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Place place_of(const std::map<std::string, std::string>& variables) {
  return place_from([&](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  });
}

TEST(Place, OneProcessWhereNobodySaysMore) {
  EXPECT_EQ(place_of({}).world, 1);
  EXPECT_EQ(place_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).world, 1);
}

TEST(Place, Torchrun) {
  const Place p = place_of({{"RANK", "3"},
                            {"WORLD_SIZE", "8"},
                            {"LOCAL_RANK", "1"},
                            {"MASTER_ADDR", "node1"},
                            {"MASTER_PORT", "1234"},
                            {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                            {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(p.rank, 3);
  EXPECT_EQ(p.world, 8);
  EXPECT_EQ(p.local_rank, 1);
  EXPECT_EQ(p.host, "node1");
  EXPECT_EQ(p.port, 1234);
  EXPECT_TRUE(p.store_runs);
  EXPECT_EQ(p.prefix, "/worker/attempt_2");
}

TEST(Place, Slurm) {
  const Place p = place_of({{"SLURM_PROCID", "2"},
                            {"SLURM_NTASKS", "4"},
                            {"SLURM_LOCALID", "0"},
                            {"SLURM_JOB_ID", "71234"},
                            {"SLURM_JOB_NODELIST", "gpu[003-005,9],login1"}});
  EXPECT_EQ(p.rank, 2);
  EXPECT_EQ(p.world, 4);
  EXPECT_EQ(p.host, "gpu003");
  EXPECT_EQ(p.port, 20000 + 71234 % 20000);
  EXPECT_FALSE(p.store_runs);
  EXPECT_EQ(place_of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_STEP_NODELIST", "a,b"}}).host,
            "a");
  // A shell inside a job of many tasks is one process.
  EXPECT_EQ(place_of({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_NTASKS", "4"}}).world, 1);
}

TEST(Place, Mpirun) {
  const std::map<std::string, std::string> here{{"OMPI_COMM_WORLD_RANK", "1"},
                                                {"OMPI_COMM_WORLD_SIZE", "2"},
                                                {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_EQ(place_of(here).rank, 1);
  EXPECT_EQ(place_of(here).host, "127.0.0.1");
  auto apart = here;
  apart["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  EXPECT_THROW(place_of(apart), UsageError);  // nobody says where rank 0 runs
  apart["MASTER_ADDR"] = "10.0.0.1";
  EXPECT_EQ(place_of(apart).host, "10.0.0.1");
}

TEST(Place, RefusesWhatCannotBe) {
  EXPECT_THROW(place_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}), UsageError);
  EXPECT_THROW(place_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}), UsageError);
  EXPECT_THROW(place_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}}), UsageError);
}

// One process takes what was named; several take one each, whether they see all of a machine's or only
// theirs.
TEST(Place, EachProcessTakesItsOwnGpu) {
  Place place;
  EXPECT_EQ(gpu_name("cuda:1", place, 2), "cuda:1");
  place = {.rank = 5, .world = 8, .local_rank = 1};
  EXPECT_EQ(gpu_name("cuda", place, 4), "cuda:1");
  EXPECT_EQ(gpu_name("cuda", place, 1), "cuda");
  EXPECT_THROW(gpu_name("cuda:0", place, 4), UsageError);
}

class Parallel : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    fs::create_directories(dir / "images");
    fs::create_directories(dir / "masks");
    for (int i = 0; i < 7; ++i) write_pair(i);
    settings.images = {(dir / "images").string()};
    settings.masks = {(dir / "masks").string()};
    settings.network = test::nano_config().to_json();
    settings.size = 64;
    settings.batch = 4;
    settings.epochs = 2;
    settings.threads = 1;
    settings.workers = 1;
    settings.precision = ComputeType::f64;
    settings.dist_timeout = 60;
    settings.frozen_scratch = true;
    settings.out = (dir / "run").string();
  }

  void write_pair(int i) {
    Image image(80, 60, 3), mask(80, 60, 1);
    for (int y = 0; y < 60; ++y) {
      for (int x = 0; x < 80; ++x) {
        const bool inside = std::hypot(x - 20 - 7 * i, y - 15 - 5 * i) < 14;
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(inside ? 200 + 10 * c : x + y);
        mask.row(y)[x] = static_cast<std::uint8_t>(inside ? 255 : 0);
      }
    }
    write_png(dir / "images" / (std::to_string(i) + ".png"), image);
    write_png(dir / "masks" / (std::to_string(i) + ".png"), mask);
  }

  // Starts `world` processes on the settings, from rank `first` on; their ids by rank.
  std::vector<pid_t> start(int world, bool resume = false, int first = 0) {
    const int port = free_port();
    std::vector<pid_t> out;
    for (int rank = first; rank < world; ++rank) {
      const fs::path config = dir / ("config" + std::to_string(rank) + ".toml");
      Settings own = settings;
      if (adjust) adjust(rank, own);
      write_file(config, own.to_toml());
      const std::string log = said_path(rank), program = S2U_BIN_DIR "/sam2unet-train";
      const pid_t child = ::fork();
      if (child == 0) {
        ::setenv("RANK", std::to_string(rank).c_str(), 1);
        ::setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
        ::setenv("WORLD_SIZE", std::to_string(world).c_str(), 1);
        ::setenv("MASTER_ADDR", "127.0.0.1", 1);
        ::setenv("MASTER_PORT", std::to_string(port).c_str(), 1);
        const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
        ::dup2(file, STDERR_FILENO);
        ::dup2(file, STDOUT_FILENO);
        if (resume) {
          ::execl(program.c_str(), program.c_str(), "--resume", "--out", settings.out.c_str(), nullptr);
        } else {
          ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
        }
        ::_exit(127);
      }
      out.push_back(child);
    }
    return out;
  }

  // Exit codes by rank; -1 for a process that was killed.
  static std::vector<int> wait(const std::vector<pid_t>& processes) {
    std::vector<int> codes;
    for (const pid_t p : processes) {
      int status = 0;
      ::waitpid(p, &status, 0);
      codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    return codes;
  }

  std::string said_path(int rank) const { return dir / ("said" + std::to_string(rank)); }
  std::string said(int rank) const {
    const auto b = read_file(said_path(rank));
    return {reinterpret_cast<const char*>(b.data()), b.size()};
  }
  void run_with(int world, const std::string& name) {
    settings.out = (dir / name).string();
    const auto codes = wait(start(world));
    for (int r = 0; r < world; ++r) ASSERT_EQ(codes[static_cast<std::size_t>(r)], 0) << said(r);
  }
  formats::TensorFile file(const std::string& run, const std::string& name) const {
    return formats::TensorFile::open(dir / run / name);
  }
  // Largest difference of each tensor, relative to its largest value; the worst over those that `wants`
  // picks.
  template <class Wants>
  static double worst_difference(const formats::TensorFile& a, const formats::TensorFile& b,
                                 const Wants& wants) {
    double worst = 0.0;
    std::size_t compared = 0;
    for (const auto& t : a.tensors()) {
      if (!wants(t.name)) continue;
      const TensorView* other = b.find(t.name);
      if (other == nullptr) return INFINITY;
      std::vector<double> x(static_cast<std::size_t>(t.view.numel())), y(x.size());
      copy_to(t.view, std::span(x));
      copy_to(*other, std::span(y));
      double scale = 1e-12, far = 0.0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        scale = std::max(scale, std::abs(x[i]));
        far = std::max(far, std::abs(x[i] - y[i]));
      }
      worst = std::max(worst, far / scale);
      ++compared;
    }
    EXPECT_GT(compared, 10U);
    return worst;
  }
  // After one step AdamW's mean is a tenth of the gradient.
  static bool is_gradient(const std::string& name) { return name.starts_with("adamw.mean:"); }

  bool wait_for(const fs::path& path) const {
    for (int i = 0; i < 6000; ++i) {
      if (fs::exists(path)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  test::TempDir dir;
  Settings settings;
  std::function<void(int, Settings&)> adjust;
};

// Seven pictures in batches of four leave three: two for one process, one for the other.
TEST_F(Parallel, TwoProcessesWithSyncBnTrainAsOne) {
  settings.sync_bn = true;
  settings.val_images = settings.images;
  settings.val_masks = settings.masks;
  run_with(1, "one");
  run_with(2, "two");
  EXPECT_THAT(said(1), IsEmpty());
  // Weights are compared by what they compute: AdamW turns the rounding of a gradient that is zero (a bias
  // before a BatchNorm) into a step of full size, which no map depends on.
  const auto rows = [&](const std::string& run) {
    std::ifstream lines(dir / run / "log.jsonl");
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(lines, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  };
  const auto one = rows("one"), two = rows("two");
  ASSERT_EQ(one.size(), 3U);  // the start and two epochs
  ASSERT_EQ(two.size(), 3U);
  for (std::size_t i = 0; i < one.size(); ++i) {
    ASSERT_EQ(one[i].size(), two[i].size());
    for (const auto& [key, v] : one[i].items()) {
      if (v.is_null()) {  // the start has no loss and no rate
        EXPECT_TRUE(two[i].at(key).is_null()) << key;
        continue;
      }
      EXPECT_NEAR(v.get<double>(), two[i].at(key).get<double>(), 1e-6 * std::abs(v.get<double>())) << key;
    }
  }
}

TEST_F(Parallel, GradientsOfTwoHalvesAreThoseOfTheWhole) {
  settings.sync_bn = true;
  settings.epochs = 1;
  for (const int batch : {6, 7}) {
    settings.batch = batch;
    for (int i = 6; i >= batch; --i) {
      fs::remove(dir / "images" / (std::to_string(i) + ".png"));
      fs::remove(dir / "masks" / (std::to_string(i) + ".png"));
    }
    const auto name = std::to_string(batch);
    run_with(1, "one" + name);
    run_with(2, "two" + name);
    EXPECT_LT(worst_difference(file("one" + name, "state.safetensors"),
                               file("two" + name, "state.safetensors"), is_gradient),
              1e-6);
    write_pair(6);
  }
}

// Without it each process's BatchNorm sees its own pictures: the gradient is the mean of theirs, weighted by
// their number, and the running statistics are the processes' mean.
TEST_F(Parallel, WithoutSyncBnGradientsAreTheWeightedMean) {
  settings.epochs = 1;
  settings.batch = 7;
  run_with(2, "two");
  const auto two = file("two", "state.safetensors");
  const auto pairs = find_pairs(dir / "images", dir / "masks");
  const auto config = test::nano_config();
  std::map<std::string, at::Tensor> gradient, statistics;
  for (int rank = 0; rank < 2; ++rank) {
    StartWeights source({}, config, settings.seed);
    TrainableNetwork net(config, source, Freeze::trunk, at::kDouble);
    LoaderOptions o;
    o.size = settings.size;
    o.batch = settings.batch;
    o.seed = settings.seed;
    o.rank = rank;
    o.world = 2;
    Loader loader(pairs, o, 0);
    const Batch b = loader.next();
    const double part = static_cast<double>(b.image.size(0)) / 7;
    ASSERT_EQ(b.image.size(0), rank == 0 ? 4 : 3);
    (map_losses(net.forward_training(b.image.to(at::kDouble)), b.mask, {}).total * part).backward();
    for (const auto& e : net.tensors().entries()) {
      const auto add = [&](auto& sums, const at::Tensor& t) {
        auto& sum = sums[e.spec.name];
        sum = sum.defined() ? sum + t : t.clone();
      };
      if (e.value.requires_grad() && e.value.grad().defined()) add(gradient, e.value.grad());
      if (e.spec.name.find("running_") != std::string::npos) add(statistics, e.value / 2);
    }
  }
  ASSERT_GT(gradient.size(), 10U);
  const auto compare = [&](const std::string& name, const at::Tensor& want) {
    const TensorView* v = two.find(name);
    ASSERT_NE(v, nullptr) << name;
    std::vector<double> got(static_cast<std::size_t>(v->numel()));
    copy_to(*v, std::span(got));
    const at::Tensor difference = at::tensor(got, at::kDouble) - want.reshape({-1});
    EXPECT_LE(difference.abs().max().item<double>(), 1e-9 + 1e-7 * want.abs().max().item<double>()) << name;
  };
  for (const auto& [name, g] : gradient) compare("adamw.mean:" + name, 0.1 * g);
  for (const auto& [name, s] : statistics) compare(name, s);
}

TEST_F(Parallel, ASignalToOneSavesAndResumeGoesOn) {
  settings.batch = 2;
  settings.epochs = 12;
  settings.size = 32;
  settings.precision = ComputeType::f32;
  settings.ema = 0.9;
  settings.accumulate = 2;
  settings.save_every = 1;
  run_with(2, "whole");
  settings.out = (dir / "stopped").string();
  const auto processes = start(2);
  ASSERT_TRUE(wait_for(fs::path(settings.out) / "state.safetensors"));
  ::kill(processes[1], SIGTERM);
  EXPECT_EQ(wait(processes), (std::vector<int>{0, 0})) << said(0) << said(1);
  EXPECT_THAT(said(0), HasSubstr("stopped on request"));
  EXPECT_EQ(wait(start(2, /*resume=*/true)), (std::vector<int>{0, 0})) << said(0) << said(1);
  EXPECT_EQ(read_file(dir / "stopped" / "last.safetensors"), read_file(dir / "whole" / "last.safetensors"));
}

class ALostProcess : public Parallel, public ::testing::WithParamInterface<std::pair<int, int>> {};
INSTANTIATE_TEST_SUITE_P(RankAndSignal, ALostProcess,
                         ::testing::Values(std::pair{0, SIGKILL}, std::pair{1, SIGKILL},
                                           std::pair{1, SIGSTOP}),
                         [](const auto& p) {
                           return "Rank" + std::to_string(p.param.first) +
                                  (p.param.second == SIGKILL ? "Killed" : "Hangs");
                         });

TEST_P(ALostProcess, EndsTheRunWithOneMessage) {
  const auto [rank, signal] = GetParam();
  settings.epochs = 100000;
  settings.batch = 3;
  settings.size = 32;
  settings.save_every = 1;
  settings.dist_timeout = 5;
  const auto processes = start(3);
  const auto state = fs::path(settings.out) / "state.safetensors";
  ASSERT_TRUE(wait_for(state)) << said(0) << said(1) << said(2);
  ::kill(processes[static_cast<std::size_t>(rank)], signal);
  std::string told;
  for (int r = 0; r < 3; ++r) {
    if (r == rank) continue;
    int status = 0;
    ::waitpid(processes[static_cast<std::size_t>(r)], &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << said(r);
    // Of rank 0, which hosts the store, every other tells; of another, only one does.
    const auto text = said(r);
    if (const auto at = text.find("sam2unet train: "); at != std::string::npos) told += text.substr(at);
  }
  ::kill(processes[static_cast<std::size_t>(rank)], SIGKILL);
  ::waitpid(processes[static_cast<std::size_t>(rank)], nullptr, 0);
  EXPECT_THAT(told,
              AllOf(HasSubstr("rank " + std::to_string(rank)), HasSubstr("was lost"), HasSubstr("--resume")));
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), rank == 0 ? 2 : 1) << told;
  EXPECT_NO_THROW(formats::TensorFile::open(state));
}

TEST_F(Parallel, SaysWhenTheOthersDoNotCome) {
  settings.dist_timeout = 1;
  EXPECT_EQ(wait(start(2, /*resume=*/false, /*first=*/1)), (std::vector<int>{1}));
  EXPECT_THAT(said(1), AllOf(HasSubstr("rank 1 of 2"), HasSubstr("did not meet at 127.0.0.1")));
  const std::string text = said(1);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST_F(Parallel, AnErrorOfOneIsToldOnce) {
  write_file(dir / "images" / "3.png", std::string_view("no picture"));
  auto codes = wait(start(2));
  EXPECT_THAT(codes, (std::vector<int>{1, 1}));
  const std::string all = said(0) + said(1);
  EXPECT_THAT(all, HasSubstr("3.png"));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1) << all;
  write_pair(3);
  adjust = [](int rank, Settings& s) { s.lr = rank == 1 ? 1e-4 : 1e-3; };
  settings.out = (dir / "different").string();
  codes = wait(start(2));
  EXPECT_THAT(said(0) + said(1), AllOf(HasSubstr("rank 1 was started otherwise"), HasSubstr("lr")));
}

}  // namespace
}  // namespace sam2unet::train
