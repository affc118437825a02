#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <new>

#include "core/file.h"
#include "metrics/dataset.h"
#include "ops/torch/device.h"
#include "ops/torch/numerics.h"
#include "ops/torch/torch_errors.h"
#include "report/run_folder.h"
#include "sam2unet/errors.h"
#include "train/loader.h"
#include "train/log.h"
#include "train/multi_scale.h"
#include "train/parallel.h"
#include "train/run_data.h"
#include "train/run_record.h"
#include "train/start.h"
#include "train/state.h"
#include "train/step.h"
#include "train/validate.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::optional<model::Config> asked_config(const Settings& s) {
  if (!s.network.empty()) return model::Config::from_json(s.network);
  if (!s.variant.empty()) return model::Config::of_variant(s.variant);
  return std::nullopt;
}

at::ScalarType compute_type(const Settings& s) {
  switch (s.precision) {
    case ComputeType::f64:
      return at::kDouble;
    case ComputeType::bf16:
      return at::kBFloat16;
    case ComputeType::f32:
    case ComputeType::tf32:
      break;
  }
  return at::kFloat;
}

at::ScalarType parameter_type(const Settings& s) {
  return s.precision == ComputeType::f64 ? at::kDouble : at::kFloat;
}

fs::path state_path(const Settings& s) {
  return fs::path(s.out) / "state.safetensors";
}

// The classes of the run; empty of one foreground. A resumed run must have those it was started with.
ClassTable classes_of(const Settings& s, Begin begin) {
  ClassTable out;
  if (!s.classes.empty()) out = class_table_of(s.classes);
  if (begin == Begin::fresh) return out;
  const ClassTable before = stored_classes(state_path(s));
  if (!same_classes(before, out) || before.ignore != out.ignore) {
    throw UsageError(
        fmt::format("--resume: {} no longer holds the classes this run was started with", s.classes));
  }
  return out;
}

// A resumed run needs no start but the network, which its state holds.
StartWeights start_of(const Settings& s, Begin begin, const ClassTable& classes) {
  std::optional<model::Config> config = asked_config(s);
  if (begin == Begin::fresh) {
    return {s.init == kInitScratch ? fs::path() : fs::path(s.init),
            config,
            s.seed,
            s.adapters,
            classes,
            parts_of(s)};
  }
  const auto file = formats::TensorFile::open(state_path(s));
  if (const auto it = file.metadata().find("config"); it != file.metadata().end()) {
    config = model::Config::from_json(it->second);
  }
  return {fs::path(), config, s.seed, s.adapters, classes};
}

class Run {
 public:
  Run(const Settings& settings, Begin begin, const Listener& listener, Group& group, at::Device device)
      : s_(settings),
        begins_(begin),
        listener_(listener),
        group_(group),
        device_(device),
        table_(classes_of(s_, begin)),
        start_(start_of(s_, begin, table_)),
        data_(checked_data(s_, start_.config(), listener.message, group, classes())),
        sizes_(training_sizes(s_.size, s_.multi_scale)),
        net_(start_.config(), start_, s_.freeze, parameter_type(s_), device_),
        optimizer_(net_.trainable(), {s_.lr, s_.weight_decay, 0.9, 0.999, 1e-8, s_.decay_all}),
        ema_(optimizer_, s_.ema),
        out_(s_.out),
        criterion_(metric_of(s_.best_by)) {
    net_.ops().recompute = s_.recompute;
    net_.ops().deterministic = s_.deterministic && device_.is_cuda();
    progress_.data = data_.fingerprint;
    facts_ = {start_.description(),      start_.config(),      pairs().train.size(),
              pairs().validation.size(), learned_parameters(), group_.world()};
    if (begins_ == Begin::resume) restore();
    share_state();
    step_ = std::make_unique<TrainingStep>(net_, optimizer_, ema_, group_, step_options());
    if (group_.is_first()) {
      fs::create_directories(out_ / "validation");
      write_file(out_ / "train.toml", s_.to_toml());
      // A run that was killed before its first state begins anew, its first lines too.
      log_ = std::make_unique<RunLog>(out_, begins_ == Begin::resume ? progress_.epoch : -1, progress_.step);
    }
    listener_.message(fmt::format("{} pictures to train on, {} to validate on; {}; {} tensors learn{}",
                                  pairs().train.size(), pairs().validation.size(), facts_.start,
                                  optimizer_.slots().size(),
                                  group_.is_alone() ? "" : fmt::format("; {} processes", group_.world())));
  }

  RunResult train() {
    RunResult result;
    begin_ = Clock::now();
    if (begins_ == Begin::fresh) validate_start();
    bool is_done = stops_early();  // a resumed run may be one that did
    if (!is_done && progress_.epoch < s_.epochs) open_loader();
    record(RunStatus::running);
    for (; !is_done && progress_.epoch < s_.epochs; next_epoch()) {
      const bool is_first = progress_.epoch == 0;
      if (!train_epoch()) {
        record(RunStatus::stopped);
        return result;
      }
      const double mean =
          progress_.loss_sum / static_cast<double>(std::max<std::size_t>(1, batches_ * sizes_.size()));
      if (is_first) result.first_loss = mean;
      result.last_loss = mean;
      finish_epoch(mean);
      is_done = stops_early();
    }
    result.finished = true;
    result.start = progress_.start;
    result.best = progress_.best;
    result.best_epoch = progress_.best_epoch;
    record(is_done ? RunStatus::stopped_early : RunStatus::finished);
    tell_best();
    return result;
  }

 private:
  const ClassTable* classes() const { return table_.empty() ? nullptr : &table_; }
  const Data& pairs() const { return data_.pairs; }

  std::int64_t learned_parameters() const {
    std::int64_t n = 0;
    for (const auto& s : optimizer_.slots()) n += s.parameter.numel();
    return n;
  }

  void restore() {
    Progress stored = load_state(state_path(s_), net_, optimizer_, ema_);
    if (!stored.data.empty() && stored.data != data_.fingerprint) {
      const std::string text =
          fmt::format("the pictures are not those this run was started with: {} before, {} now", stored.data,
                      data_.fingerprint);
      if (!s_.skip_bad) throw UsageError(text);
      listener_.message("warning: " + text);
    }
    progress_ = stored;
    progress_.data = data_.fingerprint;
    facts_.start = fmt::format("weights of {}", state_path(s_).string());
    listener_.message(progress_.epoch >= s_.epochs
                          ? fmt::format("resumed: all {} epochs are made", s_.epochs)
                          : fmt::format("resumed at epoch {} of {}, batch {}", progress_.epoch + 1, s_.epochs,
                                        progress_.batch + 1));
    const int before = stored_settings(state_path(s_)).epochs;
    if (s_.epochs == before) return;
    listener_.message(fmt::format(
        "{} epochs instead of {}: the cosine now ends at epoch {}, so the learning rate goes on at {:.3g} "
        "(it would have been {:.3g}); a run of {} epochs from the start would have had other rates until "
        "here",
        s_.epochs, before, s_.epochs, cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs),
        cosine_lr(s_.lr, s_.min_lr, std::min(progress_.epoch, before), before), s_.epochs));
  }

  StepOptions step_options() const {
    StepOptions o{{s_.loss, s_.bce, table_.ignore}, s_.accumulate, s_.sync_bn, s_.clip, compute_type(s_), {}};
    std::string why;
    if (device_.is_cuda() && group_.is_alone()) o.recorder = make_cuda_recorder(why);
    tell_not_recorded(why);
    return o;
  }

  void tell_not_recorded(const std::string& why) const {
    if (!why.empty()) listener_.message(fmt::format("steps are computed operation by operation: {}", why));
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
        s_.early_stop > 0 && !pairs().validation.empty() && progress_.epochs_since_best >= s_.early_stop;
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
    options.augment = s_.augment;
    options.classes = classes();
    options.fit = fit_of(s_);
    options.bytes = true;
    options.pinned = device_.is_cuda();
    loader_ = std::make_unique<Loader>(pairs().train, options, static_cast<std::uint64_t>(progress_.epoch),
                                       progress_.batch, static_cast<std::uint64_t>(s_.epochs));
    batches_ = loader_->batches();
  }

  // A step that was started, as it is told once its outcome is known.
  struct Started {
    StepReport report;  // all but loss, norm and rate
    std::vector<std::size_t> members;
    std::size_t pictures = 0;  // of all processes
    int size = 0;
    bool ends_batch = false;
    Clock::time_point begin;
  };

  // False: stopped on request, state saved.
  bool train_epoch() {
    while (progress_.batch < batches_ && !stops_) {
      const std::int64_t before = progress_.step;
      train_batch(loader_->next());
      const bool is_due = s_.save_every > 0 && progress_.step / s_.save_every > before / s_.save_every;
      if (stops_ || is_due) finish_steps();
      if (is_due && !stops_) save(progress_);
    }
    finish_steps();
    if (!stops_) return true;
    save(progress_);
    listener_.message("stopped on request; --resume goes on from here");
    return false;
  }

  // An update by the whole batch at each size, which belong together: nothing is saved between them. The
  // outcome of each is read when the next one is under way.
  void train_batch(const Batch& batch) {
    const auto whole = static_cast<std::size_t>(s_.batch);
    const std::size_t total = std::min(whole, pairs().train.size() - progress_.batch * whole);
    const double lr = learning_rate();
    ++progress_.batch;
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      const int size = sizes_[i];
      const bool stops = listener_.stop();
      const auto begin = Clock::now();
      const bool was_recorded = step_->is_recorded();
      step_->start(batch, size, total, lr, stops ? Request::stop : Request::none);
      if (was_recorded) tell_not_recorded(step_->failure());
      ++progress_.step;
      stops_ = stops_ || (stops && group_.is_alone());  // others are to know it before
      const StepReport report{.epoch = progress_.epoch + 1,
                              .epochs = s_.epochs,
                              .batch = progress_.batch,
                              .batches = batches_,
                              .step = progress_.step,
                              .lr = lr};
      started_.push_back({report, batch.members, total, size, i + 1 == sizes_.size(), begin});
      if (started_.size() > most_under_way()) finish_step();
    }
  }

  // On the CPU a step is over when start() returns, so its outcome is there.
  std::size_t most_under_way() const { return device_.is_cuda() ? 1 : 0; }

  void finish_steps() {
    while (!started_.empty()) finish_step();
  }

  void finish_step() {
    const StepOutcome outcome = step_->finish();
    Started done = std::move(started_.front());
    started_.pop_front();
    if (outcome.bad_rank >= 0) refuse(done, "loss", outcome.loss, outcome.bad_rank);
    if (!outcome.ok()) refuse(done, "gradient's norm", outcome.norm, 0);
    stops_ = stops_ || outcome.stops;
    progress_.loss_sum += outcome.loss;
    const auto now = Clock::now();
    StepReport& r = done.report;
    r.loss = outcome.loss;
    r.gradient_norm = outcome.norm;
    r.pictures_per_s = static_cast<double>(done.pictures) /
                       std::chrono::duration<double>(now - std::max(done.begin, last_finish_)).count();
    last_finish_ = now;
    if (log_) {
      log_->step(r.epoch, r.step,
                 {{"loss", r.loss},
                  {"lr", r.lr},
                  {"gradient_norm", r.gradient_norm},
                  {"pictures_per_s", r.pictures_per_s},
                  {"size", static_cast<double>(done.size)}});
    }
    if (!done.ends_batch) return;
    ++batches_made_;
    const double per_batch =
        std::chrono::duration<double>(now - begin_).count() / static_cast<double>(batches_made_);
    const auto left = static_cast<double>(s_.epochs - r.epoch + 1) * static_cast<double>(batches_) -
                      static_cast<double>(r.batch);
    r.seconds_left = per_batch * left;
    listener_.step(r);
  }

  [[noreturn]] void refuse(const Started& step, const char* what, double value, int rank) const {
    if (rank != group_.rank())
      throw LostProcess("another process's loss is no number", LostProcess::Told::by_other);
    std::vector<std::string> names;
    for (const auto i : step.members) names.push_back(pairs().train[i].image.filename().string());
    throw Error(fmt::format(
        "the {} is {} at epoch {}, batch {} (step {}), pictures {}; the last checkpoint is kept, "
        "try a smaller --lr or --clip 1",
        what, value, step.report.epoch, step.report.batch, step.report.step, fmt::join(names, ", ")));
  }

  // What the weights are worth before the first step: what every epoch is measured against, and kept as the
  // best where none is better.
  void validate_start() {
    if (pairs().validation.empty()) return;
    const Validation v = validated();
    progress_.best = progress_.start = v.value(criterion_);
    if (group_.is_first()) write_weights("best");
    listener_.message(fmt::format("start: {}", summary(v)));
    log_values(0, {{"lr", std::nan("")}, {"loss", std::nan("")}}, v);
    save(progress_);
  }

  Validation validated() {
    return validate(
        net_, pairs().validation,
        {s_.size, std::min(s_.batch, 8), s_.workers, parameter_type(s_), device_, classes(), fit_of(s_)},
        group_);
  }

  // Validates, writes logs, weights and the state.
  void finish_epoch(double mean_loss) {
    ema_.swap(optimizer_);  // the average is what is validated and kept
    Validation v;
    if (!pairs().validation.empty()) v = validated();
    const double value = v.value(criterion_);
    const bool is_better =
        pairs().validation.empty() || std::isnan(progress_.best) ||
        (metrics::higher_is_better(criterion_) ? value > progress_.best : value < progress_.best);
    progress_.epochs_since_best = is_better ? 0 : progress_.epochs_since_best + 1;
    if (is_better) {
      progress_.best = value;
      progress_.best_epoch = progress_.epoch + 1;
    }
    if (group_.is_first()) {
      write_weights("last");
      if (is_better) write_weights("best");
    }
    ema_.swap(optimizer_);
    log_epoch(mean_loss, v, is_better);
    // The state names the next epoch, so that a kill from here on repeats nothing.
    Progress next = progress_;
    ++next.epoch;
    next.batch = 0;
    next.loss_sum = 0;
    save(next);
    record(RunStatus::running, next.epoch);
  }

  void record(RunStatus status) const { record(status, progress_.epoch); }
  void record(RunStatus status, int epochs_done) const {
    if (!group_.is_first()) return;
    write_run_record(out_, s_, facts_, progress_, epochs_done, status);
    refresh_report();
  }

  // A page that cannot be written is no reason to end a run.
  void refresh_report() const {
    try {
      report::write_run_report(out_);
    } catch (const Error& e) {
      listener_.message(fmt::format("report.html is not up to date: {}", e.what()));
    }
  }

  void tell_best() const {
    if (std::isnan(progress_.best)) return;
    if (progress_.best_epoch == 0) {
      listener_.message(fmt::format(
          "warning: by {} no epoch was better than the start ({:.4f}); best.safetensors holds the start",
          name_of(s_.best_by), progress_.start));
    } else {
      listener_.message(fmt::format("best by {}: epoch {}, {:.4f} (the start: {:.4f})", name_of(s_.best_by),
                                    progress_.best_epoch, progress_.best, progress_.start));
    }
  }

  void save(const Progress& progress) const {
    if (group_.is_first()) save_state(state_path(s_), net_, optimizer_, ema_, progress, s_, table_);
  }

  void write_weights(const std::string& name) const {
    save_weights(out_ / (name + ".safetensors"), net_, s_.size, WeightsPart::all, table_, fit_of(s_));
    if (s_.task_only)
      save_weights(out_ / (name + ".task.safetensors"), net_, s_.size, WeightsPart::task, table_, fit_of(s_));
    if (s_.pth) save_pth(out_ / (name + ".pth"), net_);
  }

  std::string summary(const Validation& v) const { return train::summary(v, classes(), criterion_); }

  void log_epoch(double loss, const Validation& v, bool is_best) {
    const int epoch = progress_.epoch + 1;
    std::string text = fmt::format("epoch {}/{}: loss {:.4f}", epoch, s_.epochs, loss);
    if (!pairs().validation.empty()) text += ", " + summary(v) + (is_best ? " (best so far)" : "");
    listener_.message(text);
    log_values(epoch, {{"lr", cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs)}, {"loss", loss}}, v);
  }

  void log_values(int epoch, const Values& training, const Validation& v) {
    if (!log_) return;
    log_->epoch(epoch, progress_.step, training, v.values);
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
  Begin begins_;
  const Listener& listener_;
  Group& group_;
  at::Device device_;
  ClassTable table_;  // empty of one foreground
  StartWeights start_;
  RunData data_;
  std::vector<int> sizes_;
  RunFacts facts_;
  TrainableNetwork net_;
  AdamW optimizer_;
  Ema ema_;
  fs::path out_;
  const std::string criterion_;  // the metric that decides what is best, as `eval` calls it
  std::unique_ptr<TrainingStep> step_;
  std::deque<Started> started_;
  bool stops_ = false;              // some process was asked to
  std::unique_ptr<RunLog> log_;     // rank 0's
  std::unique_ptr<Loader> loader_;  // of all epochs
  Progress progress_;
  std::size_t batches_ = 0;
  std::int64_t batches_made_ = 0;  // by this process
  Clock::time_point begin_, last_finish_;
};

void check_resume(const Settings& settings) {
  const Settings before = stored_settings(state_path(settings));
  const auto changed = Settings::differences(before, settings, Settings::Scope::resumed);
  if (!changed.empty()) {
    throw UsageError(fmt::format("--resume: this run was started otherwise: {}", fmt::join(changed, ", ")));
  }
  if (settings.epochs < before.epochs) {
    throw UsageError(fmt::format(
        "--resume: this run has {} epochs, and --epochs {} would cut it short; it can only be made "
        "longer",
        before.epochs, settings.epochs));
  }
}

void check_fresh(const Settings& s) {
  if (fs::exists(state_path(s))) {
    throw UsageError(
        fmt::format("{}: holds a run already; go on with it by --resume, or name another --out", s.out));
  }
  if (s.init == kInitScratch && s.freeze == Freeze::trunk && !s.frozen_scratch) {
    throw UsageError(
        "--init scratch with a frozen trunk would keep random numbers as the trunk: start from a SAM2 trunk "
        "or a "
        "SAM2-UNet (--init FILE, or --init default for the model that comes with the program), or let "
        "everything "
        "learn (--recipe scratch, or --freeze none); --frozen-scratch does it all the same");
  }
}

RunResult train_with_own_errors(const Settings& settings, Begin begin, const Listener& listener, Group& group,
                                at::Device device) try {
  return ops::with_own_errors([&] {
    const ops::OwnStream stream(device);
    return Run(settings, begin, listener, group, device).train();
  });
} catch (const std::bad_alloc&) {
  throw Error(
      fmt::format("memory ran out at --batch {} and --size {}; a smaller --batch with --accumulate, "
                  "--recompute or --precision bf16 need less, and --plan --memory says what fits",
                  settings.batch, settings.size));
}

}  // namespace

RunResult run(const Settings& settings, Begin begin, const Listener& listener) {
  settings.validate();
  if (settings.threads > 0) at::set_num_threads(settings.threads);
  if (settings.deterministic) ops::use_deterministic_algorithms();
  ops::set_float32_numerics(settings.precision == ComputeType::tf32);
  const Place place = place_from_environment();
  const std::string device_name(name_of(settings.device));
  const auto find = [](const std::string& name) { return ops::find_device(name, "--device " + name); };
  at::Device device = find(device_name);
  if (device.is_cuda()) device = find(gpu_name(device_name, place, static_cast<int>(at::getNumGPUs())));
  Group group(place, device, std::chrono::seconds(settings.dist_timeout));
  Listener own = listener;
  if (!group.is_first()) {
    own.message = [](const std::string&) {};
    own.step = [](const StepReport&) {};
  }
  try {
    if (begin == Begin::resume) {
      check_resume(settings);
    } else {
      check_fresh(settings);
    }
    return train_with_own_errors(settings, begin, own, group, device);
  } catch (const LostProcess&) {
    throw;
  } catch (const std::exception& e) {
    if (!group.leave()) throw LostProcess(e.what(), LostProcess::Told::by_other);
    throw;
  }
}

}  // namespace sam2unet::train
