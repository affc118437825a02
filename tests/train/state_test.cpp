// What a run keeps to go on from, and what its record says, value by value.
#include "train/state.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file.h"
#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "train/run_record.h"

namespace sam2unet::train {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Everything that has a state, of the smallest network.
struct Held {
  explicit Held(double decay = 0.9, const model::Config& config = test::tiny_config())
      : net(config, source, Freeze::trunk), optimizer(net.trainable(), {}), ema(optimizer, decay) {
    at::set_num_threads(1);  // others would spin while they wait
  }
  void fill(double value) const {
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < optimizer.slots().size(); ++i) {
      const auto& s = optimizer.slots()[i];
      at::Tensor(s.parameter).fill_(value);
      at::Tensor(s.mean).fill_(value + 1);
      at::Tensor(s.square).fill_(value + 2);
      if (ema.enabled()) at::Tensor(ema.averages()[i]).fill_(value + 3);
    }
  }
  model::DeterministicWeights source;
  TrainableNetwork net;
  AdamW optimizer;
  Ema ema;
};

class State : public ::testing::Test {
 protected:
  void save(const Held& held, const Progress& progress, const Settings& settings = {}) const {
    save_state(file, held.net, held.optimizer, held.ema, progress, settings);
  }
  test::TempDir dir;
  const std::filesystem::path file = dir / "state.safetensors";
};

TEST_F(State, EveryCounterComesBack) {
  Progress before;
  before.epoch = 7;
  before.batch = 3;
  before.step = 1234567890123;
  before.loss_sum = 0.1 + 0.2;
  before.best = -1.0 / 3;
  before.best_epoch = 4;
  before.epochs_since_best = 5;
  before.start = 1e-300;
  before.data = "8 pictures to train on, \"quoted\"";
  Held held;
  save(held, before);
  const Progress p = load_state(file, held.net, held.optimizer, held.ema);
  EXPECT_EQ(p.epoch, 7);
  EXPECT_EQ(p.batch, 3u);
  EXPECT_EQ(p.step, 1234567890123);
  EXPECT_EQ(p.loss_sum, 0.1 + 0.2);
  EXPECT_EQ(p.best, -1.0 / 3);
  EXPECT_EQ(p.best_epoch, 4);
  EXPECT_EQ(p.epochs_since_best, 5);
  EXPECT_EQ(p.start, 1e-300);
  EXPECT_EQ(p.data, before.data);
  EXPECT_EQ(held.optimizer.steps(), 1234567890123);
}

TEST_F(State, ARunWithoutValidationHasNoBestAndNoStart) {
  Held held;
  save(held, {});
  const Progress p = load_state(file, held.net, held.optimizer, held.ema);
  EXPECT_TRUE(std::isnan(p.best));
  EXPECT_TRUE(std::isnan(p.start));
}

TEST_F(State, ParametersMomentsAndAverageComeBackEachToItsOwnPlace) {
  const Held held;
  held.fill(0.25);
  save(held, {});
  Held other;
  other.fill(-8);
  load_state(file, other.net, other.optimizer, other.ema);
  for (std::size_t i = 0; i < other.optimizer.slots().size(); ++i) {
    const auto& s = other.optimizer.slots()[i];
    EXPECT_TRUE((s.parameter == 0.25).all().item<bool>()) << s.name;
    EXPECT_TRUE((s.mean == 1.25).all().item<bool>()) << s.name;
    EXPECT_TRUE((s.square == 2.25).all().item<bool>()) << s.name;
    EXPECT_TRUE((other.ema.averages()[i] == 3.25).all().item<bool>()) << s.name;
  }
}

TEST_F(State, ItsSettingsComeBack) {
  Settings settings;
  settings.lr = 3.25e-4;
  settings.images = {"/a b/c"};
  settings.fold = {2, 5};
  settings.ema = 0.5;
  save(Held(), {}, settings);
  const Settings back = stored_settings(file);
  EXPECT_EQ(back.to_toml(), settings.to_toml());
  EXPECT_TRUE(stored_classes(file).empty());
}

TEST_F(State, FilesOfAnythingElseAreRefused) {
  Held held;
  save_weights(file, held.net, 64, WeightsPart::all);
  EXPECT_THAT(test::message_of<FormatError>([&] { stored_settings(file); }),
              HasSubstr("holds weights, but no state"));
  EXPECT_THAT(test::message_of<FormatError>([&] { load_state(file, held.net, held.optimizer, held.ema); }),
              HasSubstr("progress cannot be read"));
  save(Held(0.9, test::nano_config()), {});
  EXPECT_THAT(test::message_of<WeightsError>([&] { load_state(file, held.net, held.optimizer, held.ema); }),
              HasSubstr("no state of this run"));
  save(Held(/*decay=*/0), {});  // there is no average in it
  EXPECT_THAT(test::message_of<WeightsError>([&] { load_state(file, held.net, held.optimizer, held.ema); }),
              HasSubstr("ema:"));
}

TEST_F(State, TaskWeightsAreAllButTheTrunk) {
  const Held held;
  save_weights(file, held.net, 96, WeightsPart::task, {}, Fit::letterbox);
  const auto stored = formats::TensorFile::open(file);
  for (const auto& spec : model::tensor_table(test::tiny_config()))
    EXPECT_EQ(stored.find(spec.name) != nullptr, spec.part != model::Part::trunk) << spec.name;
  EXPECT_EQ(stored.metadata().at("input_size"), "96");
  EXPECT_EQ(stored.metadata().at("fit"), "letterbox");
  save_weights(file, held.net, 96, WeightsPart::all);
  EXPECT_EQ(formats::TensorFile::open(file).metadata().count("fit"), 0u);
}

// Exchanged twice, all is as it was; once, the average stands where the parameters were.
TEST(Ema, IsExchangedWithTheParameters) {
  Held held;
  held.fill(2);
  held.ema.swap(held.optimizer);
  EXPECT_TRUE((held.optimizer.slots()[0].parameter == 5).all().item<bool>());
  EXPECT_TRUE((held.ema.averages()[0] == 2).all().item<bool>());
  held.ema.swap(held.optimizer);
  EXPECT_TRUE((held.optimizer.slots()[0].parameter == 2).all().item<bool>());
  EXPECT_TRUE((held.ema.averages()[0] == 5).all().item<bool>());
}

// --freeze trunk is the official recipe; none takes the trunk along, but neither buffers nor up4.
TEST(TrainableNetwork, LearnsWhatFreezeSays) {
  model::DeterministicWeights source;
  for (const Freeze freeze : {Freeze::trunk, Freeze::none}) {
    std::set<std::string> wanted, got;
    for (const auto& spec : model::tensor_table(test::tiny_config())) {
      const bool is_trunk = spec.part == model::Part::trunk;
      if (!spec.is_buffer() && spec.part != model::Part::unused && (!is_trunk || freeze == Freeze::none))
        wanted.insert(spec.name);
    }
    const TrainableNetwork net(test::tiny_config(), source, freeze);
    for (const auto& e : net.trainable()) got.insert(e.spec.name);
    EXPECT_EQ(got, wanted);
  }
}

// --- run.json

class Record : public ::testing::Test {
 protected:
  nlohmann::json written(RunStatus status = RunStatus::running, int epochs_done = 0) const {
    write_run_record(dir.path(), settings, facts, progress, epochs_done, status);
    const auto bytes = read_file(dir / "run.json");
    return nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  test::TempDir dir;
  Settings settings;
  RunFacts facts{"where it came from", test::nano_config(), 11, 3, 4567, 2};
  Progress progress;
};

TEST_F(Record, StatusesAreThoseOfTheDocumentation) {
  std::vector<std::string> names;
  for (const auto s : {RunStatus::running, RunStatus::stopped, RunStatus::stopped_early, RunStatus::finished})
    names.push_back(written(s).at("status"));
  EXPECT_THAT(names, ElementsAre("running", "stopped", "stopped early", "finished"));
}

TEST_F(Record, SaysWhatItIsToldAndNothingOfWhatIsNotThere) {
  settings.multi_scale = {0.5, 1};
  settings.size = 64;
  settings.batch = 5;
  settings.seed = 9;
  settings.best_by = BestBy::mae;
  settings.recipe = Recipe::scratch;
  progress.step = 40;
  const auto j = written(RunStatus::running, 6);
  EXPECT_EQ(j.at("learned_parameters"), 4567);
  EXPECT_EQ(j.at("processes"), 2);
  EXPECT_EQ(j.at("pictures").at("train"), 11);
  EXPECT_EQ(j.at("pictures").at("validation"), 3);
  EXPECT_EQ(j.at("size"), 64);
  EXPECT_EQ(j.at("sizes"), (std::vector<int>{32, 64}));
  EXPECT_EQ(j.at("batch"), 5);
  EXPECT_EQ(j.at("epochs_done"), 6);
  EXPECT_EQ(j.at("steps_done"), 40);
  EXPECT_EQ(j.at("recipe"), "scratch");
  EXPECT_EQ(j.at("metric"), "MAE");
  EXPECT_EQ(j.at("higher_is_better"), false);
  EXPECT_TRUE(j.at("fold").is_null());
  EXPECT_TRUE(j.at("best").is_null());
  EXPECT_TRUE(j.at("start_value").is_null());
  progress.start = 0.5;
  progress.best = 0.25;
  progress.best_epoch = 3;
  settings.best_by = BestBy::wf;
  const auto later = written();
  EXPECT_EQ(later.at("best").at("epoch"), 3);
  EXPECT_EQ(later.at("best").at("value"), 0.25);
  EXPECT_EQ(later.at("start_value"), 0.5);
  EXPECT_EQ(later.at("higher_is_better"), true);
}

// A resumed run has not another start, and began when it began; a new one in the same folder did not.
TEST_F(Record, TheStartIsKeptWhereTheRunGoesOn) {
  write_file(dir / "run.json",
             std::string_view(R"({"started": "2020-01-02T03:04:05Z", "start": "a trunk"})"));
  progress.step = 1;
  EXPECT_EQ(written().at("started"), "2020-01-02T03:04:05Z");
  EXPECT_EQ(written().at("start"), "a trunk");
  progress.step = 0;
  EXPECT_NE(written().at("started"), "2020-01-02T03:04:05Z");
  EXPECT_EQ(written().at("start"), "where it came from");
}

TEST(BestBy, EveryChoiceIsAValueOfEval) {
  std::vector<std::string> keys;
  for (const auto& [by, name] : ChoiceNames<BestBy>::all) keys.push_back(metric_of(by));
  EXPECT_THAT(keys, ElementsAre("dice.mean", "iou.mean", "MAE", "S", "wF", "E_mean", "fm.mean", "mIoU"));
}

// What version 0.1 did not write: the best epoch, the start's value, the names of the pictures.
TEST_F(State, StatesOfTheFirstVersionAreRead) {
  Held held;
  Progress progress;
  progress.epoch = 3;
  progress.best = 0.5;
  progress.best_epoch = 2;
  progress.start = 0.25;
  progress.data = "8 pictures";
  save(held, progress);
  const auto rewrite = [&](bool has_tensors, const auto& change) {
    const auto old = formats::TensorFile::open(file);
    auto metadata = old.metadata();
    auto j = nlohmann::json::parse(metadata.at("training_progress"));
    change(j);
    metadata["training_progress"] = j.dump();
    formats::write_safetensors(dir / "old.safetensors",
                               has_tensors ? old.tensors() : std::vector<formats::NamedTensor>(), metadata);
  };
  const auto load = [&] { return load_state(dir / "old.safetensors", held.net, held.optimizer, held.ema); };
  rewrite(true, [](nlohmann::json& j) {
    for (const char* key : {"best_epoch", "start", "data"}) ASSERT_EQ(j.erase(key), 1u);
  });
  const Progress p = load();
  EXPECT_EQ(p.epoch, 3);
  EXPECT_EQ(p.best, 0.5);
  EXPECT_EQ(p.best_epoch, 0);
  EXPECT_TRUE(std::isnan(p.start));
  EXPECT_EQ(p.data, "");
  // Without the others there is nothing to go on from.
  for (const char* key : {"epoch", "batch", "step", "loss_sum", "best", "epochs_since_best"}) {
    rewrite(false, [&](nlohmann::json& j) { j.erase(key); });
    EXPECT_THAT(test::message_of<FormatError>(load),
                AllOf(HasSubstr("old.safetensors: the training's progress cannot be read"), HasSubstr(key)));
  }
}

// PyTorch's state_dict counts batches in int64; of float64 nothing is lost on the way.
TEST_F(State, TypesAndBitsAreKept) {
  Held held;
  {
    const c10::NoGradGuard no_gradients;
    at::Tensor(held.optimizer.slots()[0].mean).fill_(1.0F / 3);
    for (const auto& e : held.net.tensors().entries())
      if (e.spec.role == model::Role::counter) at::Tensor(e.value).fill_(123456789012345);
  }
  save(held, {});
  Held other;
  load_state(file, other.net, other.optimizer, other.ema);
  EXPECT_EQ(other.optimizer.slots()[0].mean.min().item<float>(), 1.0F / 3);
  for (const auto& e : other.net.tensors().entries()) {
    if (e.spec.role != model::Role::counter) continue;
    EXPECT_EQ(e.value.item<std::int64_t>(), 123456789012345) << e.spec.name;
    EXPECT_EQ(formats::TensorFile::open(file).find(e.spec.name)->dtype, DType::i64);
  }
}

TEST_F(Record, NamesTheNetworkTheTimeAndTheFold) {
  settings.fold = {2, 5};
  progress.best = std::numeric_limits<double>::infinity();
  const auto j = written();
  EXPECT_EQ(j.at("format"), 1);
  EXPECT_EQ(j.at("variant"), "custom");
  EXPECT_EQ(j.at("network"), nlohmann::json::parse(test::nano_config().to_json()));
  EXPECT_EQ(j.at("fold"), (nlohmann::json{{"index", 2}, {"count", 5}}));
  EXPECT_EQ(j.at("epochs"), 20);
  EXPECT_TRUE(j.at("best").is_null());
  for (const char* key : {"started", "updated"}) {
    const std::string time = j.at(key);
    EXPECT_THAT(time,
                ::testing::MatchesRegex("[0-9]+-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z"));
    EXPECT_GT(time, "2024");
    EXPECT_LT(time, "2128");
  }
  // What stands there is read only where it can be.
  progress.step = 1;
  for (const char* before : {"no JSON", "[1]", R"({"started": 7, "start": null})"}) {
    write_file(dir / "run.json", std::string_view(before));
    EXPECT_EQ(written().at("start"), "where it came from") << before;
    EXPECT_EQ(written().at("started").get<std::string>().size(), 20u);
  }
}

}  // namespace
}  // namespace sam2unet::train
