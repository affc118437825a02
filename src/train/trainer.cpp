#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "ops/torch/device.h"
#include "sam2unet/errors.h"
#include "train/events.h"
#include "train/loader.h"
#include "train/loss.h"
#include "train/start.h"
#include "train/state.h"
#include "train/validate.h"

namespace sam2unet::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Data {
  std::vector<Pair> train, validation;
};

std::vector<Pair> all_pairs(const std::vector<std::string>& images, const std::vector<std::string>& masks) {
  std::vector<Pair> out;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto some = find_pairs(images[i], masks[i]);
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

Data find_data(const Settings& s, const Listener& listener) {
  Data data{all_pairs(s.images, s.masks), all_pairs(s.val_images, s.val_masks)};
  if (s.val_split > 0 && data.validation.empty()) {
    const auto order = shuffled(data.train.size(), s.seed, ~0ULL);
    const auto n = static_cast<std::size_t>(std::lround(s.val_split * static_cast<double>(order.size())));
    std::vector<Pair> rest;
    for (std::size_t i = 0; i < order.size(); ++i)
      (i < n ? data.validation : rest).push_back(data.train[order[i]]);
    data.train = std::move(rest);
  }
  for (auto* part : {&data.train, &data.validation}) {
    std::vector<std::string> problems;
    *part = readable_pairs(*part, s.workers, problems);
    if (!problems.empty() && !s.skip_bad) {
      throw ImageError(fmt::format(
          "{} of {} pairs cannot be used: {}; correct them, or leave them out with --skip-bad",
          problems.size(), problems.size() + part->size(),
          fmt::join(problems.begin(),
                    problems.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, problems.size())),
                    "; ")));
    }
    for (const auto& p : problems) listener.message("left out: " + p);
  }
  if (data.train.empty()) throw UsageError("no picture is left to train on");
  return data;
}

std::optional<model::Config> asked_config(const Settings& s) {
  if (!s.network.empty()) return model::Config::from_json(s.network);
  if (!s.variant.empty()) return model::Config::of_variant(s.variant);
  return std::nullopt;
}

at::ScalarType parameter_type(const Settings& s) {
  return s.precision == "f64" ? at::kDouble : at::kFloat;
}

class Run {
 public:
  Run(const Settings& settings, bool resume, const Listener& listener)
      : s_(settings),
        listener_(listener),
        device_(ops::find_device(s_.device)),
        data_(find_data(s_, listener)),
        start_(s_.init == "scratch" || resume ? fs::path() : fs::path(s_.init), resume_config(resume),
               s_.seed),
        net_(start_.config(), start_, s_.freeze == "trunk" ? Freeze::trunk : Freeze::none, parameter_type(s_),
             device_),
        optimizer_(net_.trainable(), {s_.lr, s_.weight_decay, 0.9, 0.999, 1e-8, s_.decay_all}),
        ema_(optimizer_, s_.ema),
        out_(s_.out) {
    net_.config().check_input(s_.size, s_.size);
    fs::create_directories(out_);
    if (resume) {
      progress_ = load_state(out_ / "state.safetensors", net_, optimizer_, ema_);
      if (ema_.enabled()) listener_.message("moving average restored");
      listener_.message(fmt::format("resumed at epoch {}, batch {}", progress_.epoch + 1, progress_.batch));
    }
    write_file(out_ / "train.toml", s_.to_toml());
    events_ = std::make_unique<EventWriter>(out_);
    listener_.message(fmt::format("{} pictures to train on, {} to validate on; {}; {} tensors learn",
                                  data_.train.size(), data_.validation.size(), start_.description(),
                                  optimizer_.slots().size()));
  }

  RunResult train() {
    RunResult result;
    result.best_mae = progress_.best;
    for (; progress_.epoch < s_.epochs; ++progress_.epoch, progress_.batch = 0, progress_.loss_sum = 0) {
      const bool is_first = progress_.epoch == 0;
      if (!train_epoch()) return result;
      const double mean = progress_.loss_sum / static_cast<double>(std::max<std::size_t>(1, batches_));
      if (is_first) result.first_loss = mean;
      result.last_loss = mean;
      const bool is_better = finish_epoch(mean);
      result.best_mae = progress_.best;
      // The state names the next epoch, so that a kill from here on repeats nothing.
      Progress next = progress_;
      ++next.epoch;
      next.batch = 0;
      next.loss_sum = 0;
      save_state(out_ / "state.safetensors", net_, optimizer_, ema_, next, s_);
      if (s_.early_stop > 0 && !is_better && progress_.epochs_since_best >= s_.early_stop) {
        listener_.message(fmt::format("no better validation for {} epochs: stopped", s_.early_stop));
        break;
      }
    }
    result.finished = true;
    return result;
  }

 private:
  std::optional<model::Config> resume_config(bool resume) const {
    if (!resume) return asked_config(s_);
    const auto file = formats::TensorFile::open(fs::path(s_.out) / "state.safetensors");
    const auto it = file.metadata().find("config");
    return it == file.metadata().end() ? asked_config(s_) : model::Config::from_json(it->second);
  }

  double learning_rate(double epoch_and_part) const {
    if (epoch_and_part < s_.warmup_epochs) return s_.lr * (epoch_and_part + 1e-3) / s_.warmup_epochs;
    return cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs);
  }

  // False: stopped on request, state saved.
  bool train_epoch() {
    LoaderOptions options;
    options.size = s_.size;
    options.batch = s_.batch;
    options.seed = s_.seed;
    options.workers = s_.workers;
    options.augment = s_.augment == "none"       ? Augment::none
                      : s_.augment == "official" ? Augment::official
                                                 : Augment::strong;
    Loader loader(data_.train, options, static_cast<std::uint64_t>(progress_.epoch), progress_.batch);
    batches_ = loader.batches();
    while (progress_.batch < batches_) {
      const auto begin = Clock::now();
      const Batch batch = loader.next();
      const double loss = train_batch(batch);
      ++progress_.batch;
      ++progress_.step;
      progress_.loss_sum += loss;
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      events_->scalar("train/loss", progress_.step, loss);
      listener_.step(progress_.epoch, progress_.batch, batches_, loss,
                     static_cast<double>(batch.members.size()) / seconds);
      const bool stops = listener_.stop();
      if (stops || (s_.save_every > 0 && progress_.step % s_.save_every == 0)) {
        save_state(out_ / "state.safetensors", net_, optimizer_, ema_, progress_, s_);
      }
      if (stops) {
        listener_.message("stopped on request; --resume goes on from here");
        return false;
      }
    }
    return true;
  }

  // Forward, backward and one update by the whole batch, in `accumulate` parts.
  double train_batch(const Batch& batch) {
    const auto type = s_.precision == "f64"    ? at::kDouble
                      : s_.precision == "bf16" ? at::kBFloat16
                                               : at::kFloat;
    const Bce bce = s_.bce == "effective" ? Bce::effective : Bce::weighted;
    const std::int64_t n = batch.image.size(0), part = (n + s_.accumulate - 1) / s_.accumulate;
    optimizer_.zero_grad();
    double loss = 0.0;
    for (std::int64_t at = 0; at < n; at += part) {
      const std::int64_t end = std::min(n, at + part);
      const at::Tensor image = batch.image.slice(0, at, end).to(device_, type);
      const at::Tensor mask = batch.mask.slice(0, at, end).to(device_);
      const at::Tensor total = structure_losses(net_.forward_training(image), mask, bce).total *
                               (static_cast<double>(end - at) / static_cast<double>(n));
      loss += total.item<double>();
      if (!std::isfinite(loss)) refuse_loss(batch, loss);
      total.backward();
    }
    const double norm = s_.clip > 0 ? clip_gradients(optimizer_.slots(), s_.clip) : 0.0;
    if (!std::isfinite(norm)) refuse_loss(batch, norm);
    const double epoch_and_part =
        progress_.epoch + static_cast<double>(progress_.batch) / static_cast<double>(batches_);
    optimizer_.step(learning_rate(epoch_and_part));
    ema_.update(optimizer_);
    return loss;
  }

  [[noreturn]] void refuse_loss(const Batch& batch, double loss) const {
    std::vector<std::string> names;
    for (const auto i : batch.members) names.push_back(data_.train[i].image.filename().string());
    throw Error(fmt::format(
        "the loss is {} at epoch {}, batch {} (step {}), pictures {}; the last checkpoint is kept, "
        "try a smaller --lr or --clip 1",
        loss, progress_.epoch + 1, progress_.batch + 1, progress_.step + 1, fmt::join(names, ", ")));
  }

  // Validates, writes logs and weights; whether this is the best epoch so far.
  bool finish_epoch(double mean_loss) {
    ema_.swap(optimizer_);  // the average is what is validated and kept
    Validation v;
    const auto type = parameter_type(s_);
    if (!data_.validation.empty())
      v = validate(net_, data_.validation, s_.size, type, device_, out_ / "validation");
    const bool is_better = data_.validation.empty() || v.mae < progress_.best;
    progress_.epochs_since_best = is_better ? 0 : progress_.epochs_since_best + 1;
    if (!data_.validation.empty() && is_better) progress_.best = v.mae;
    write_weights("last");
    if (is_better) write_weights("best");
    ema_.swap(optimizer_);
    log_epoch(mean_loss, v);
    return is_better;
  }

  void write_weights(const std::string& name) const {
    save_weights(out_ / (name + ".safetensors"), net_, /*with_trunk=*/true);
    if (s_.task_only) save_weights(out_ / (name + ".task.safetensors"), net_, /*with_trunk=*/false);
    if (s_.pth) save_pth(out_ / (name + ".pth"), net_);
  }

  void log_epoch(double loss, const Validation& v) {
    const int epoch = progress_.epoch + 1;
    const double lr = cosine_lr(s_.lr, s_.min_lr, progress_.epoch, s_.epochs);
    nlohmann::json line{{"epoch", epoch}, {"step", progress_.step}, {"lr", lr}, {"loss", loss}};
    events_->scalar("train/epoch_loss", epoch, loss);
    std::string text = fmt::format("epoch {}/{}: loss {:.4f}", epoch, s_.epochs, loss);
    if (!data_.validation.empty()) {
      line.update({{"mae", v.mae}, {"s_measure", v.s_measure}, {"weighted_f", v.weighted_f}});
      events_->scalar("val/mae", epoch, v.mae);
      events_->scalar("val/s_measure", epoch, v.s_measure);
      events_->scalar("val/weighted_f", epoch, v.weighted_f);
      text += fmt::format(", MAE {:.4f}, S {:.4f}, weighted F {:.4f}", v.mae, v.s_measure, v.weighted_f);
    }
    append("log.jsonl", "", line.dump());
    append("log.csv", "epoch,step,lr,loss,mae,s_measure,weighted_f",
           fmt::format("{},{},{},{},{},{},{}", epoch, progress_.step, lr, loss, v.mae, v.s_measure,
                       v.weighted_f));
    listener_.message(text);
  }

  void append(const std::string& name, const std::string& header, const std::string& line) const {
    const bool is_new = !fs::exists(out_ / name);
    std::ofstream file(out_ / name, std::ios::app);
    if (is_new && !header.empty()) file << header << '\n';
    file << line << '\n';
    if (!file.flush())
      throw FileError(fmt::format("{}: cannot be written; is the disk full?", (out_ / name).string()));
  }

  Settings s_;
  const Listener& listener_;
  at::Device device_;
  Data data_;
  StartWeights start_;
  TrainableNetwork net_;
  AdamW optimizer_;
  Ema ema_;
  fs::path out_;
  std::unique_ptr<EventWriter> events_;
  Progress progress_;
  std::size_t batches_ = 0;
};

}  // namespace

RunResult run(const Settings& settings, bool resume, const Listener& listener) {
  settings.validate();
  if (settings.threads > 0) at::set_num_threads(settings.threads);
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
  return Run(settings, resume, listener).train();
}

}  // namespace sam2unet::train
