// The launcher's state, and src/ops/cuda/runtime.h on the host: memory that begins as NaN, streams that
// compute at once, and graphs that are the list of what was started while they were recorded.
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "emulated/ops/cuda/start.h"
#include "ops/cuda/box_product.h"
#include "ops/cuda/runtime.h"

namespace sam2unet::ops::cuda {

Emulation& emulation() {
  static Emulation all;
  return all;
}

void start_work(std::function<void()> work) {
  Emulation& e = emulation();
  if (e.recording != nullptr) {
    e.recording->push_back(std::move(work));
  } else {
    work();
  }
}

namespace {
class RecordedList final : public Graph {
 public:
  explicit RecordedList(std::vector<std::function<void()>> list) : list_(std::move(list)) {}
  void launch() override {
    for (const auto& work : list_) start_work(work);
  }

 private:
  std::vector<std::function<void()>> list_;
};
}  // namespace

// No compiler but nvcc reads those.
std::span<const ProductKernel> warpgroup_kernels() {
  return {};
}
std::span<const ProductKernel> box_kernels() {
  return {};
}
void launch_box_product(const Launcher&, const ProductKernel&, const ProductTask&) {
  throw device::Fault("not emulated");
}

void check(int, const char*) {}

DeviceInfo find_device(const std::string&) {
  // As an H100 tells of itself, with so few multiprocessors that small shapes choose large tiles too.
  return {0, "emulated", {9, 0, emulation().multiprocessors, 232448}, std::size_t{80} << 30};
}

namespace {
thread_local int current_device = 0;
}
DeviceScope::DeviceScope(int device) : before_(std::exchange(current_device, device)) {}
DeviceScope::~DeviceScope() {
  current_device = before_;
}

Memory::Memory(std::size_t bytes, MemoryKind kind) : data_(new std::byte[bytes]), bytes_(bytes), kind_(kind) {
  std::memset(data_, 0xff, bytes);
}
Memory::~Memory() {
  delete[] data_;
}
void Memory::swap(Memory& o) noexcept {
  std::swap(data_, o.data_);
  std::swap(bytes_, o.bytes_);
  std::swap(kind_, o.kind_);
}

void copy_now(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

Stream::Stream() = default;
Stream::~Stream() = default;
void Stream::copy(void* to, const void* from, std::size_t bytes) {
  start_work([=] { std::memcpy(to, from, bytes); });
}
void Stream::wait() {}

namespace {
std::vector<std::function<void()>> recorded;
}
void Stream::begin_recording() {
  recorded.clear();
  emulation().recording = &recorded;
}
void Stream::abandon_recording() noexcept {
  emulation().recording = nullptr;
}
std::unique_ptr<Graph> Stream::end_recording() {
  emulation().recording = nullptr;
  return std::make_unique<RecordedList>(std::exchange(recorded, {}));
}

}  // namespace sam2unet::ops::cuda
