// A plug-in for the device "cuda" without a GPU: it stands beside a copy of the library, so that loading it,
// names of devices and how busy it is kept are tested where there is none. It has one "GPU".
//
// The environment says what it does: SAM2UNET_FAKE_LOG a file that gets a line of JSON for each pass,
// SAM2UNET_FAKE_MS how long a pass takes, SAM2UNET_FAKE_BATCH how many pictures it says are best,
// SAM2UNET_FAKE_IN_FLIGHT how many passes at a time, SAM2UNET_FAKE_NAN that pictures which begin white make
// no numbers.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/cuda_plugin.h"
#include "sam2unet/errors.h"

namespace sam2unet::test {
namespace {

int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

const char* word_of(Precision p) {
  switch (p) {
    case Precision::automatic:
      return "automatic";
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
    case Precision::tf32:
      return "tf32";
    case Precision::f16:
      return "f16";
    case Precision::standard:
      return "standard";
  }
  return "?";
}

/// A logit is the mean of its pixel's colours, from -4 to 4.
class FakeBackend final : public api::Backend {
 public:
  FakeBackend(int channels, Precision precision) : channels_(channels), precision_(precision) {}

  void run(const api::BackendInput& input, const api::UseLogits& use,
           const api::TraceValues&) const override {
    const int now = in_flight_.fetch_add(1) + 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(number_of("SAM2UNET_FAKE_MS", 0)));
    const ops::Extent& e = input.extent();
    std::vector<float> out;
    out.reserve(static_cast<std::size_t>(e.b * e.h * e.w * channels_));
    const bool has_nan = std::getenv("SAM2UNET_FAKE_NAN") != nullptr;
    for (const ImageView& p : input.pictures()) {
      const bool is_white = p.row(0)[0] == 255 && p.row(0)[1] == 255 && p.row(0)[2] == 255;
      const float more = has_nan && is_white ? std::numeric_limits<float>::quiet_NaN() : -4.0F;
      for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; ++x) {
          const std::uint8_t* rgb = p.row(y) + x * 3;
          const auto sum = static_cast<float>(rgb[0] + rgb[1] + rgb[2]);
          for (int k = 0; k < channels_; ++k) out.push_back(sum / 3.0F / 32.0F + more);
        }
    }
    out.resize(static_cast<std::size_t>(e.b * e.h * e.w * channels_));  // of values that are no pictures: 0
    use({{e.b, e.h, e.w, channels_}, out});
    log(e, now, !input.pictures().empty());
    in_flight_.fetch_sub(1);
  }
  api::BackendInfo info() const override {
    return {"cuda:0", precision_, number_of("SAM2UNET_FAKE_BATCH", 8),
            std::string(word_of(precision_)) + " by a stand-in", number_of("SAM2UNET_FAKE_IN_FLIGHT", 2)};
  }

 private:
  void log(const ops::Extent& e, int in_flight, bool bytes) const {
    const char* file = std::getenv("SAM2UNET_FAKE_LOG");
    if (file == nullptr) return;
    const std::lock_guard lock(mutex_);
    std::FILE* f = std::fopen(file, "a");
    if (f == nullptr) return;
    std::fprintf(f, "{\"batch\": %d, \"height\": %d, \"width\": %d, \"in_flight\": %d, \"bytes\": %s}\n",
                 static_cast<int>(e.b), static_cast<int>(e.h), static_cast<int>(e.w), in_flight,
                 bytes ? "true" : "false");
    std::fclose(f);
  }

  int channels_;
  Precision precision_;
  mutable std::atomic<int> in_flight_{0};
  mutable std::mutex mutex_;
};

std::unique_ptr<api::Backend> make_backend(model::WeightSource&, const model::Config& config,
                                           const SegmenterOptions& options) {
  if (options.device != "cuda" && options.device != "cuda:0")
    throw UnavailableError("device " + options.device + ": this machine has 1 GPU, counted from 0");
  return std::make_unique<FakeBackend>(static_cast<int>(config.out_channels), options.precision);
}

}  // namespace

extern "C" __attribute__((visibility("default")))
const api::CudaPluginEntry sam2unet_cuda_plugin{SAM2UNET_FAKE_VERSION, &make_backend};

}  // namespace sam2unet::test
