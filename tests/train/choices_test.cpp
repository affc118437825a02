// That what is chosen reaches the run: each test lets one setting alone differ and looks at what it is for.
#include <ATen/Context.h>
#include <ATen/record_function.h>

#include <atomic>
#include <cstring>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "sam2unet/errors.h"
#include "training_fixture.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using ::testing::HasSubstr;

// One step on all six pictures, from weights that are known, at a rate of nothing.
class RunChoices : public Training {
 protected:
  void SetUp() override {
    Training::SetUp();
    settings.network = test::tiny_config().to_json();
    settings.size = 32;
    test::write_weights(dir / "start.safetensors", test::tiny_config());
    settings.init = (dir / "start.safetensors").string();
    settings.epochs = 1;
    settings.batch = 6;
    settings.lr = settings.min_lr = 0;
    settings.augment = Augment::none;
  }
  double loss() {
    settings.out = (dir / ("run" + std::to_string(runs++))).string();
    return train().first_loss;
  }
  formats::TensorFile file(const char* name) const {
    return formats::TensorFile::open(fs::path(settings.out) / name);
  }
  // The common norm of AdamW's first means, which are a tenth of the gradient as it was given to it.
  double norm_of_means() const {
    const auto state = file("state.safetensors");
    std::vector<float> v;
    double squares = 0;
    for (const auto& spec : model::tensor_table(test::tiny_config())) {
      if (!spec.trainable()) continue;
      model::read_tensor(state, "adamw.mean:" + spec.name, v);
      for (const float x : v) squares += static_cast<double>(x) * x;
    }
    return std::sqrt(squares);
  }
  int runs = 0;
};

// A mask of nothing among them, for the loss that is made for it.
TEST_F(RunChoices, EveryLossAndPrecisionIsAnotherNumber) {
  write_pair(5, 0);
  const double usual = loss();
  std::set<double> seen{usual};
  const auto differs = [&](const char* what) { EXPECT_TRUE(seen.insert(loss()).second) << what; };
  settings.bce = Bce::weighted;
  differs("weighted");
  settings.bce = Bce::effective;
  for (const LossKind kind : {LossKind::structure_empty, LossKind::dice_bce, LossKind::focal}) {
    settings.loss = kind;
    differs("loss");
  }
  settings.loss = LossKind::structure;
  settings.precision = ComputeType::bf16;
  differs("bf16");
  settings.precision = ComputeType::f64;
  differs("f64");
  EXPECT_EQ(file("last.safetensors").find("head.weight")->dtype, DType::f64);
  EXPECT_EQ(file("state.safetensors").find("adamw.mean:head.weight")->dtype, DType::f64);
  settings.precision = ComputeType::f32;
  EXPECT_EQ(loss(), usual);
}

TEST_F(RunChoices, FitAndAugmentationReachTheBatches) {
  std::map<std::string, double> losses;
  losses["squashed"] = loss();
  settings.fit = FitChoice::letterbox;
  losses["letterboxed"] = loss();
  settings.fit = FitChoice::squash;
  settings.seed = 2;
  EXPECT_EQ(loss(), losses["squashed"]);  // without augmentation there is nothing for a seed to decide
  settings.augment = Augment::official;
  losses["flipped"] = loss();
  settings.augment = Augment::strong;
  losses["strong"] = loss();
  std::set<double> seen;
  for (const auto& [name, value] : losses) EXPECT_TRUE(seen.insert(value).second) << name;
}

// At a rate of nothing the steps of a batch at three sizes are known one by one: their mean is the epoch's.
TEST_F(RunChoices, TheLossOfAnEpochIsTheMeanOverBatchesAndSizes) {
  settings.batch = 4;
  settings.multi_scale = {1, 2, 3};
  const double told = loss();
  double sum = 0;
  int rows = 0;
  std::istringstream steps(text("steps.jsonl"));
  for (std::string row; std::getline(steps, row); ++rows)
    sum += nlohmann::json::parse(row).at("loss").get<double>();
  EXPECT_EQ(rows, 6);
  EXPECT_NEAR(told, sum / 6, 1e-12);
  const std::string epoch = text("log.jsonl");
  EXPECT_NEAR(nlohmann::json::parse(epoch).at("loss").get<double>(), sum / 6, 1e-12);
}

TEST_F(RunChoices, GradientsAreClippedToWhatIsAsked) {
  double norm = 0;
  listener.step = [&](const StepReport& r) { norm = r.gradient_norm; };
  loss();
  EXPECT_NEAR(norm_of_means(), norm / 10, 1e-4 * norm);
  settings.clip = norm / 8;
  const double before = norm;
  loss();
  EXPECT_DOUBLE_EQ(norm, before);
  EXPECT_NEAR(norm_of_means(), settings.clip / 10, 1e-4 * norm);
}

// AdamW takes lr times the decay off a parameter, beside what it learns: with --no-decay-all off weights
// alone.
TEST_F(RunChoices, DecayIsOfWeightsOrOfEverything) {
  settings.lr = settings.min_lr = 1e-3;
  const auto end = [&](double decay, bool all) {
    settings.weight_decay = decay;
    settings.decay_all = all;
    loss();
    std::map<std::string, std::vector<float>> out;
    const auto last = file("last.safetensors");
    for (const auto& spec : model::tensor_table(test::tiny_config()))
      if (spec.trainable()) model::read_tensor(last, spec.name, out[spec.name]);
    return out;
  };
  const auto none = end(0, true), all = end(0.5, true), some = end(0.5, false);
  const auto start = formats::TensorFile::open(settings.init);
  std::vector<float> from;
  for (const auto& spec : model::tensor_table(test::tiny_config())) {
    if (!spec.trainable()) continue;
    model::read_tensor(start, spec.name, from);
    for (std::size_t i = 0; i < from.size(); ++i) {
      const double off = 1e-3 * 0.5 * from[i], tolerance = 1e-6 * (1 + std::abs(from[i]));
      ASSERT_NEAR(none.at(spec.name)[i] - all.at(spec.name)[i], off, tolerance) << spec.name;
      ASSERT_NEAR(none.at(spec.name)[i] - some.at(spec.name)[i], spec.role == model::Role::weight ? off : 0,
                  tolerance)
          << spec.name;
    }
  }
}

// The first step of AdamW with betas .9 and .999 and eps 1e-8: the means are a tenth of the gradient g, the
// squares a thousandth of its square, and a parameter moves by lr g / (|g| + 1e-8), which for the smallest
// gradients is less than lr.
TEST_F(RunChoices, AdamWHasTheBetasAndTheEpsilonOfPyTorch) {
  settings.lr = settings.min_lr = 1e-3;
  settings.weight_decay = 0;
  loss();
  const auto state = file("state.safetensors"), start = formats::TensorFile::open(settings.init);
  std::vector<float> before, after, mean, square;
  int small = 0;
  for (const auto& spec : model::tensor_table(test::tiny_config())) {
    if (!spec.trainable()) continue;
    model::read_tensor(start, spec.name, before);
    model::read_tensor(state, spec.name, after);
    model::read_tensor(state, "adamw.mean:" + spec.name, mean);
    model::read_tensor(state, "adamw.square:" + spec.name, square);
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const double g = 10.0 * mean[i];
      if (g * g > 1e-30) {
        ASSERT_NEAR(square[i] / (g * g), 1e-3, 1e-7) << spec.name;
      }
      ASSERT_NEAR(after[i] - before[i], -1e-3 * g / (std::abs(g) + 1e-8), 1e-6 * (0.1 + std::abs(before[i])))
          << spec.name;
      small += g != 0 && std::abs(g) < 5e-8 ? 1 : 0;
    }
  }
  EXPECT_GT(small, 5);
}

TEST_F(RunChoices, FreshWeightsAreTheSeedsAndTheAdapters) {
  settings.init = kInitScratch;
  std::map<std::string, std::vector<std::vector<float>>> weights;
  const auto run = [&](std::uint64_t seed, AdapterInit adapters) {
    settings.seed = seed;
    settings.adapters = adapters;
    loss();
    const auto last = file("last.safetensors");
    for (const auto& spec : model::tensor_table(test::tiny_config()))
      if (spec.role == model::Role::weight)
        model::read_tensor(last, spec.name, weights[spec.name].emplace_back());
  };
  run(1, AdapterInit::standard);
  run(2, AdapterInit::standard);
  run(1, AdapterInit::near_identity);
  double squares = 0, n = 0;
  for (const auto& spec : model::tensor_table(test::tiny_config())) {
    if (spec.role != model::Role::weight) continue;
    const auto& w = weights.at(spec.name);
    EXPECT_NE(w[0], w[1]) << spec.name;
    EXPECT_EQ(w[0] == w[2], spec.part != model::Part::adapter) << spec.name;
    if (spec.part != model::Part::adapter) continue;
    for (const float x : w[2]) squares += static_cast<double>(x) * x, n += 1;
  }
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 0.001);
}

TEST_F(RunChoices, ABatchIsComputedInTheAskedParts) {
  settings.accumulate = 3;
  loss();
  const auto last = file("last.safetensors");
  for (const auto& spec : model::tensor_table(test::tiny_config())) {
    if (spec.role != model::Role::counter) continue;
    std::int64_t count = 0;
    const TensorView* v = last.find(spec.name);
    std::memcpy(&count, v->data, sizeof count);
    const auto before =
        static_cast<std::int64_t>(model::DeterministicWeights().read(spec.name, spec.shape)[0]);
    EXPECT_EQ(count - before, spec.name.starts_with("up4.") ? 0 : 3) << spec.name;
  }
}

// The number by which a class file marks what counts nowhere changes no loss.
TEST_F(RunChoices, TheIgnoredIdIsTheClassFilesOwn) {
  settings.init = kInitScratch;
  apply_classes(settings);
  std::vector<double> losses;
  for (const int ignore : {255, 9, 2}) {  // the last one is a class's id where there are more of them
    for (int i = 0; i < 6; ++i) {
      Image mask(80, 60, 1);
      for (int y = 0; y < 60; ++y)
        for (int x = 0; x < 80; ++x)
          mask.row(y)[x] = static_cast<std::uint8_t>(x < 30 ? ignore : y > 10 * i ? 1 : 0);
      write_png(dir / "masks" / (std::to_string(i) + ".png"), mask);
    }
    write_file(dir / "classes.toml", std::string_view("ignore = " + std::to_string(ignore) +
                                                      "\n[[class]]\nid = 1\nname = \"it\"\n"));
    settings.classes = (dir / "classes.toml").string();
    losses.push_back(loss());
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
}

// How many operations LibTorch is asked for while it lives, on all threads.
class Operations {
 public:
  Operations() {
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&count).scopes({at::RecordScope::FUNCTION}));
  }
  ~Operations() { at::removeCallback(handle_); }
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;
  static inline std::atomic<int> number{0};

 private:
  static std::unique_ptr<at::ObserverContext> count(const at::RecordFunction&) {
    ++number;
    return nullptr;
  }
  at::CallbackHandle handle_;
};

// The blocks are computed again in the backward pass, which is what saves their memory.
TEST_F(RunChoices, RecomputingComputesTheBlocksTwice) {
  settings.freeze = Freeze::none;
  std::vector<int> operations;
  for (const bool recompute : {false, true}) {
    settings.recompute = recompute;
    Operations::number = 0;
    const Operations counted;
    loss();
    operations.push_back(Operations::number);
  }
  EXPECT_GT(operations[1], operations[0] * 21 / 20);
}

TEST_F(RunChoices, ThreadsAndDeterminismAreLibTorchs) {
  auto& context = at::globalContext();
  ASSERT_FALSE(context.deterministicAlgorithms());
  settings.threads = 2;
  loss();
  EXPECT_EQ(at::get_num_threads(), 2);
  EXPECT_FALSE(context.deterministicAlgorithms());
  settings.threads = 1;
  settings.deterministic = true;
  loss();
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_TRUE(context.deterministicAlgorithms());
  context.setDeterministicAlgorithms(false, false);
}

TEST_F(RunChoices, TheBestIsWrittenInEveryFormatAskedFor) {
  settings.task_only = settings.pth = true;
  settings.val_split = 0.34;
  loss();
  for (const char* name : {"best.safetensors", "best.task.safetensors", "best.pth", "last.pth"})
    EXPECT_TRUE(fs::exists(fs::path(settings.out) / name)) << name;
  auto task = file("best.task.safetensors");
  EXPECT_EQ(model::recognise(task).contents, model::Contents::task_only);
}

}  // namespace
}  // namespace sam2unet::train
