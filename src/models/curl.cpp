#include "models/curl.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "sam2unet/errors.h"

namespace sam2unet::models {
namespace {

namespace fs = std::filesystem;

// Numbers of libcurl's C API, which is stable since version 7.16: kind (0 number, 10000 pointer, 20000
// function, 30000 64-bit number) + place.
enum Option : int {
  kUrl = 10002,
  kFailOnError = 45,
  kFollowLocation = 52,
  kWriteData = 10001,
  kWriteFunction = 20011,
  kUserAgent = 10018,
  kLowSpeedLimit = 19,
  kLowSpeedTime = 20,
  kNoProgress = 43,
  kConnectTimeout = 78,
  kNoSignal = 99,
  kResumeFrom = 30116,
  kProtocols = 181,
  kRedirectProtocols = 182,
  kProgressData = 10057,
  kProgressFunction = 20219,
  kErrorBuffer = 10010,
};
constexpr int kResponseCode = 0x200000 + 2;  // CURLINFO_RESPONSE_CODE
constexpr int kHttp = 1, kHttps = 2, kFile = 1 << 10;
constexpr int kRangeError = 33, kHttpError = 22, kBadResume = 36;
constexpr long kRangeNotSatisfiable = 416;

class Curl {
 public:
  Curl() {
    for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"})
      if (library_ = ::dlopen(name, RTLD_NOW | RTLD_LOCAL); library_ != nullptr) break;
    if (library_ == nullptr)
      throw UnavailableError(
          "fetching needs libcurl, which is not installed; install the package libcurl4, or get the file by "
          "hand");
    handle_ = function<void* (*)()>("curl_easy_init")();
    if (handle_ == nullptr) throw UnavailableError("libcurl cannot be started");
    set(kErrorBuffer, &why_[0]);
  }
  ~Curl() { function<void (*)(void*)>("curl_easy_cleanup")(handle_); }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  template <typename T>
  void set(Option option, T value) {
    function<int (*)(void*, int, ...)>("curl_easy_setopt")(handle_, option, value);
  }
  int perform() {
    why_[0] = '\0';
    return function<int (*)(void*)>("curl_easy_perform")(handle_);
  }
  long response() {
    long code = 0;
    function<int (*)(void*, int, ...)>("curl_easy_getinfo")(handle_, kResponseCode, &code);
    return code;
  }
  std::string why(int code) {
    return why_[0] != '\0' ? why_ : function<const char* (*)(int)>("curl_easy_strerror")(code);
  }

 private:
  template <typename F>
  F function(const char* name) const {
    void* found = ::dlsym(library_, name);
    if (found == nullptr) throw UnavailableError(fmt::format("this libcurl has no {}", name));
    return reinterpret_cast<F>(found);
  }
  void* library_ = nullptr;  // stays loaded
  void* handle_ = nullptr;
  char why_[256] = {};  // CURL_ERROR_SIZE
};

struct Transfer {
  std::FILE* file = nullptr;
  std::uint64_t before = 0;  // bytes that were there
  const std::function<void(std::uint64_t, std::uint64_t)>* progress = nullptr;
  int error = 0;
};

std::size_t write(char* bytes, std::size_t, std::size_t n, void* to) {
  auto& t = *static_cast<Transfer*>(to);
  const std::size_t written = std::fwrite(bytes, 1, n, t.file);
  if (written != n) t.error = errno;
  return written;
}

int tell(void* to, std::int64_t all, std::int64_t done, std::int64_t, std::int64_t) {
  const auto& t = *static_cast<Transfer*>(to);
  if (*t.progress && done > 0)
    (*t.progress)(t.before + static_cast<std::uint64_t>(done),
                  all > 0 ? t.before + static_cast<std::uint64_t>(all) : 0);
  return 0;
}

void prepare(Curl& curl, const std::string& address, Transfer& transfer) {
  curl.set(kUrl, address.c_str());
  curl.set(kFailOnError, 1L);
  curl.set(kFollowLocation, 1L);
  curl.set(kProtocols, static_cast<long>(kHttp | kHttps | kFile));
  curl.set(kRedirectProtocols, static_cast<long>(kHttp | kHttps));
  curl.set(kUserAgent, "sam2unet");
  curl.set(kConnectTimeout, 30L);
  curl.set(kLowSpeedLimit, 1L);
  curl.set(kLowSpeedTime, 60L);
  curl.set(kNoSignal, 1L);
  curl.set(kWriteFunction, &write);
  curl.set(kWriteData, static_cast<void*>(&transfer));
  curl.set(kNoProgress, 0L);
  curl.set(kProgressFunction, &tell);
  curl.set(kProgressData, static_cast<void*>(&transfer));
}

}  // namespace

void download(const std::string& address, const fs::path& file,
              const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  Curl curl;
  Transfer transfer;
  transfer.progress = &progress;
  prepare(curl, address, transfer);
  std::error_code absent;
  const std::uintmax_t there = fs::file_size(file, absent);
  transfer.before = absent ? 0 : there;
  const auto attempt = [&] {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), "ab"), &std::fclose);
    if (out == nullptr)
      throw FileError(fmt::format("{}: {}", file.string(), std::generic_category().message(errno)));
    if (::flock(::fileno(out.get()), LOCK_EX | LOCK_NB) != 0)
      throw FileError(fmt::format("{}: another program is fetching it", file.string()));
    transfer.file = out.get();
    curl.set(kResumeFrom, static_cast<std::int64_t>(transfer.before));
    const int code = curl.perform();
    if (std::fflush(out.get()) != 0) transfer.error = errno;
    return code;
  };
  int code = attempt();
  if (transfer.before > 0 && code == kHttpError && curl.response() == kRangeNotSatisfiable)
    return;  // it is whole
  if (transfer.before > 0 && (code == kRangeError || code == kBadResume)) {
    fs::resize_file(file, 0);
    transfer.before = 0;
    code = attempt();
  }
  if (transfer.error != 0)
    throw FileError(fmt::format("{}: {}", file.string(), std::generic_category().message(transfer.error)));
  if (code != 0) throw FileError(fmt::format("{}: {}", address, curl.why(code)));
}

}  // namespace sam2unet::models
