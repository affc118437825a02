#include "cuda_plugin/cuda_backend.h"

#include <fmt/format.h>

#include <cstring>

#include "sam2unet/errors.h"

namespace sam2unet::cuda_plugin {
namespace {

using ops::cuda::CudaTensor;
using ops::cuda::DeviceScope;
using ops::cuda::Element;
using ops::cuda::Memory;
using ops::cuda::MemoryKind;

// Each size of input keeps its memory and its graph; past this many they are dropped and made again.
constexpr std::size_t kMaxInputs = 8;
// More at once wait: each has memory of its own, and three keep a device busy.
constexpr int kMaxSessions = 3;

Element element_of(const SegmenterOptions& options, const ops::cuda::DeviceInfo& device) {
  switch (options.precision) {
    case Precision::f32:
      return Element::f32;
    case Precision::f16:
      return Element::f16;
    case Precision::bf16:
      if (device.limits.major >= 8) return Element::bf16;
      throw UnavailableError(
          fmt::format("precision bf16: {} (compute capability {}.{}) has no such instructions; use f16",
                      device.name, device.limits.major, device.limits.minor));
    default:
      break;
  }
  throw UsageError("the device cuda computes in f32, bf16 or f16");
}

Precision precision_of(Element e) {
  return e == Element::f32 ? Precision::f32 : e == Element::bf16 ? Precision::bf16 : Precision::f16;
}

model::Network<ops::cuda::CudaWeights> pack(model::WeightSource& source, const model::Config& config,
                                            ops::cuda::DeviceStore& store,
                                            const ops::cuda::DeviceInfo& device, Element element) {
  const DeviceScope scope(device.index);
  ops::cuda::prepare_kernels(device.limits);
  ops::cuda::CudaWeights weights(source, store, element);
  return model::Network<ops::cuda::CudaWeights>::make(weights, config);
}

std::span<const float> values(const Memory& m, std::int64_t count) {
  return {reinterpret_cast<const float*>(m.data()), static_cast<std::size_t>(count)};
}

}  // namespace

// A session nobody else has; waits where all are in use.
class CudaBackend::Lease {
 public:
  explicit Lease(const CudaBackend& b) : backend_(b) {
    std::unique_lock lock(b.mutex_);
    b.given_back_.wait(lock, [&] { return !b.idle_.empty() || b.sessions_ < kMaxSessions; });
    if (!b.idle_.empty()) {
      session_ = std::move(b.idle_.back());
      b.idle_.pop_back();
      return;
    }
    ++b.sessions_;
    lock.unlock();
    try {
      session_ = std::make_unique<Session>(b.device_, b.element_);
    } catch (...) {
      lock.lock();
      --b.sessions_;
      throw;
    }
  }
  ~Lease() {
    {
      const std::lock_guard lock(backend_.mutex_);
      if (session_ != nullptr) {
        backend_.idle_.push_back(std::move(session_));
      } else {
        --backend_.sessions_;
      }
    }
    backend_.given_back_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Session& operator*() { return *session_; }
  /// After an error its memory and stream are in no known state.
  void discard() { session_.reset(); }

 private:
  const CudaBackend& backend_;
  std::unique_ptr<Session> session_;
};

CudaBackend::CudaBackend(model::WeightSource& source, const model::Config& config,
                         const SegmenterOptions& options)
    : device_(ops::cuda::find_device(options.device)),
      element_(element_of(options, device_)),
      network_(pack(source, config, store_, device_, element_)) {}

CudaBackend::~CudaBackend() = default;

CudaTensor CudaBackend::input_tensor(Session& s, const Recording& r, const api::BackendInput& input) const {
  if (!input.pictures().empty())
    return s.ops.pictures(reinterpret_cast<const std::uint8_t*>(r.input.data()), input.extent());
  CudaTensor t;
  t.shape = input.extent();
  t.element = Element::f32;
  t.pitch = 3;
  t.data = r.input.data();
  return t;
}

CudaBackend::Recording& CudaBackend::recording(Session& s, const api::BackendInput& input) const {
  const ops::Extent& e = input.extent();
  const bool is_bytes = !input.pictures().empty();
  const std::tuple key(e.b, e.h, e.w, is_bytes);
  if (const auto it = s.recordings.find(key); it != s.recordings.end()) return it->second;
  if (s.recordings.size() >= kMaxInputs) {
    s.recordings.clear();
    s.ops.forget();
  }
  Recording r;
  const std::size_t bytes = static_cast<std::size_t>(e.numel()) * (is_bytes ? 1 : sizeof(float));
  r.host_input = Memory(bytes, MemoryKind::pinned);
  r.input = Memory(bytes, MemoryKind::device);
  r.host_logits =
      Memory(static_cast<std::size_t>(e.b * e.h * e.w * network_.config.out_channels) * sizeof(float),
             MemoryKind::pinned);
  const auto forward = [&] {
    r.logits = s.ops.to_float(model::sam2unet(s.ops, network_, input_tensor(s, r, input)).out);
  };
  forward();  // takes the memory
  s.ops.stream().wait();
  r.logits = {};
  r.graph = s.ops.stream().record(forward);
  return s.recordings.emplace(key, std::move(r)).first->second;
}

void CudaBackend::trace_forward(Session& s, Recording& r, const api::BackendInput& input,
                                const api::TraceValues& trace) const {
  std::vector<float> here;
  const auto tell = [&](const char* what, int index, const CudaTensor& t) {
    const CudaTensor wide = s.ops.to_float(t);
    here.resize(static_cast<std::size_t>(t.extent().numel()));
    s.ops.stream().copy(here.data(), wide.data, here.size() * sizeof(float));
    s.ops.stream().wait();
    trace(what, index, t.extent(), here);
  };
  const auto maps = model::sam2unet(s.ops, network_, input_tensor(s, r, input), model::Sides::wanted, tell);
  tell("out", 1, *maps.out1);
  tell("out", 2, *maps.out2);
}

void CudaBackend::run(const api::BackendInput& input, const api::UseLogits& use,
                      const api::TraceValues& trace) const {
  const DeviceScope scope(device_.index);
  Lease lease(*this);
  const ops::Extent& e = input.extent();
  const ops::Extent out{e.b, e.h, e.w, network_.config.out_channels};
  const Recording* done = nullptr;
  try {
    Session& s = *lease;
    Recording& r = recording(s, input);
    if (input.pictures().empty()) {
      input.write(reinterpret_cast<float*>(r.host_input.data()));
    } else {
      input.write_bytes(reinterpret_cast<std::uint8_t*>(r.host_input.data()));
    }
    s.ops.stream().copy(r.input.data(), r.host_input.data(), r.input.bytes());
    if (trace) trace_forward(s, r, input, trace);
    r.graph->launch();
    s.ops.stream().copy(r.host_logits.data(), r.logits.data, r.host_logits.bytes());
    s.ops.stream().wait();
    done = &r;
  } catch (...) {
    lease.discard();
    throw;
  }
  use({out, values(done->host_logits, out.numel())});
}

api::BackendInfo CudaBackend::info() const {
  // One picture of 352x352 leaves most of a GPU idle; a batch needs some 40 MB of memory a picture.
  constexpr std::size_t kRoomy = std::size_t{12} << 30;
  const int batch = device_.memory >= kRoomy ? 32 : 8;
  const std::string arithmetic = element_ == Element::f32    ? "f32"
                                 : element_ == Element::bf16 ? "bf16 on matrix units"
                                                             : "f16 on matrix units";
  api::BackendInfo info;
  info.device = fmt::format("cuda:{}", device_.index);
  info.precision = precision_of(element_);
  info.batch = batch;
  info.arithmetic = fmt::format("{}, {}", arithmetic, device_.name);
  info.in_flight = 2;  // copies of one beside the other's computing
  return info;
}

}  // namespace sam2unet::cuda_plugin
