#include "train/step.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace sam2unet::train {

GradientStep::GradientStep(TrainableNetwork& net, const AdamW& optimizer, Group& group,
                           const StepOptions& options)
    : net_(net), group_(group), options_(options), reducer_(optimizer.slots(), group) {
  if (options_.sync_bn && !group_.is_alone()) {
    net_.ops().gather = [this](const at::Tensor& t) { return group_.gather_statistics(t); };
  }
  for (const auto& e : net_.tensors().entries()) {
    if (e.spec.role == model::Role::running_mean || e.spec.role == model::Role::running_var) {
      statistics_.push_back(e.value);
    }
  }
}

GradientStep::~GradientStep() {
  net_.ops().gather = nullptr;
}

GradientStep::Outcome GradientStep::compute(const at::Tensor& image, const at::Tensor& mask,
                                            std::size_t total, bool stops) {
  const auto world = static_cast<std::int64_t>(group_.world());
  const std::int64_t n = image.size(0);
  // As many parts on every process, for the processes meet in each: the fewest pictures that one has.
  const auto least = static_cast<std::int64_t>(total) / world;
  const std::int64_t parts =
      std::clamp<std::int64_t>(options_.accumulate, 1, std::max<std::int64_t>(1, least));
  const auto begin_of = [&](std::int64_t part) { return (part * n + parts - 1) / parts; };
  // loss, stop, and one for each process: whether its loss is no number
  at::Tensor report = at::zeros({2 + world}, at::kDouble);
  auto* said = report.mutable_data_ptr<double>();
  at::Tensor statistics;
  std::function<void()> wait_report, wait_statistics;
  double loss = 0.0;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t begin = begin_of(part), end = begin_of(part + 1);
    const at::Tensor mean = map_losses(net_.forward_training(image.slice(0, begin, end)),
                                       mask.slice(0, begin, end), options_.loss)
                                .total *
                            (static_cast<double>(end - begin) / static_cast<double>(total));
    loss += mean.item<double>();
    if (part + 1 == parts) {
      said[0] = std::isfinite(loss) ? loss : 0.0;
      said[1] = stops ? 1.0 : 0.0;
      said[2 + group_.rank()] = std::isfinite(loss) ? 0.0 : 1.0;
      wait_report = group_.start_sum(report);
      if (!group_.is_alone()) {
        const c10::NoGradGuard no_gradients;
        std::vector<at::Tensor> flat;
        for (const auto& s : statistics_) flat.push_back(s.reshape({-1}));
        statistics = at::cat(flat);
        wait_statistics = group_.start_sum(statistics);
      }
      reducer_.start();
    }
    mean.backward();
  }
  reducer_.finish();
  wait_report();
  if (!group_.is_alone()) {
    wait_statistics();
    const c10::NoGradGuard no_gradients;
    statistics.div_(static_cast<double>(world));
    std::int64_t at = 0;
    for (auto& s : statistics_) {
      s.copy_(statistics.narrow(0, at, s.numel()).view(s.sizes()));
      at += s.numel();
    }
  }
  Outcome out{said[0], said[1] > 0, -1};
  const auto* bad = std::find_if(said + 2, said + 2 + world, [](double v) { return v != 0.0; });
  if (bad != said + 2 + world) {
    out.bad_rank = static_cast<int>(bad - said - 2);
    out.loss = std::nan("");
  }
  return out;
}

}  // namespace sam2unet::train
