#include "api/measure_gates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "api/cpu_backend.h"
#include "api/picture.h"
#include "api/rows.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "ops/lowp/instructions.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "sam2unet/listing.h"

namespace sam2unet::api {
namespace {

namespace fs = std::filesystem;
using Probabilities = std::vector<float>;  // [h, w, K]
using Kept = std::vector<std::string>;
using ops::lowp::LowPrecision;

// So many of the pictures tell which layers are kept: each layer costs a pass over them.
constexpr std::size_t kFew = 4;
// Of the limit, for those few: the others may be worse.
constexpr double kAim = 0.8;

Probabilities probabilities_of(const Logits& logits) {
  Probabilities p(logits.values.begin(), logits.values.end());
  const auto k = static_cast<std::size_t>(logits.extent.c);
  if (k == 1) {
    activate({p.data(), 1, 0, static_cast<int>(p.size())}, Activation::sigmoid);
    return p;
  }
  // With the channels side by side a pixel is k rows of one value.
  for (std::size_t at = 0; at < p.size(); at += k)
    activate({p.data() + at, static_cast<int>(k), 1, 1}, Activation::softmax);
  return p;
}

// Mean over the pixels, of the class that changes most. A number that is none is all the change there can be.
double change_of(const Probabilities& got, const Probabilities& want, std::size_t k) {
  double sum = 0.0;
  for (std::size_t at = 0; at < got.size(); at += k) {
    double most = 0.0;
    for (std::size_t i = at; i < at + k; ++i) {
      const double d = std::abs(static_cast<double>(got[i]) - want[i]);
      most = std::isnan(d) ? 1.0 : std::max(most, d);
    }
    sum += most;
  }
  return sum / (static_cast<double>(got.size()) / static_cast<double>(k));
}

class Measurement {
 public:
  Measurement(fs::path weights, const GateOptions& options)
      : weights_(std::move(weights)), options_(options), list_(list_pictures(options.pictures)) {
    if (list_.pictures.empty()) throw FileError(describe_empty(options.pictures, list_));
    const model::CheckpointWeights file = open();
    config_ = file.config();
    fingerprint_ = file.fingerprint();
    if (const auto trained = file.trained_size()) size_ = InputSize::of(trained->width, trained->height);
    if (const auto it = file.metadata().find(model::kFitKey); it != file.metadata().end())
      fit_ = parse_fit(it->second);
  }

  model::PrecisionGates run() {
    model::PrecisionGates gates;
    gates.pictures = static_cast<int>(list_.pictures.size());
    gates.weights = fingerprint_;
    if (options_.keep == KeepLayers::as_needed) gates.kept = choose_kept();
    const auto bf16 = ops::lowp::roughest_numerics(LowPrecision::bf16),
               int8 = ops::lowp::roughest_numerics(LowPrecision::int8);
    const auto exact = plain(), half = low(bf16, {}), bytes = low(int8, gates.kept);
    double of_half = 0.0, of_bytes = 0.0;
    for (std::size_t i = 0; i < list_.pictures.size(); ++i) {
      const Image input = prepared(i);
      const Probabilities want = predict(*exact, input);
      of_half += change_of(predict(*half, input), want, classes());
      of_bytes += change_of(predict(*bytes, input), want, classes());
      tell("pictures in f32, bf16 and int8", i + 1, list_.pictures.size());
    }
    const auto gate = [&](double sum, const ops::lowp::Numerics& n) {
      return model::PrecisionGate{sum / gates.pictures, ops::lowp::takes_bf16(n.bf16)};
    };
    gates.bf16 = gate(of_half, bf16);
    gates.int8 = gate(of_bytes, int8);
    return gates;
  }

 private:
  model::CheckpointWeights open() const {
    return model::CheckpointWeights(formats::TensorFile::open(weights_));
  }
  std::size_t classes() const { return static_cast<std::size_t>(config_.out_channels); }
  void tell(const std::string& what, std::size_t done, std::size_t total) const {
    if (options_.progress) options_.progress(what, done, total);
  }

  std::unique_ptr<Backend> plain() const {
    auto weights = open();
    return make_cpu_backend(weights, config_, {1, options_.threads});
  }
  std::unique_ptr<Backend> low(const ops::lowp::Numerics& numerics, const Kept& kept) const {
    auto weights = open();
    return make_low_backend(weights, config_, {1, options_.threads}, numerics, kept);
  }

  Image prepared(std::size_t i) {
    const Image picture = read_image(list_.pictures[i].file);
    Image input;
    preparer_.prepare(picture, place(picture, size_, fit_), PillowVersion::v12, input);
    return input;
  }
  static Probabilities predict(const Backend& backend, const Image& input) {
    const ImageView view = input;
    Probabilities out;
    backend.run(BackendInput({&view, 1}), [&](const Logits& logits) { out = probabilities_of(logits); });
    return out;
  }

  // Some pictures of the whole list, and what float32 makes of them.
  void take_few() {
    const std::size_t all = list_.pictures.size(), n = std::min(all, kFew);
    const auto exact = plain();
    for (std::size_t i = 0; i < n; ++i) {
      few_.push_back(prepared(i * all / n));
      wanted_.push_back(predict(*exact, few_.back()));
    }
  }
  double change_with(const Kept& kept) const {
    const auto backend = low(ops::lowp::roughest_numerics(LowPrecision::int8), kept);
    double sum = 0.0;
    for (std::size_t i = 0; i < few_.size(); ++i)
      sum += change_of(predict(*backend, few_[i]), wanted_[i], classes());
    return sum / static_cast<double>(few_.size());
  }

  // The layers without which the others change the maps by little enough; none where half of all would not
  // do, since then bf16 is as fast.
  Kept choose_kept() {
    take_few();
    const double aim = kAim * model::kMaxChangeInt8, all = change_with({});
    if (all <= aim) return {};
    const auto groups = model::layer_groups(config_);
    std::vector<std::pair<double, std::string>> gains;
    for (const std::string& group : groups) {
      gains.emplace_back(all - change_with({group}), group);
      tell("layers of int8", gains.size(), groups.size());
    }
    std::stable_sort(gains.begin(), gains.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    Kept kept;
    for (std::size_t n = 1; n <= gains.size() / 2; n += std::max<std::size_t>(1, n / 4)) {
      while (kept.size() < n) kept.push_back(gains[kept.size()].second);
      if (change_with(kept) <= aim) return kept;
    }
    return {};
  }

  fs::path weights_;
  const GateOptions& options_;
  PictureList list_;
  model::Config config_;
  std::uint64_t fingerprint_ = 0;
  InputSize size_;
  Fit fit_ = Fit::squash;
  Preparer preparer_;
  std::vector<Image> few_;
  std::vector<Probabilities> wanted_;
};

}  // namespace

model::PrecisionGates measure_gates(const fs::path& weights, const GateOptions& options) {
  return Measurement(weights, options).run();
}

}  // namespace sam2unet::api
