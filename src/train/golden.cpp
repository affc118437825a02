#include "train/golden.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "sam2unet/errors.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/trainable_network.h"

namespace sam2unet::train {
namespace {

std::string metadata(const formats::TensorFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  if (it == file.metadata().end()) {
    throw FormatError(fmt::format("{}: metadata lacks \"{}\"", file.path().string(), key));
  }
  return it->second;
}

at::Tensor stored(const formats::TensorFile& file, const std::string& name) {
  const TensorView* v = file.find(name);
  if (v == nullptr) throw FormatError(fmt::format("{}: tensor {} is missing", file.path().string(), name));
  std::vector<double> values(static_cast<std::size_t>(v->numel()));
  copy_to(*v, std::span(values));
  return at::tensor(values, at::kDouble).reshape(std::vector<std::int64_t>(v->shape.begin(), v->shape.end()));
}

struct Size {
  std::int64_t b = 0, h = 0, w = 0;
};

// Five blobs of a picture, from 15 numbers: d(blob, y, x) is how far inside a pixel lies.
struct Blob {
  double cy, cx, r;
  double inside(std::int64_t y, std::int64_t x) const {
    return r - std::hypot(static_cast<double>(y) - cy, static_cast<double>(x) - cx);
  }
};
constexpr std::int64_t kBlobs = 5;

std::vector<Blob> blobs(const std::string& name, const Size& s) {
  const auto u = model::deterministic_values(name, s.b * kBlobs * 3);
  const auto h = static_cast<double>(s.h), w = static_cast<double>(s.w);
  std::vector<Blob> out;
  for (std::size_t i = 0; i + 2 < u.size(); i += 3) {
    out.push_back({(u[i] + 1) / 2 * h, (u[i + 1] + 1) / 2 * w, (u[i + 2] + 1.2) / 2.2 * std::min(h, w) / 4});
  }
  return out;
}

// Class ids of the masks' blobs: blob j is class 1 + j mod (K - 1) where d >= 0.5, ignored where |d| < 0.5,
// later ones on top. [B,H,W,1]
constexpr int kGoldenIgnore = 255;
at::Tensor id_input(const std::string& name, const Size& s, std::int64_t classes) {
  const std::vector<Blob> all = blobs(name, s);
  at::Tensor ids = at::zeros({s.b, s.h, s.w, 1}, at::kDouble);
  auto* out = ids.mutable_data_ptr<double>();
  for (std::int64_t b = 0; b < s.b; ++b) {
    for (std::int64_t y = 0; y < s.h; ++y) {
      for (std::int64_t x = 0; x < s.w; ++x, ++out) {
        for (std::int64_t j = 0; j < kBlobs; ++j) {
          const double d = all[static_cast<std::size_t>(b * kBlobs + j)].inside(y, x);
          if (d >= 0.5) {
            *out = static_cast<double>(1 + j % (classes - 1));
          } else if (d > -0.5) {
            *out = kGoldenIgnore;
          }
        }
      }
    }
  }
  return ids;
}

// The masks' recipe: blobs whose edges are one pixel soft, rounded to 8 bits. [B,H,W,1]
at::Tensor mask_input(const std::string& name, const Size& s) {
  const std::vector<Blob> all = blobs(name, s);
  at::Tensor mask = at::zeros({s.b, s.h, s.w, 1}, at::kDouble);
  auto* out = mask.data_ptr<double>();
  for (std::int64_t b = 0; b < s.b; ++b) {
    for (std::int64_t y = 0; y < s.h; ++y) {
      for (std::int64_t x = 0; x < s.w; ++x) {
        double m = 0.0;
        for (std::int64_t j = 0; j < kBlobs; ++j) {
          m = std::max(
              m, std::clamp(all[static_cast<std::size_t>(b * kBlobs + j)].inside(y, x) + 0.5, 0.0, 1.0));
        }
        *out++ = std::nearbyint(255 * m) / 255;
      }
    }
  }
  return mask;
}

// 2 u over [B,3,H,W], as [B,H,W,3]
at::Tensor image_input(const std::string& name, const Size& s) {
  const auto u = model::deterministic_values(name, s.b * 3 * s.h * s.w);
  return (at::tensor(u, at::kDouble) * 2).reshape({s.b, 3, s.h, s.w}).permute({0, 2, 3, 1}).contiguous();
}

// flatten()[::max(1,numel//64)][:64]
at::Tensor sampled(const at::Tensor& t) {
  const at::Tensor flat = t.detach().to(at::kCPU, at::kDouble).reshape({-1});
  return flat.slice(0, 0, std::nullopt, std::max<std::int64_t>(1, flat.numel() / 64)).slice(0, 0, 64);
}

double of_scale(const at::Tensor& got, const at::Tensor& want, double scale) {
  if (got.sizes() != want.sizes()) return INFINITY;
  return (got - want).abs().max().item<double>() / std::max(scale, 1e-300);
}
double largest(const at::Tensor& t) {
  return t.detach().abs().max().item<double>();
}

// "train_VARIANT_BxHxW_TAG.safetensors". The inputs are a function of the tag, which nothing in the file
// tells.
std::string tag_and_size(const formats::TensorFile& file, Size& size) {
  const std::string stem = file.path().stem().string();
  for (auto at = stem.find('_'); at != std::string::npos; at = stem.find('_', at + 1)) {
    long long b = 0, h = 0, w = 0;
    int length = 0;
    if (std::sscanf(stem.c_str() + at, "_%lldx%lldx%lld_%n", &b, &h, &w, &length) != 3 || length == 0)
      continue;
    if (b < 1 || b > 64 || h < 32 || h > 4096 || w < 32 || w > 4096) break;
    size = {b, h, w};
    return stem.substr(at + static_cast<std::size_t>(length));
  }
  throw FormatError(
      fmt::format("{}: the name must be train_VARIANT_BxHxW_TAG.safetensors, which says what to run",
                  file.path().string()));
}

// A value that nothing is compared with would pass unseen.
void refuse_unknown(const formats::TensorFile& file, const TrainableNetwork& net) {
  for (const auto& t : file.tensors()) {
    const auto colon = t.name.find(':');
    if (colon != std::string::npos && net.tensors().find(t.name.substr(colon + 1)) == nullptr) {
      throw FormatError(fmt::format("{}: unexpected tensor {}", file.path().string(), t.name));
    }
  }
}

void compare_gradients(const formats::TensorFile& file, const TrainableNetwork& net, GoldenErrors& errors) {
  std::vector<std::string> names;
  try {
    names = nlohmann::json::parse(metadata(file, "grad_names")).get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception& e) {
    throw FormatError(fmt::format("{}: metadata \"grad_names\": {}", file.path().string(), e.what()));
  }
  const at::Tensor norms = stored(file, "grad_norm");
  if (norms.dim() != 1 || norms.size(0) != static_cast<std::int64_t>(names.size()) || names.empty()) {
    throw FormatError(fmt::format("{}: grad_norm does not belong to grad_names", file.path().string()));
  }
  // A bias whose shift the next BatchNorm takes out again has no gradient: what both sides compute there is
  // rounding, 1e-18 of the largest norm. Every real gradient is over 1e-4 of it, so this bound below the
  // scale meets none.
  const double least = largest(norms) * 1e-9;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const at::Tensor* p = net.tensors().find(names[i]);
    if (p == nullptr || !p->grad().defined()) {
      errors.gradients.note(INFINITY, names[i]);
      continue;
    }
    const at::Tensor g = p->grad().to(at::kDouble);
    const double norm = norms[static_cast<std::int64_t>(i)].item<double>();
    errors.norms.note(std::abs(g.norm().item<double>() - norm) / std::max(norm, least), names[i]);
    const at::Tensor want = stored(file, "grad:" + names[i]).reshape({-1});
    errors.gradients.note(of_scale(sampled(g), want, std::max(largest(g), least)), names[i]);
  }
}

constexpr double kLearningRate = 1e-3;

// What the file says of the run: its inputs, and the losses of its steps.
struct RecordedRun {
  explicit RecordedRun(const formats::TensorFile& file)
      : tag(tag_and_size(file, size)),
        config(model::Config::from_json(metadata(file, "config"))),
        is_of_classes(says_classes(file)),
        losses(stored(file, "losses")) {
    if (is_of_classes && config.out_channels < 2) {
      throw FormatError(fmt::format("{}: loss ce-dice of a network with one output", file.path().string()));
    }
    config.check_input(size.h, size.w);
    if (losses.dim() != 2 || losses.size(0) < 1 || losses.size(1) != 4) {
      throw FormatError(
          fmt::format("{}: losses must be [steps,4]: total, out, out1, out2", file.path().string()));
    }
  }
  std::int64_t steps() const { return losses.size(0); }
  at::Tensor image(std::int64_t step) const {  // [B,H,W,3]
    return image_input(fmt::format("image:{}:{}", tag, step), size);
  }
  // [B,H,W,1]: in [0,1], or ids of classes.
  at::Tensor mask(std::int64_t step) const {
    const std::string name = fmt::format("mask:{}:{}", tag, step);
    return is_of_classes ? id_input(name, size, config.out_channels) : mask_input(name, size);
  }
  LossOptions loss() const {
    return is_of_classes ? LossOptions{.kind = LossKind::ce_dice, .ignore = kGoldenIgnore} : LossOptions{};
  }
  void compare_losses(const Losses& l, std::int64_t step, GoldenErrors::Worst& worst) const {
    const std::array<at::Tensor, 4> parts{l.total, l.out, l.out1, l.out2};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double want = losses[step][static_cast<std::int64_t>(i)].item<double>();
      worst.note(std::abs(parts[i].item<double>() - want) / std::abs(want),
                 fmt::format("losses[{}][{}]", step, i));
    }
  }

  Size size;
  std::string tag;
  model::Config config;
  bool is_of_classes;
  at::Tensor losses;  // [steps,4]

 private:
  static bool says_classes(const formats::TensorFile& file) {
    const auto it = file.metadata().find("loss");
    if (it == file.metadata().end()) return false;
    if (it->second == "ce-dice") return true;
    throw FormatError(fmt::format("{}: the loss '{}' is not known", file.path().string(), it->second));
  }
};

}  // namespace

std::vector<VerifyCheck> GoldenErrors::checks() const {
  std::vector<VerifyCheck> out;
  const auto check = [&](const char* what, const Worst& w, double limit, const char* unit) {
    if (w.compared == 0) return;  // the file says nothing of it
    out.push_back(
        {w.where.empty() ? what : fmt::format("{}, worst {}", what, w.where), w.error, limit, unit});
  };
  check("inputs", inputs, 0, "absolute");
  check("losses", losses, 1e-9, "relative");
  check("gradients", gradients, 1e-7, "of scale");
  check("gradient norms", norms, 1e-7, "relative");
  check("parameters", parameters, 1e-7, "of scale");
  check("statistics", buffers, 1e-7, "of scale");
  check("evaluation", evaluation, 1e-6, "of range");
  return out;
}

bool GoldenErrors::passes_float64() const {
  const auto all = checks();
  return std::all_of(all.begin(), all.end(), [](const VerifyCheck& c) { return c.ok(); });
}

bool is_training_golden(const formats::TensorFile& file) {
  return file.find("losses") != nullptr && file.metadata().contains("grad_names");
}

GoldenErrors check_training_golden(const formats::TensorFile& file, at::ScalarType dtype, at::Device device) {
  const RecordedRun run(file);
  model::DeterministicWeights source;
  TrainableNetwork net(run.config, source, Freeze::trunk, dtype, device);
  AdamW optimizer(net.trainable(), {});
  const auto options = at::TensorOptions(dtype).device(device);

  refuse_unknown(file, net);
  GoldenErrors errors;
  if (file.find("ids0") != nullptr) {
    const at::Tensor want = stored(file, "ids0"), got = run.mask(0).squeeze(3);
    errors.inputs.note(got.sizes() == want.sizes() ? (got - want).abs().max().item<double>() : INFINITY,
                       "ids0");
  }
  for (std::int64_t step = 0; step < run.steps(); ++step) {
    const Losses l =
        map_losses(net.forward_training(run.image(step).to(options)), run.mask(step).to(options), run.loss());
    run.compare_losses(l, step, errors.losses);
    optimizer.zero_grad();
    l.total.backward();
    net.count_batches(1);
    if (step == 0) compare_gradients(file, net, errors);
    optimizer.step(kLearningRate);
  }
  for (const auto& e : net.tensors().entries()) {
    if (file.find("param:" + e.spec.name) != nullptr) {
      errors.parameters.note(
          of_scale(sampled(e.value), stored(file, "param:" + e.spec.name).reshape({-1}), largest(e.value)),
          e.spec.name);
    }
    if (file.find("buffer:" + e.spec.name) != nullptr) {
      const at::Tensor first = e.value.to(at::kCPU, at::kDouble).slice(0, 0, 64);
      errors.buffers.note(of_scale(first, stored(file, "buffer:" + e.spec.name), largest(e.value)),
                          e.spec.name);
    }
  }
  if (file.find("eval_out_after") != nullptr) {
    const at::Tensor want = stored(file, "eval_out_after");  // [1,K,H,W]
    const at::Tensor image = image_input(fmt::format("image:{}:eval", run.tag), {1, run.size.h, run.size.w});
    const at::Tensor got =
        net.forward_inference(image.to(options)).permute({0, 3, 1, 2}).to(at::kCPU, at::kDouble);
    const double range = (want.max() - want.min()).item<double>();
    errors.evaluation.note(of_scale(got, want, range), "eval_out_after");
  }
  return errors;
}

GoldenErrors::Worst check_float32_losses(const formats::TensorFile& file) {
  const RecordedRun run(file);
  model::DeterministicWeights source;
  TrainableNetwork exact(run.config, source, Freeze::trunk, at::kDouble);
  TrainableNetwork rounded(run.config, source, Freeze::trunk, at::kFloat);
  AdamW optimizer(exact.trainable(), {});
  GoldenErrors::Worst worst;
  for (std::int64_t step = 0; step < run.steps(); ++step) {
    {
      const c10::NoGradGuard no_gradients;
      for (const auto& e : rounded.tensors().entries()) {
        at::Tensor(e.value).copy_(*exact.tensors().find(e.spec.name));
      }
    }
    const at::Tensor image = run.image(step), mask = run.mask(step);
    run.compare_losses(
        map_losses(rounded.forward_training(image.to(at::kFloat)), mask.to(at::kFloat), run.loss()), step,
        worst);
    optimizer.zero_grad();
    map_losses(exact.forward_training(image), mask, run.loss()).total.backward();
    optimizer.step(kLearningRate);
  }
  return worst;
}

}  // namespace sam2unet::train
