#include "train/step.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cmath>

#include "train/multi_scale.h"

namespace sam2unet::train {
namespace {

// Memory of the host that a device writes while the host goes on.
at::Tensor host_values(std::int64_t n, at::Device device) {
  return at::empty({n}, at::TensorOptions(at::kDouble).pinned_memory(device.is_cuda()));
}

at::Tensor flat(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> rows;
  rows.reserve(tensors.size());
  for (const auto& t : tensors) rows.push_back(t.reshape({-1}));
  return at::cat(rows);
}

void lay_out(const at::Tensor& values, const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> parts;
  std::int64_t at = 0;
  for (const auto& t : tensors) {
    parts.push_back(values.narrow(0, at, t.numel()).view(t.sizes()));
    at += t.numel();
  }
  at::_foreach_copy_(tensors, parts);
}

}  // namespace

TrainingStep::TrainingStep(TrainableNetwork& net, AdamW& optimizer, Ema& ema, Group& group,
                           const StepOptions& options)
    : net_(net),
      optimizer_(optimizer),
      ema_(ema),
      group_(group),
      options_(options),
      reducer_(optimizer.slots(), group),
      device_(optimizer.slots().front().parameter.device()),
      input_(device_) {
  if (options_.sync_bn && !group_.is_alone()) {
    net_.ops().gather = [this](const at::Tensor& t) { return group_.gather_statistics(t); };
  }
  // Sums over processes are not recorded, nor are numbers of the host seen when they change.
  const bool can_record = on_device(optimizer.options().numbers, optimizer.slots().front().parameter);
  if (!group_.is_alone() || !can_record) options_.recorder = nullptr;
  for (const auto& e : net_.tensors().entries()) {
    if (e.spec.role == model::Role::running_mean || e.spec.role == model::Role::running_var) {
      statistics_.push_back(e.value);
    }
  }
  const auto there = at::TensorOptions(at::kDouble).device(device_);
  const std::int64_t world = group_.world();
  counts_ = at::ones({}, there.dtype(at::kBool));
  stops_ = at::zeros({}, there);
  report_ = at::zeros({2 + world}, there);
  values_ = at::zeros({3 + world}, there);
}

TrainingStep::~TrainingStep() {
  net_.ops().gather = nullptr;
  for (const auto& u : under_way_) {
    if (u.is_there) u.is_there->synchronize();
  }
}

// As many parts on every process, for the processes meet in each: the fewest pictures that one has.
std::int64_t TrainingStep::parts_of(std::size_t total) const {
  const auto least = static_cast<std::int64_t>(total) / group_.world();
  return std::clamp<std::int64_t>(options_.accumulate, 1, std::max<std::int64_t>(1, least));
}

at::Tensor TrainingStep::mask_at_size(const at::Tensor& mask, int size) const {
  return options_.loss.kind == LossKind::ce_dice ? ids_at_size(mask, size) : at_size(mask, size);
}

void TrainingStep::start(const Batch& batch, int size, std::size_t total, double lr, Request request) {
  const bool is_copied = options_.recorder != nullptr || device_.is_cuda();
  Recording* recording = nullptr;
  at::Tensor image = batch.image, mask = batch.mask;
  if (is_copied) {
    Place& place = place_of(batch, size, total);
    if (options_.recorder != nullptr && place.recording == nullptr) record(place, size, total);
    recording = place.recording.get();
    image = place.image;
    mask = place.mask;
  }
  optimizer_.begin_step(lr);
  ema_.begin_step(optimizer_);
  stops_.fill_(request == Request::stop ? 1.0 : 0.0);
  if (recording != nullptr) {
    recording->replay();
  } else {
    work(image, mask, size, total);
  }
  UnderWay u{batch, host_values(values_.numel(), device_), std::nullopt, parts_of(total)};
  u.values.copy_(values_, /*non_blocking=*/true);
  if (device_.is_cuda()) {
    u.is_there.emplace(c10::DeviceType::CUDA);
    u.is_there->record(c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).getStream(device_));
  }
  under_way_.push_back(std::move(u));
}

// The batch in the memory of its shape, which the step before may still read: the copy is behind it.
TrainingStep::Place& TrainingStep::place_of(const Batch& batch, int size, std::size_t total) {
  Place& place = places_[{batch.image.size(0), size, total, batch.image.scalar_type()}];
  const auto take = [&](at::Tensor& into, const at::Tensor& from) {
    if (!into.defined())
      into = at::empty(from.sizes(), at::TensorOptions(from.scalar_type()).device(device_));
    into.copy_(from, /*non_blocking=*/true);
  };
  take(place.image, batch.image);
  take(place.mask, batch.mask);
  return place;
}

// With steps that do not count, so that the state stays as it is.
void TrainingStep::record(Place& place, int size, std::size_t total) {
  counts_.fill_(false);
  try {
    place.recording = options_.recorder->record(
        [this, &place, size, total] { work(place.image, place.mask, size, total); });
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& e) {
    // A driver or a LibTorch that cannot record this: operation by operation then, which computes the same.
    options_.recorder = nullptr;
    failure_ = e.what_without_backtrace();
    optimizer_.zero_grad();
  }
  counts_.fill_(true);
}

// What is recorded: it reads the batch, the numbers of the step, and the state, which it moves on.
void TrainingStep::work(const at::Tensor& image, const at::Tensor& mask, int size, std::size_t total) {
  const bool are_ids = options_.loss.kind == LossKind::ce_dice;
  const at::Tensor before = flat(statistics_);
  optimizer_.zero_grad();
  const at::Tensor input = at_size(input_.image(image), size).to(options_.type),   // [B,size,size,3]
      truth = mask_at_size(are_ids ? input_.ids(mask) : input_.mask(mask), size);  // [B,size,size,1]
  compute_gradients(input, truth, total);
  const c10::NoGradGuard no_gradients;
  const at::Tensor norm = clip_gradients(optimizer_.slots(), options_.clip);
  wait_report_();
  const at::Tensor ok =
      (report_.narrow(0, 2, group_.world()).sum() == 0).logical_and(at::isfinite(norm)).logical_and(counts_);
  optimizer_.update(ok);
  ema_.update(optimizer_, ok);
  restore_statistics(ok, before);
  values_.copy_(at::cat({report_, norm.reshape({1})}));
  optimizer_.zero_grad();  // their memory is the recording's
}

// Leaves the gradients of the mean loss in the parameters, and in the report what it is. [B,S,S,3] in the
// compute type, [B,S,S,1].
void TrainingStep::compute_gradients(const at::Tensor& image, const at::Tensor& mask, std::size_t total) {
  const std::int64_t n = image.size(0), parts = parts_of(total);
  const auto begin_of = [&](std::int64_t part) { return (part * n + parts - 1) / parts; };
  at::Tensor loss;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t begin = begin_of(part), end = begin_of(part + 1);
    const at::Tensor mean = map_losses(net_.forward_training(image.slice(0, begin, end)),
                                       mask.slice(0, begin, end), options_.loss)
                                .total *
                            (static_cast<double>(end - begin) / static_cast<double>(total));
    const at::Tensor value = mean.detach().to(at::kDouble);
    loss = loss.defined() ? loss + value : value;
    if (part + 1 == parts) {
      sum_report(loss);
      reducer_.start();
    }
    mean.backward();
  }
  reducer_.finish();
  if (!group_.is_alone()) share_statistics();
}

// The loss, and who has none, on their way to all processes.
void TrainingStep::sum_report(const at::Tensor& loss) {
  const c10::NoGradGuard no_gradients;
  const at::Tensor is_number = at::isfinite(loss);
  report_.zero_();
  report_.select(0, 0).copy_(at::nan_to_num(loss, 0.0, 0.0, 0.0));
  report_.select(0, 1).copy_(stops_);
  report_.select(0, 2 + group_.rank()).copy_(is_number.logical_not());
  wait_report_ = group_.start_sum(report_);
}

// The running statistics become the processes' mean.
void TrainingStep::share_statistics() {
  const c10::NoGradGuard no_gradients;
  at::Tensor all = flat(statistics_);
  group_.sum(all);
  lay_out(all.div_(static_cast<double>(group_.world())), statistics_);
}

void TrainingStep::restore_statistics(const at::Tensor& ok, const at::Tensor& before) {
  lay_out(at::where(ok, flat(statistics_), before), statistics_);
}

StepOutcome TrainingStep::finish() {
  UnderWay u = std::move(under_way_.front());
  under_way_.pop_front();
  if (u.is_there) u.is_there->synchronize();
  const auto* v = u.values.const_data_ptr<double>();
  StepOutcome out{v[0], v[2 + group_.world()], v[1] > 0, -1};
  const auto* bad = std::find_if(v + 2, v + 2 + group_.world(), [](double x) { return x != 0.0; });
  if (bad != v + 2 + group_.world()) {
    out.bad_rank = static_cast<int>(bad - v - 2);
    out.loss = std::nan("");
  }
  if (out.ok()) net_.count_batches(u.parts);
  return out;
}

}  // namespace sam2unet::train
