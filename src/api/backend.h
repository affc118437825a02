// Runs one network on one device. The library has a backend of its own (api/cpu_backend.h); others come from
// plug-ins (api/torch_plugin.h, api/cuda_plugin.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "image/sample_kernels.h"
#include "ops/concept.h"
#include "sam2unet/image.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {

/// Receives what is computed on the way: a name ("block", "stage", "rfb", "up", "out") with its number, and
/// [b,h,w,c] values.
using TraceValues = std::function<void(const char*, int, const ops::Extent&, std::span<const float>)>;

/// What goes into a pass: 8-bit pictures of the network's size, or values that are normalised already (golden
/// files). Refers to memory of the caller's.
class BackendInput {
 public:
  /// RGB, all of one size.
  explicit BackendInput(std::span<const ImageView> pictures)
      : extent_{static_cast<std::int64_t>(pictures.size()), pictures.front().height, pictures.front().width,
                3},
        pictures_(pictures) {}
  BackendInput(const ops::Extent& extent, std::span<const float> values)  // [b,h,w,3]
      : extent_(extent), values_(values) {}

  const ops::Extent& extent() const { return extent_; }
  /// Empty where there are values instead.
  std::span<const ImageView> pictures() const { return pictures_; }
  /// Rows first to last of the b h, [rows,w,3]: pictures normalised, (x / 255 - mean) / std per ImageNet
  /// channel (dataset.py:44, test.py:31). Rows may be written by several threads.
  void write_rows(std::int64_t first, std::int64_t last, float* out) const {
    const std::int64_t row_size = extent_.w * 3;
    if (pictures_.empty()) {
      std::copy_n(values_.data() + first * row_size, (last - first) * row_size, out);
      return;
    }
    for (std::int64_t row = first; row < last; ++row, out += row_size) {
      const ImageView& p = pictures_[static_cast<std::size_t>(row / extent_.h)];
      image::normalise_rgb(p.row(static_cast<int>(row % extent_.h)), static_cast<std::size_t>(extent_.w),
                           out);
    }
  }
  /// 8-bit pictures as they are, [b,h,w,3] without gaps.
  void write_bytes(std::uint8_t* out) const {
    const std::size_t row_size = static_cast<std::size_t>(extent_.w) * 3;
    for (const ImageView& p : pictures_)
      for (int y = 0; y < p.height; ++y, out += row_size) std::copy_n(p.row(y), row_size, out);
  }
  void write(float* out) const { write_rows(0, extent_.b * extent_.h, out); }

 private:
  ops::Extent extent_;
  std::span<const ImageView> pictures_;
  std::span<const float> values_;
};

struct Logits {
  ops::Extent extent;             ///< [b,h,w,K]
  std::span<const float> values;  ///< memory of the backend's, valid during the call
};
using UseLogits = std::function<void(const Logits&)>;

/// What a backend is, in effect.
struct BackendInfo {
  std::string device;
  Precision precision = Precision::f32;
  int batch = 1;           ///< how many pictures at once the device is best given
  std::string arithmetic;  ///< what multiplies, in words
  int in_flight = 1;       ///< how many passes begun at the same time keep the device busy
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// One forward pass. May be called from several threads at once. With `trace` the side outputs are computed
  /// too ("out" 1 and 2).
  virtual void run(const BackendInput& input, const UseLogits& use,
                   const TraceValues& trace = nullptr) const = 0;
  virtual BackendInfo info() const = 0;
};

}  // namespace sam2unet::api
