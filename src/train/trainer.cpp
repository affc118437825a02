#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <new>

#include "core/file.h"
#include "core/hash.h"
#include "metrics/dataset.h"
#include "ops/torch/device.h"
#include "ops/torch/torch_errors.h"
#include "sam2unet/errors.h"
#include "train/data.h"
#include "train/loader.h"
#include "train/log.h"
#include "train/parallel.h"
#include "train/start.h"
#include "train/state.h"
#include "train/step.h"
#include "train/validate.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// All processes must have found the same names, or each would train on its own order.
void check_alike(const Data& data, const Settings& s, Group& group) {
  std::uint64_t names = kFnvOffset;
  for (const auto* part : {&data.train, &data.validation}) {
    for (const auto& p : *part) names = fnv1a(p.image.filename().string(), names);
  }
  const auto said =
      group.exchange("run", fmt::format("{} pictures to train on, {} to validate on, names {:016x}\n",
                                        data.train.size(), data.validation.size(), names) +
                                s.to_toml());
  for (std::size_t r = 1; r < said.size(); ++r) {
    if (said[r] == said[0]) continue;
    const auto line = [](const std::string& t) { return t.substr(0, t.find('\n')); };
    const auto settings = [&](const std::string& t) {
      return Settings::from_toml(t.substr(t.find('\n') + 1));
    };
    const auto changed = Settings::differences(settings(said[0]), settings(said[r]));
    if (line(said[r]) == line(said[0]) && changed.empty()) continue;
    throw UsageError(fmt::format("rank {} was started otherwise than rank 0: {}", r,
                                 changed.empty()
                                     ? fmt::format("{}; rank 0 finds {}", line(said[r]), line(said[0]))
                                     : fmt::format("{}", fmt::join(changed, ", "))));
  }
}

// Every process checks all pairs itself; what they keep must be the same.
Data checked_data(const Settings& s, const model::Config& config, const Listener& listener, Group& group) {
  config.check_input(s.size, s.size);  // before thousands of pictures are read
  Data data = find_data(s, listener.message);
  CheckOptions options;
  options.threads = s.workers;
  options.skip_bad = s.skip_bad;
  options.note = listener.message;
  check_data(data, options);
  check_alike(data, s, group);
  if (data.train.size() < static_cast<std::size_t>(group.world()) || s.batch < group.world()) {
    throw UsageError(fmt::format("{} processes, but a batch of {} from {} pictures: each must get a picture",
                                 group.world(), s.batch, data.train.size()));
  }
  return data;
}

std::optional<model::Config> asked_config(const Settings& s) {
  if (!s.network.empty()) return model::Config::from_json(s.network);
  if (!s.variant.empty()) return model::Config::of_variant(s.variant);
  return std::nullopt;
}

at::ScalarType compute_type(const Settings& s) {
  return s.precision == "f64" ? at::kDouble : s.precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

at::ScalarType parameter_type(const Settings& s) {
  return s.precision == "f64" ? at::kDouble : at::kFloat;
}

// The metric that decides what is best, as `eval` calls it.
const std::string& criterion(const std::string& option) {
  static const std::map<std::string, std::string> keys = {
      {"mae", "MAE"},   {"s", "S"},          {"wf", "wF"},         {"e", "E_mean"},
      {"f", "fm.mean"}, {"iou", "iou.mean"}, {"dice", "dice.mean"}};
  return keys.at(option);
}

class Run {
 public:
  Run(const Settings& settings, bool resume, const Listener& listener, Group& group, at::Device device)
      : s_(settings),
        listener_(listener),
        group_(group),
        device_(device),
        start_(s_.init == "scratch" || resume ? fs::path() : fs::path(s_.init), resume_config(resume),
               s_.seed),
        data_(checked_data(s_, start_.config(), listener, group)),
        net_(start_.config(), start_, s_.freeze == "trunk" ? Freeze::trunk : Freeze::none, parameter_type(s_),
             device_),
        optimizer_(net_.trainable(), {s_.lr, s_.weight_decay, 0.9, 0.999, 1e-8, s_.decay_all}),
        ema_(optimizer_, s_.ema),
        out_(s_.out),
        criterion_(criterion(s_.best_by)) {
    net_.ops().recompute = s_.recompute;
    net_.ops().deterministic = s_.deterministic && device_.is_cuda();
    if (resume) {
      progress_ = load_state(out_ / "state.safetensors", net_, optimizer_, ema_);
      listener_.message(fmt::format("resumed at epoch {}, batch {}", progress_.epoch + 1, progress_.batch));
    }
    share_state();
    step_ = std::make_unique<GradientStep>(
        net_, optimizer_, group_,
        StepOptions{s_.bce == "effective" ? Bce::effective : Bce::weighted, s_.accumulate, s_.sync_bn});
    if (group_.is_first()) {
      fs::create_directories(out_ / "validation");
      write_file(out_ / "train.toml", s_.to_toml());
      log_ = std::make_unique<RunLog>(out_, progress_.epoch, progress_.step);
    }
    listener_.message(fmt::format("{} pictures to train on, {} to validate on; {}; {} tensors learn{}",
                                  data_.train.size(), data_.validation.size(), start_.description(),
                                  optimizer_.slots().size(),
                                  group_.is_alone() ? "" : fmt::format("; {} processes", group_.world())));
  }

  RunResult train() {
    RunResult result;
    begin_ = Clock::now();
    bool is_done = stops_early();  // a resumed run may be one that did
    if (!is_done && progress_.epoch < s_.epochs) open_loader();
    for (; !is_done && progress_.epoch < s_.epochs; next_epoch()) {
      const bool is_first = progress_.epoch == 0;
      if (!train_epoch()) return result;
      const double mean = progress_.loss_sum / static_cast<double>(std::max<std::size_t>(1, batches_));
      if (is_first) result.first_loss = mean;
      result.last_loss = mean;
      finish_epoch(mean);
      is_done = stops_early();
    }
    result.finished = true;
    result.best = progress_.best;
    return result;
  }

 private:
  std::optional<model::Config> resume_config(bool resume) const {
    if (!resume) return asked_config(s_);
    const auto file = formats::TensorFile::open(fs::path(s_.out) / "state.safetensors");
    const auto it = file.metadata().find("config");
    return it == file.metadata().end() ? asked_config(s_) : model::Config::from_json(it->second);
  }

  // Every process starts from what rank 0 has.
  void share_state() {
    if (group_.is_alone()) return;
    const c10::NoGradGuard no_gradients;
    const auto share = [&](const at::Tensor& t) {
      at::Tensor values = t.detach();
      group_.broadcast(values);
    };
    for (const auto& e : net_.tensors().entries()) share(e.value);
    for (const auto& s : optimizer_.slots()) {
      share(s.mean);
      share(s.square);
    }
    for (const auto& t : ema_.averages()) share(t);
  }

  bool stops_early() const {
    const bool stops =
        s_.early_stop > 0 && !data_.validation.empty() && progress_.epochs_since_best >= s_.early_stop;
    if (stops) listener_.message(fmt::format("no better validation for {} epochs: stopped", s_.early_stop));
    return stops;
  }

  void next_epoch() {
    ++progress_.epoch;
    progress_.batch = 0;
    progress_.loss_sum = 0;
  }

  double learning_rate() const {
    const double epochs =
        progress_.epoch + static_cast<double>(progress_.batch) / static_cast<double>(batches_);
    if (epochs < s_.warmup_epochs) return s_.lr * (epochs + 1e-3) / s_.warmup_epochs;
    return cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs);
  }

  void open_loader() {
    LoaderOptions options;
    options.size = s_.size;
    options.batch = s_.batch;
    options.seed = s_.seed;
    options.workers = s_.workers;
    options.rank = group_.rank();
    options.world = group_.world();
    options.augment = s_.augment == "none"       ? Augment::none
                      : s_.augment == "official" ? Augment::official
                                                 : Augment::strong;
    loader_ = std::make_unique<Loader>(data_.train, options, static_cast<std::uint64_t>(progress_.epoch),
                                       progress_.batch, static_cast<std::uint64_t>(s_.epochs));
    batches_ = loader_->batches();
  }

  // False: stopped on request, state saved.
  bool train_epoch() {
    while (progress_.batch < batches_) {
      const auto begin = Clock::now();
      const bool stops = train_batch(loader_->next(), begin);
      if (stops || (s_.save_every > 0 && progress_.step % s_.save_every == 0)) save(progress_);
      if (stops) {
        listener_.message("stopped on request; --resume goes on from here");
        return false;
      }
    }
    return true;
  }

  // One update by the whole batch; whether some process was asked to stop.
  bool train_batch(const Batch& batch, Clock::time_point begin) {
    const auto whole = static_cast<std::size_t>(s_.batch);
    const std::size_t total = std::min(whole, data_.train.size() - progress_.batch * whole);
    optimizer_.zero_grad();
    const auto outcome = step_->compute(batch.image.to(device_, compute_type(s_)), batch.mask.to(device_),
                                        total, listener_.stop());
    if (outcome.bad_rank >= 0) refuse(batch, "loss", outcome.loss, outcome.bad_rank);
    const double norm = clip_gradients(optimizer_.slots(), s_.clip);
    if (!std::isfinite(norm)) refuse(batch, "gradient's norm", norm, 0);
    const double lr = learning_rate();
    optimizer_.step(lr);
    ema_.update(optimizer_);
    ++progress_.batch;
    ++progress_.step;
    ++steps_made_;
    progress_.loss_sum += outcome.loss;
    const auto now = Clock::now();
    const double rate = static_cast<double>(total) / std::chrono::duration<double>(now - begin).count();
    if (log_) {
      log_->step(progress_.epoch + 1, progress_.step,
                 {{"loss", outcome.loss}, {"lr", lr}, {"gradient_norm", norm}, {"pictures_per_s", rate}});
    }
    const double per_step =
        std::chrono::duration<double>(now - begin_).count() / static_cast<double>(steps_made_);
    const auto left = static_cast<double>(s_.epochs - progress_.epoch) * static_cast<double>(batches_) -
                      static_cast<double>(progress_.batch);
    listener_.step({progress_.epoch + 1, s_.epochs, progress_.batch, batches_, progress_.step, outcome.loss,
                    lr, norm, rate, per_step * left});
    return outcome.stops;
  }

  [[noreturn]] void refuse(const Batch& batch, const char* what, double value, int rank) const {
    if (rank != group_.rank()) throw LostProcess("another process's loss is no number", true);
    std::vector<std::string> names;
    for (const auto i : batch.members) names.push_back(data_.train[i].image.filename().string());
    throw Error(fmt::format(
        "the {} is {} at epoch {}, batch {} (step {}), pictures {}; the last checkpoint is kept, "
        "try a smaller --lr or --clip 1",
        what, value, progress_.epoch + 1, progress_.batch + 1, progress_.step + 1, fmt::join(names, ", ")));
  }

  // Validates, writes logs, weights and the state.
  void finish_epoch(double mean_loss) {
    ema_.swap(optimizer_);  // the average is what is validated and kept
    Validation v;
    if (!data_.validation.empty()) {
      v = validate(net_, data_.validation,
                   {s_.size, std::min(s_.batch, 8), s_.workers, parameter_type(s_), device_}, group_);
    }
    const double value = v.value(criterion_);
    const bool is_better =
        data_.validation.empty() || std::isnan(progress_.best) ||
        (metrics::higher_is_better(criterion_) ? value > progress_.best : value < progress_.best);
    progress_.epochs_since_best = is_better ? 0 : progress_.epochs_since_best + 1;
    if (is_better) progress_.best = value;
    if (group_.is_first()) {
      write_weights("last");
      if (is_better) write_weights("best");
    }
    ema_.swap(optimizer_);
    log_epoch(mean_loss, v);
    // The state names the next epoch, so that a kill from here on repeats nothing.
    Progress next = progress_;
    ++next.epoch;
    next.batch = 0;
    next.loss_sum = 0;
    save(next);
  }

  void save(const Progress& progress) const {
    if (group_.is_first()) save_state(out_ / "state.safetensors", net_, optimizer_, ema_, progress, s_);
  }

  void write_weights(const std::string& name) const {
    save_weights(out_ / (name + ".safetensors"), net_, /*with_trunk=*/true);
    if (s_.task_only) save_weights(out_ / (name + ".task.safetensors"), net_, /*with_trunk=*/false);
    if (s_.pth) save_pth(out_ / (name + ".pth"), net_);
  }

  void log_epoch(double loss, const Validation& v) {
    const int epoch = progress_.epoch + 1;
    std::string text = fmt::format("epoch {}/{}: loss {:.4f}", epoch, s_.epochs, loss);
    if (!data_.validation.empty()) {
      text += fmt::format(", MAE {:.4f}, S {:.4f}, weighted F {:.4f}", v.value("MAE"), v.value("S"),
                          v.value("wF"));
    }
    listener_.message(text);
    if (!log_) return;
    log_->epoch(epoch, progress_.step,
                {{"lr", cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs)}, {"loss", loss}}, v.values);
    for (const auto& row : v.rows) {
      write_png(out_ / "validation" / (row.name + ".png"), row.picture);
      // TensorBoard keeps the pictures of all epochs, so they are small there.
      const double scale = std::min(1.0, 600.0 / row.picture.width);
      log_->picture(
          row.name, progress_.step,
          resize_pillow(row.picture, std::max(1, static_cast<int>(row.picture.width * scale)),
                        std::max(1, static_cast<int>(row.picture.height * scale)), ResizeFilter::bilinear));
    }
  }

  Settings s_;
  const Listener& listener_;
  Group& group_;
  at::Device device_;
  StartWeights start_;
  Data data_;
  TrainableNetwork net_;
  AdamW optimizer_;
  Ema ema_;
  fs::path out_;
  const std::string& criterion_;
  std::unique_ptr<GradientStep> step_;
  std::unique_ptr<RunLog> log_;     // rank 0's
  std::unique_ptr<Loader> loader_;  // of all epochs
  Progress progress_;
  std::size_t batches_ = 0;
  std::int64_t steps_made_ = 0;  // by this process
  Clock::time_point begin_;
};

void check_start(const Settings& settings, bool resume) {
  const fs::path state = fs::path(settings.out) / "state.safetensors";
  if (resume) {
    const auto changed = Settings::differences(stored_settings(state), settings);
    if (!changed.empty()) {
      throw UsageError(fmt::format("--resume: this run was started otherwise: {}", fmt::join(changed, ", ")));
    }
  } else if (fs::exists(state)) {
    throw UsageError(fmt::format("{}: holds a run already; go on with it by --resume, or name another --out",
                                 settings.out));
  }
}

void use_deterministic_algorithms() {
  // cuBLAS is deterministic with a workspace of fixed size only; read when it starts.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

RunResult train_with_own_errors(const Settings& settings, bool resume, const Listener& listener, Group& group,
                                at::Device device) try {
  return ops::with_own_errors([&] { return Run(settings, resume, listener, group, device).train(); });
} catch (const std::bad_alloc&) {
  throw Error(
      fmt::format("memory ran out at --batch {} and --size {}; a smaller --batch with --accumulate, "
                  "--recompute or --precision bf16 need less, and --plan --memory says what fits",
                  settings.batch, settings.size));
}

}  // namespace

RunResult run(const Settings& settings, bool resume, const Listener& listener) {
  settings.validate();
  if (settings.threads > 0) at::set_num_threads(settings.threads);
  if (settings.deterministic) use_deterministic_algorithms();
  const Place place = place_from_environment();
  at::Device device = ops::find_device(settings.device);
  if (device.is_cuda()) {
    device = ops::find_device(gpu_name(settings.device, place, static_cast<int>(at::getNumGPUs())));
  }
  Group group(place, device, std::chrono::seconds(settings.dist_timeout));
  Listener own = listener;
  if (!group.is_first()) {
    own.message = [](const std::string&) {};
    own.step = [](const StepReport&) {};
  }
  try {
    check_start(settings, resume);
    return train_with_own_errors(settings, resume, own, group, device);
  } catch (const LostProcess&) {
    throw;
  } catch (const std::exception& e) {
    if (!group.leave()) throw LostProcess(e.what(), /*is_reported=*/true);
    throw;
  }
}

}  // namespace sam2unet::train
