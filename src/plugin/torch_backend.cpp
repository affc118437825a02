#include "plugin/torch_backend.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "ops/torch/device.h"
#include "ops/torch/folded_weights.h"
#include "ops/torch/numerics.h"
#include "ops/torch/torch_errors.h"

namespace sam2unet::plugin {
namespace {

// Each size of input keeps its memory and its graph; past this many they are dropped and made again.
constexpr std::size_t kMaxInputs = 8;

at::ScalarType compute_type(const SegmenterOptions& options) {
  return options.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

model::Network<ops::TorchWeights> pack(model::WeightSource& source, const model::Config& config,
                                       at::ScalarType type, at::Device device) {
  const c10::InferenceMode no_autograd;
  const c10::DeviceGuard guard(device);
  ops::FoldedTorchWeights weights(source, type, device);
  return model::Network<ops::TorchWeights>::make(weights, config);
}

std::span<float> values(const at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

// nullptr where the build had no headers of CUDA; the picture is then computed operation by operation.
RecordCudaGraph* find_recorder() {
  Dl_info here{};
  if (::dladdr(reinterpret_cast<const void*>(&find_recorder), &here) == 0 || here.dli_fname == nullptr)
    return nullptr;
  const auto file = std::filesystem::path(here.dli_fname).parent_path() / "libsam2unet_torch_cuda.so";
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr
                            : reinterpret_cast<RecordCudaGraph*>(::dlsym(library, kRecordCudaGraph));
}

}  // namespace

at::Device find_torch_device(const std::string& name) {
  constexpr std::string_view kGpu = "cuda-torch";
  const std::string called = "device " + name;
  if (name == "torch-cpu") return ops::find_device("cpu", called);
  return ops::find_device(name.starts_with(kGpu) ? "cuda" + name.substr(kGpu.size()) : name, called);
}

TorchBackend::TorchBackend(model::WeightSource& source, const model::Config& config,
                           const SegmenterOptions& options)
    : threads_(options.threads),
      device_(find_torch_device(options.device)),
      type_(compute_type(options)),
      tf32_(options.precision == Precision::tf32),
      network_(pack(source, config, type_, device_)) {}

TorchBackend::Recording& TorchBackend::recording(const ops::Extent& e) const {
  const std::tuple key(e.b, e.h, e.w);
  if (const auto it = recordings_.find(key); it != recordings_.end()) return it->second;
  if (recordings_.size() >= kMaxInputs) recordings_.clear();
  const bool on_gpu = device_.is_cuda();
  const auto host = at::TensorOptions(at::kFloat).pinned_memory(on_gpu),
             there = at::TensorOptions(at::kFloat).device(device_);
  Recording p;
  p.host_input = at::empty({e.b, e.h, e.w, 3}, host);
  p.input = on_gpu ? at::zeros({e.b, e.h, e.w, 3}, there) : p.host_input;
  p.host_logits = at::empty({e.b, e.h, e.w, network_.config.out_channels}, host);
  p.logits = on_gpu ? at::empty(p.host_logits.sizes(), there) : p.host_logits;
  if (on_gpu) {
    static RecordCudaGraph* const record = find_recorder();
    try {
      if (record != nullptr) p.graph.reset(record([&] { forward(p); }));
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error&) {
      // A driver or a LibTorch that cannot record this: operation by operation then, which gives the same.
    }
  }
  return recordings_.emplace(key, std::move(p)).first->second;
}

void TorchBackend::forward(Recording& p) const {
  ops::TorchOps o;
  p.logits.copy_(model::sam2unet(o, network_, p.input.to(type_)).out);
}

void TorchBackend::forward_traced(Recording& p, const api::TraceValues& trace) const {
  ops::TorchOps o;
  const auto tell = [&](const char* what, int index, const at::Tensor& t) {
    const at::Tensor here = t.to(at::kCPU, at::kFloat).contiguous();
    trace(what, index, ops::TorchOps::extent(t), values(here));
  };
  const auto maps = model::sam2unet(o, network_, p.input.to(type_), model::Sides::wanted, tell);
  tell("out", 1, *maps.out1);
  tell("out", 2, *maps.out2);
  p.logits.copy_(maps.out);
}

api::BackendInfo TorchBackend::info() const {
  // One picture of 352x352 leaves most of a GPU idle.
  constexpr int kGpuBatch = 8;
  api::BackendInfo info;
  info.device = device_.is_cuda() ? "cuda-torch:" + std::to_string(device_.index()) : "torch-cpu";
  info.batch = device_.is_cuda() ? kGpuBatch : 1;
  info.in_flight = device_.is_cuda() ? 2 : 1;  // one waits here, ready, while the other one's pass runs
  info.precision = type_ == at::kBFloat16 ? Precision::bf16 : tf32_ ? Precision::tf32 : Precision::f32;
  info.arithmetic = type_ == at::kBFloat16 ? "bf16 by LibTorch"
                    : tf32_                ? "tf32 by LibTorch"
                                           : "f32 by LibTorch";
  return info;
}

void TorchBackend::run(const api::BackendInput& input, const api::UseLogits& use,
                       const api::TraceValues& trace) const {
  const std::lock_guard lock(mutex_);
  ops::with_own_errors([&] {
    const c10::InferenceMode no_autograd;
    const c10::DeviceGuard guard(device_);
    ops::set_float32_numerics(tf32_);  // before `recording`, whose graph keeps the kernels that were chosen
    if (threads_ > 0) at::set_num_threads(threads_);
    Recording& p = recording(input.extent());
    input.write(p.host_input.data_ptr<float>());
    if (device_.is_cuda()) p.input.copy_(p.host_input, /*non_blocking=*/true);
    if (trace) {
      forward_traced(p, trace);
    } else if (p.graph != nullptr) {
      p.graph->replay();
    } else {
      forward(p);
    }
    if (device_.is_cuda()) p.host_logits.copy_(p.logits);  // waits for the device
    const ops::Extent& e = input.extent();
    use({{e.b, e.h, e.w, network_.config.out_channels}, values(p.host_logits)});
  });
}

}  // namespace sam2unet::plugin
