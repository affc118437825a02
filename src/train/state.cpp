#include <algorithm>

#include "train/state.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "model/input_size.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"

namespace sam2unet::train {
namespace {

constexpr const char* kProgressKey = "training_progress";
constexpr const char* kClassesKey = "classes";
constexpr const char* kSettingsKey = "training_settings";

// Tensors of a file to be written; keeps their memory.
class Writer {
 public:
  void add(const std::string& name, const at::Tensor& value) {
    kept_.push_back(value.detach().to(at::kCPU).contiguous());
    const at::Tensor& t = kept_.back();
    const DType dtype = t.scalar_type() == at::kLong     ? DType::i64
                        : t.scalar_type() == at::kDouble ? DType::f64
                                                         : DType::f32;
    const Shape shape{std::span<const std::int64_t>(t.sizes().data(), t.sizes().size())};
    tensors_.push_back(
        {name, {static_cast<const std::byte*>(t.const_data_ptr()), dtype, shape, shape.dense_strides()}});
  }
  const std::vector<formats::NamedTensor>& tensors() const { return tensors_; }

 private:
  std::vector<at::Tensor> kept_;
  std::vector<formats::NamedTensor> tensors_;
};

void restore(const formats::TensorFile& file, const std::string& name, const at::Tensor& into) {
  const TensorView* v = file.find(name);
  const bool fits =
      v != nullptr && std::equal(v->shape.begin(), v->shape.end(), into.sizes().begin(), into.sizes().end());
  if (!fits) {
    throw WeightsError(
        fmt::format("{}: tensor {} is missing or has another shape; this is no state of this run",
                    file.path().string(), name));
  }
  std::vector<double> values(static_cast<std::size_t>(v->numel()));
  copy_to(*v, std::span(values));  // float32 and the counters pass through float64 unchanged
  const at::Tensor stored = at::from_blob(values.data(), into.sizes(), at::kDouble);
  const c10::NoGradGuard no_gradients;
  at::Tensor(into).copy_(stored);
}

}  // namespace

Ema::Ema(const AdamW& optimizer, double decay) : decay_(decay) {
  if (!enabled()) return;
  for (const auto& s : optimizer.slots()) averages_.push_back(s.parameter.detach().clone());
  if (!averages_.empty() && on_device(optimizer.options().numbers, averages_.front())) {
    device_weight_ = at::zeros({}, averages_.front().options());
  }
}

void Ema::begin_step(const AdamW& optimizer) {
  if (!enabled()) return;
  // Young averages forget faster, so that the start does not stay in them.
  const auto t = static_cast<double>(optimizer.steps());
  weight_ = 1 - std::min(decay_, (1 + t) / (10 + t));
  if (device_weight_.defined()) device_weight_.fill_(weight_);
}

void Ema::update(const AdamW& optimizer, const at::Tensor& ok) {
  if (!enabled()) return;
  const c10::NoGradGuard no_gradients;
  const bool is_host = !device_weight_.defined();
  if (is_host && ok.defined() && !ok.item<bool>()) return;
  // A weight of zero changes nothing.
  const at::Tensor weight =
      is_host || !ok.defined() ? device_weight_ : device_weight_ * ok.to(device_weight_.scalar_type());
  constexpr std::int64_t kTogether = std::int64_t{1} << 23;  // elements whose differences exist together
  std::size_t i = 0;
  while (i < averages_.size()) {
    std::vector<at::Tensor> averages, parameters;
    for (std::int64_t n = 0; i < averages_.size() && n < kTogether; n += averages_[i++].numel()) {
      averages.push_back(averages_[i]);
      parameters.push_back(optimizer.slots()[i].parameter);
    }
    if (is_host) {
      at::_foreach_lerp_(averages, parameters, weight_);
    } else {  // what lerp computes where its weight is below 1/2
      auto steps = at::_foreach_sub(parameters, averages);
      at::_foreach_mul_(steps, weight);
      at::_foreach_add_(averages, steps);
    }
  }
}

void Ema::swap(const AdamW& optimizer) {
  if (!enabled()) return;
  const c10::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const at::Tensor parameter = optimizer.slots()[i].parameter;
    const at::Tensor before = parameter.detach().clone();
    at::Tensor(parameter).copy_(averages_[i]);
    averages_[i].copy_(before);
  }
}

void save_weights(const std::filesystem::path& path, const TrainableNetwork& net, int size, WeightsPart part,
                  const ClassTable& classes, Fit fit) {
  Writer writer;
  for (const auto& e : net.tensors().entries()) {
    if (part == WeightsPart::all || e.spec.part != model::Part::trunk) writer.add(e.spec.name, e.value);
  }
  std::map<std::string, std::string> metadata{{"config", net.config().to_json()},
                                              {model::kInputSize, std::to_string(size)}};
  if (!classes.empty()) metadata[kClassesKey] = to_json(classes);
  if (fit == Fit::letterbox) metadata[model::kFitKey] = "letterbox";
  formats::write_safetensors(path, writer.tensors(), metadata);
}

void save_pth(const std::filesystem::path& path, const TrainableNetwork& net) {
  Writer writer;
  for (const auto& e : net.tensors().entries()) writer.add(e.spec.name, e.value);
  formats::write_torch_zip(path, writer.tensors());
}

void save_state(const std::filesystem::path& path, const TrainableNetwork& net, const AdamW& optimizer,
                const Ema& ema, const Progress& p, const Settings& settings, const ClassTable& classes) {
  Writer writer;
  for (const auto& e : net.tensors().entries()) writer.add(e.spec.name, e.value);
  for (std::size_t i = 0; i < optimizer.slots().size(); ++i) {
    const auto& s = optimizer.slots()[i];
    writer.add("adamw.mean:" + s.name, s.mean);
    writer.add("adamw.square:" + s.name, s.square);
    if (ema.enabled()) writer.add("ema:" + s.name, ema.averages()[i]);
  }
  // Floating-point counters as hexadecimal text: every bit, infinity included.
  const nlohmann::json progress{{"epoch", p.epoch},
                                {"batch", p.batch},
                                {"step", p.step},
                                {"loss_sum", fmt::format("{:a}", p.loss_sum)},
                                {"best", fmt::format("{:a}", p.best)},
                                {"best_epoch", p.best_epoch},
                                {"epochs_since_best", p.epochs_since_best},
                                {"start", fmt::format("{:a}", p.start)},
                                {"data", p.data}};
  std::map<std::string, std::string> metadata{{"config", net.config().to_json()},
                                              {kProgressKey, progress.dump()},
                                              {kSettingsKey, settings.to_toml()}};
  if (!classes.empty()) metadata[kClassesKey] = to_json(classes);
  formats::write_safetensors(path, writer.tensors(), metadata);
}

ClassTable stored_classes(const std::filesystem::path& path) {
  const auto file = formats::TensorFile::open(path);
  const auto it = file.metadata().find(kClassesKey);
  return it == file.metadata().end() ? ClassTable() : class_table_from_json(it->second);
}

Settings stored_settings(const std::filesystem::path& path) {
  const auto file = formats::TensorFile::open(path);
  const auto it = file.metadata().find(kSettingsKey);
  if (it == file.metadata().end()) {
    throw FormatError(fmt::format("{}: holds weights, but no state of a training to resume", path.string()));
  }
  return Settings::from_toml(it->second);
}

Progress load_state(const std::filesystem::path& path, TrainableNetwork& net, AdamW& optimizer, Ema& ema) {
  const auto file = formats::TensorFile::open(path);
  Progress p;
  try {
    const auto j = nlohmann::json::parse(file.metadata().at(kProgressKey));
    p.epoch = j.at("epoch");
    p.batch = j.at("batch");
    p.step = j.at("step");
    p.loss_sum = std::stod(j.at("loss_sum").get<std::string>());
    p.best = std::stod(j.at("best").get<std::string>());
    p.epochs_since_best = j.at("epochs_since_best");
    p.best_epoch = j.value("best_epoch", 0);  // what version 0.1 did not know
    if (j.contains("start")) p.start = std::stod(j.at("start").get<std::string>());
    p.data = j.value("data", "");
  } catch (const std::exception& e) {
    throw FormatError(
        fmt::format("{}: the training's progress cannot be read ({})", path.string(), e.what()));
  }
  for (const auto& e : net.tensors().entries()) restore(file, e.spec.name, e.value);
  for (std::size_t i = 0; i < optimizer.slots().size(); ++i) {
    const auto& s = optimizer.slots()[i];
    restore(file, "adamw.mean:" + s.name, s.mean);
    restore(file, "adamw.square:" + s.name, s.square);
    if (ema.enabled()) restore(file, "ema:" + s.name, ema.averages()[i]);
  }
  optimizer.set_steps(p.step);
  return p;
}

}  // namespace sam2unet::train
