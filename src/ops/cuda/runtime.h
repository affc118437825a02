// CUDA's runtime behind RAII: errors as ours, memory, streams, graphs. Only .cpp and .cu files of this folder
// include CUDA's own headers.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "ops/cuda/launch.h"
#include "sam2unet/errors.h"

namespace sam2unet::ops::cuda {

/// Throws std::bad_alloc where the device's memory ran out, else Error: what was done, and what CUDA says.
void check(int error, const char* what);

struct DeviceInfo {
  int index = 0;
  std::string name;
  DeviceLimits limits;
  std::size_t memory = 0;  ///< bytes
};

/// "cuda" (the first GPU) or "cuda:N". UsageError for another name; UnavailableError that says what this
/// machine lacks: a GPU, its driver, or a newer one.
DeviceInfo find_device(const std::string& name);

/// Makes a device the calling thread's, and what was before at its end.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
};

/// Memory of the device's, or of the host's that it copies from and to by itself.
enum class MemoryKind { device, pinned };

class Memory {
 public:
  Memory() = default;
  Memory(std::size_t bytes, MemoryKind kind);
  ~Memory();
  Memory(Memory&& o) noexcept { swap(o); }
  Memory& operator=(Memory&& o) noexcept {
    swap(o);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(Memory& o) noexcept;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  MemoryKind kind_ = MemoryKind::device;
};

/// A copy that has happened when this returns.
void copy_now(void* to, const void* from, std::size_t bytes);

/// Work recorded once and repeated with one launch.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void launch() = 0;
};

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void* handle() const { return handle_; }
  /// Either side may be the host's; the host's has to be pinned to be copied beside other work.
  void copy(void* to, const void* from, std::size_t bytes);
  /// Waits, and throws what went wrong on the device meanwhile.
  void wait();
  /// Records what `work` starts on this stream.
  template <class Work>
  std::unique_ptr<Graph> record(const Work& work) {
    begin_recording();
    try {
      work();
    } catch (...) {
      abandon_recording();
      throw;
    }
    return end_recording();
  }

 private:
  void begin_recording();
  void abandon_recording() noexcept;
  std::unique_ptr<Graph> end_recording();
  void* handle_ = nullptr;
};

}  // namespace sam2unet::ops::cuda
