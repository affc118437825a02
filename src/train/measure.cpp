#include "train/measure.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "model/weight_source.h"
#include "train/loss.h"
#include "train/multi_scale.h"
#include "train/optimizer.h"
#include "train/state.h"
#include "train/trainable_network.h"

namespace sam2unet::train {
namespace {

class Reporter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    const std::int64_t now = live_ += bytes;
    std::int64_t most = peak_;
    while (now > most && !peak_.compare_exchange_weak(most, now)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t peak() const { return peak_; }

 private:
  std::atomic<std::int64_t> live_{0}, peak_{0};
};

template <class Ops>
void set_recompute(Ops& o, bool value) {
  if constexpr (requires { o.recompute = value; }) o.recompute = value;
}

}  // namespace

std::int64_t measured_peak(const model::Config& config, const Settings& s) {
  const auto reporter = std::make_shared<Reporter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, reporter);
  const auto parameter = s.precision == ComputeType::f64 ? at::kDouble : at::kFloat;
  const auto element = s.precision == ComputeType::bf16 ? at::kBFloat16 : parameter;
  model::DeterministicWeights source;
  TrainableNetwork net(config, source, s.freeze, parameter);
  set_recompute(net.ops(), s.recompute);
  AdamW optimizer(net.trainable(), {});
  Ema ema(optimizer, s.ema);
  const at::Tensor image = at::full({s.batch, s.size, s.size, 3}, 0.5),
                   mask = at::ones({s.batch, s.size, s.size, 1});
  const std::int64_t part = (s.batch + s.accumulate - 1) / s.accumulate;
  const auto sizes = training_sizes(s.size, s.multi_scale);
  for (int step = 0; step < std::max<int>(2, static_cast<int>(sizes.size())); ++step) {
    optimizer.zero_grad();
    const int size = sizes[static_cast<std::size_t>(step) % sizes.size()];
    const at::Tensor sized = at_size(image, size), sized_mask = at_size(mask, size);
    for (std::int64_t at = 0; at < s.batch; at += part) {
      const std::int64_t end = std::min<std::int64_t>(s.batch, at + part);
      map_losses(net.forward_training(sized.slice(0, at, end).to(element)), sized_mask.slice(0, at, end),
                 {s.loss, s.bce})
          .total.backward();
    }
    optimizer.step(1e-4);
    ema.begin_step(optimizer);
    ema.update(optimizer);
  }
  return reporter->peak();
}

}  // namespace sam2unet::train
