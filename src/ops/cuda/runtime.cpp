#include "ops/cuda/runtime.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <charconv>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

namespace sam2unet::ops::cuda {
namespace {

cudaStream_t stream_of(void* handle) {
  return static_cast<cudaStream_t>(handle);
}

int index_of(const std::string& name) {
  if (name == "cuda") return 0;
  int index = -1;
  if (name.starts_with("cuda:")) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + 5, end, index);
    if (parsed.ec != std::errc() || parsed.ptr != end) index = -1;
  }
  if (index < 0) throw UsageError(fmt::format("device {}: must be cuda or cuda:N, counted from 0", name));
  return index;
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

int count_devices(const std::string& name) {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t e = cudaGetDeviceCount(&count);
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (e == cudaErrorInsufficientDriver && driver > 0) {
    throw UnavailableError(fmt::format(
        "device {}: NVIDIA's driver on this machine is for CUDA {}, and CUDA {} is needed; install "
        "a newer driver",
        name, version_text(driver), version_text(runtime)));
  }
  if (e == cudaErrorInsufficientDriver || e == cudaErrorNoDevice || (e == cudaSuccess && count == 0)) {
    throw UnavailableError(fmt::format(
        "device {}: there is no NVIDIA GPU on this machine, or its driver is not installed", name));
  }
  check(e, "looking for GPUs");
  return count;
}

class RecordedGraph final : public Graph {
 public:
  RecordedGraph(cudaGraph_t graph, void* stream) : stream_(stream) {
    const cudaError_t e = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check(e, "preparing a recorded graph");
  }
  ~RecordedGraph() override { cudaGraphExecDestroy(graph_); }
  RecordedGraph(const RecordedGraph&) = delete;
  RecordedGraph& operator=(const RecordedGraph&) = delete;
  void launch() override { check(cudaGraphLaunch(graph_, stream_of(stream_)), "starting a recorded graph"); }

 private:
  void* stream_;
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace

void check(int error, const char* what) {
  const auto e = static_cast<cudaError_t>(error);
  if (e == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report this one
  if (e == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw Error(
      fmt::format("the GPU failed while {}: {} ({})", what, cudaGetErrorString(e), cudaGetErrorName(e)));
}

DeviceInfo find_device(const std::string& name) {
  const int index = index_of(name), count = count_devices(name);
  if (index >= count) {
    throw UnavailableError(fmt::format("device {}: this machine has {} GPU{}, counted from 0", name, count,
                                       count == 1 ? "" : "s"));
  }
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index), "asking for a GPU's properties");
  if (p.major * 10 + p.minor < 75) {
    throw UnavailableError(
        fmt::format("device {}: {} has compute capability {}.{}, and 7.5 (Turing, 2018) or newer is needed",
                    name, p.name, p.major, p.minor));
  }
  return {index,
          p.name,
          {p.major, p.minor, p.multiProcessorCount, static_cast<int>(p.sharedMemPerBlockOptin)},
          p.totalGlobalMem};
}

DeviceScope::DeviceScope(int device) {
  check(cudaGetDevice(&before_), "asking for the current GPU");
  check(cudaSetDevice(device), "choosing a GPU");
}
DeviceScope::~DeviceScope() {
  cudaSetDevice(before_);
}

Memory::Memory(std::size_t bytes, MemoryKind kind) : bytes_(bytes), kind_(kind) {
  void* p = nullptr;
  if (kind == MemoryKind::device) {
    check(cudaMalloc(&p, bytes), "taking memory of the GPU");
  } else {
    check(cudaMallocHost(&p, bytes), "taking pinned memory");
  }
  data_ = static_cast<std::byte*>(p);
}
Memory::~Memory() {
  if (data_ == nullptr) return;
  kind_ == MemoryKind::device ? cudaFree(data_) : cudaFreeHost(data_);
}
void Memory::swap(Memory& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(bytes_, o.bytes_);
  std::swap(kind_, o.kind_);
}

void copy_now(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "copying");
  // From memory that is not pinned it may return while the last part is on its way.
  check(cudaStreamSynchronize(cudaStreamLegacy), "copying");
}

Stream::Stream() {
  cudaStream_t s = nullptr;
  check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a stream");
  handle_ = s;
}
Stream::~Stream() {
  cudaStreamDestroy(stream_of(handle_));
}
void Stream::copy(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(handle_)), "copying");
}
void Stream::wait() {
  check(cudaStreamSynchronize(stream_of(handle_)), "computing");
}
void Stream::begin_recording() {
  // Other threads may go on using the device meanwhile.
  check(cudaStreamBeginCapture(stream_of(handle_), cudaStreamCaptureModeThreadLocal), "recording a graph");
}
void Stream::abandon_recording() noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream_of(handle_), &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}
std::unique_ptr<Graph> Stream::end_recording() {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream_of(handle_), &graph), "recording a graph");
  return std::make_unique<RecordedGraph>(graph, handle_);
}

}  // namespace sam2unet::ops::cuda
