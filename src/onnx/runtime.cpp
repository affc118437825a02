#include "onnx/runtime.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/tensor.h"
#include "sam2unet/errors.h"

namespace sam2unet::onnx {
namespace {

// Places in the table of version 2 of the API, which every later one begins with.
enum class Slot : std::size_t {
  GetErrorMessage = 2,
  CreateEnv = 3,
  CreateSession = 7,
  Run = 9,
  CreateSessionOptions = 10,
  SetIntraOpNumThreads = 24,
  CreateTensorWithDataAsOrtValue = 49,
  GetTensorMutableData = 51,
  GetTensorElementType = 60,
  GetDimensionsCount = 61,
  GetDimensions = 62,
  GetTensorTypeAndShape = 65,
  CreateCpuMemoryInfo = 69,
  AllocatorFree = 76,
  GetAllocatorWithDefaultOptions = 78,
  ReleaseEnv = 92,
  ReleaseStatus = 93,
  ReleaseMemoryInfo = 94,
  ReleaseSession = 95,
  ReleaseValue = 96,
  ReleaseTensorTypeAndShapeInfo = 99,
  ReleaseSessionOptions = 100,
  SessionGetModelMetadata = 111,
  ModelMetadataLookupCustomMetadataMap = 116,
  ReleaseModelMetadata = 118,
};

struct ApiBase {
  const void* (*get_api)(std::uint32_t version);
  const char* (*version)();
};

using Handle = void*;

// Where the library may be.
std::vector<std::string> candidates() {
  const char* set = std::getenv("SAM2UNET_ONNXRUNTIME");
  if (set == nullptr || *set == '\0') return {"libonnxruntime.so.1", "libonnxruntime.so"};
  std::error_code ignored;
  if (!std::filesystem::is_directory(set, ignored)) return {set};
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(set, ignored))
    if (entry.path().filename().string().starts_with("libonnxruntime.so"))
      found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  if (found.empty())
    throw UnavailableError(fmt::format("SAM2UNET_ONNXRUNTIME: {} holds no libonnxruntime.so", set));
  return found;
}

const ApiBase& open_runtime() {
  std::string why;
  for (const std::string& name : candidates()) {
    void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays loaded
    if (library == nullptr) {
      why += (why.empty() ? "" : "; ") + std::string(::dlerror());
      continue;
    }
    using GetBase = const ApiBase* (*)();
    if (const auto get = reinterpret_cast<GetBase>(::dlsym(library, "OrtGetApiBase")); get != nullptr)
      return *get();
    why += (why.empty() ? "" : "; ") + name + " is no ONNX Runtime";
  }
  throw UnavailableError(
      fmt::format("ONNX Runtime cannot be opened ({}); install the package libonnxruntime-dev (Debian 13), "
                  "or `pip install "
                  "onnxruntime` and set SAM2UNET_ONNXRUNTIME to its folder onnxruntime/capi",
                  why));
}

class Api {
 public:
  Api() : base_(open_runtime()), table_(static_cast<void* const*>(base_.get_api(2))) {
    if (table_ == nullptr) throw UnavailableError("this ONNX Runtime does not have version 2 of its C API");
  }
  std::string version() const { return base_.version(); }

  /// A function that returns a status; FormatError with its message unless that is null.
  template <typename... Types>
  void call(Slot slot, Types... arguments) const {
    using Function = Handle (*)(Types...);
    const Handle status = reinterpret_cast<Function>(at(slot))(arguments...);
    if (status == nullptr) return;
    const std::string message = reinterpret_cast<const char* (*)(Handle)>(at(Slot::GetErrorMessage))(status);
    release(Slot::ReleaseStatus, status);
    throw FormatError("ONNX Runtime: " + message);
  }
  void release(Slot slot, Handle handle) const {
    if (handle != nullptr) reinterpret_cast<void (*)(Handle)>(at(slot))(handle);
  }

 private:
  void* at(Slot slot) const { return table_[static_cast<std::size_t>(slot)]; }
  const ApiBase& base_;
  void* const* table_;
};

// Owns what the API made.
class Owned {
 public:
  Owned(const Api& api, Slot release) : api_(api), release_(release) {}
  ~Owned() { api_.release(release_, handle_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle get() const { return handle_; }
  Handle* out() { return &handle_; }

 private:
  const Api& api_;
  Slot release_;
  Handle handle_ = nullptr;
};

}  // namespace

struct RuntimeSession::Impl {
  Api api;
  std::string version = api.version();
  Owned env{api, Slot::ReleaseEnv}, session{api, Slot::ReleaseSession}, memory{api, Slot::ReleaseMemoryInfo};

  Impl(const std::filesystem::path& model, int threads) {
    constexpr int kErrorsOnly = 3, kDeviceAllocator = 0, kDefaultMemory = 0;
    api.call(Slot::CreateEnv, kErrorsOnly, "sam2unet", env.out());
    api.call(Slot::CreateCpuMemoryInfo, kDeviceAllocator, kDefaultMemory, memory.out());
    Owned options(api, Slot::ReleaseSessionOptions);
    api.call(Slot::CreateSessionOptions, options.out());
    api.call(Slot::SetIntraOpNumThreads, options.get(), threads);
    api.call(Slot::CreateSession, env.get(), model.c_str(), options.get(), session.out());
  }

  RuntimeTensor read(Handle value) const {
    Owned info(api, Slot::ReleaseTensorTypeAndShapeInfo);
    api.call(Slot::GetTensorTypeAndShape, value, info.out());
    RuntimeTensor t;
    int type = 0;
    std::size_t rank = 0;
    api.call(Slot::GetTensorElementType, info.get(), &type);
    api.call(Slot::GetDimensionsCount, info.get(), &rank);
    t.type = static_cast<ElementType>(type);
    t.shape.resize(rank);
    api.call(Slot::GetDimensions, info.get(), t.shape.data(), rank);
    auto bytes = static_cast<std::int64_t>(size_of(t.type));
    for (const std::int64_t d : t.shape) bytes = checked_mul(bytes, d, "a result of ONNX Runtime");
    void* data = nullptr;
    api.call(Slot::GetTensorMutableData, value, &data);
    t.bytes.resize(static_cast<std::size_t>(bytes));
    std::memcpy(t.bytes.data(), data, t.bytes.size());
    return t;
  }
};

RuntimeSession::RuntimeSession(const std::filesystem::path& model, int threads)
    : impl_(std::make_unique<Impl>(model, threads)) {}
RuntimeSession::~RuntimeSession() = default;

const std::string& RuntimeSession::version() const {
  return impl_->version;
}

std::string RuntimeSession::metadata(const std::string& key) const {
  const Api& api = impl_->api;
  Owned all(api, Slot::ReleaseModelMetadata);
  api.call(Slot::SessionGetModelMetadata, impl_->session.get(), all.out());
  Handle allocator = nullptr;  // the runtime's own
  api.call(Slot::GetAllocatorWithDefaultOptions, &allocator);
  char* text = nullptr;
  api.call(Slot::ModelMetadataLookupCustomMetadataMap, all.get(), allocator, key.c_str(), &text);
  if (text == nullptr) return {};
  std::string out = text;
  api.call(Slot::AllocatorFree, allocator, static_cast<void*>(text));
  return out;
}

std::map<std::string, RuntimeTensor> RuntimeSession::run(const std::string& input, const RuntimeTensor& value,
                                                         const std::vector<std::string>& outputs) {
  const Api& api = impl_->api;
  Owned in(api, Slot::ReleaseValue);
  api.call(Slot::CreateTensorWithDataAsOrtValue, impl_->memory.get(),
           static_cast<void*>(const_cast<std::byte*>(value.bytes.data())), value.bytes.size(),
           value.shape.data(), value.shape.size(), static_cast<int>(value.type), in.out());
  const char* input_name = input.c_str();
  std::vector<const char*> names;
  names.reserve(outputs.size());
  for (const std::string& o : outputs) names.push_back(o.c_str());
  const Handle inputs[] = {in.get()};
  std::vector<Handle> results(outputs.size());
  api.call(Slot::Run, impl_->session.get(), Handle{nullptr}, &input_name, &inputs[0], std::size_t{1},
           names.data(), names.size(), results.data());
  std::map<std::string, RuntimeTensor> out;
  std::vector<std::unique_ptr<Owned>> owned;
  for (const Handle r : results) {
    owned.push_back(std::make_unique<Owned>(api, Slot::ReleaseValue));
    *owned.back()->out() = r;
  }
  for (std::size_t i = 0; i < results.size(); ++i) out.emplace(outputs[i], impl_->read(results[i]));
  return out;
}

}  // namespace sam2unet::onnx
