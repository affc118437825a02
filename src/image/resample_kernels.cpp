#include "image/resample_kernels.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/resample_kernels.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h must come first
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace sam2unet::image::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes: the horizontal kernel's lanes are kRowsAtOnce rows.
using Int = hn::CappedTag<std::int32_t, 16>;
using Byte = hn::Rebind<std::uint8_t, Int>;

constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

// DemoteTo saturates to 0..255, which is Pillow's clip8.
template <class D, class V>
HWY_INLINE hn::Vec<hn::Rebind<std::uint8_t, D>> rounded(D, V sum) {
  return hn::DemoteTo(hn::Rebind<std::uint8_t, D>(), hn::ShiftRight<kPrecisionBits>(sum));
}

std::uint8_t rounded(std::int32_t sum) {
  const std::int32_t v = sum >> kPrecisionBits;
  return static_cast<std::uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
}

void VerticalScalar(const std::uint8_t* const* rows, const std::int32_t* weights, int taps, std::size_t count,
                    std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t s = kHalf;
    for (int t = 0; t < taps; ++t) s += rows[t][i] * weights[t];
    out[i] = rounded(s);
  }
}

void VerticalImpl(const std::uint8_t* const* rows, const std::int32_t* weights, int taps, std::size_t count,
                  std::uint8_t* out) {
  const Int d;
  const Byte b;
  const std::size_t n = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + 4 * n <= count; i += 4 * n) {
    auto s0 = hn::Set(d, kHalf);
    auto s1 = s0;
    auto s2 = s0;
    auto s3 = s0;
    for (int t = 0; t < taps; ++t) {
      const std::uint8_t* p = rows[t] + i;
      const auto w = hn::Set(d, weights[t]);
      s0 = hn::Add(s0, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p)), w));
      s1 = hn::Add(s1, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + n)), w));
      s2 = hn::Add(s2, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + 2 * n)), w));
      s3 = hn::Add(s3, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + 3 * n)), w));
    }
    hn::StoreU(rounded(d, s0), b, out + i);
    hn::StoreU(rounded(d, s1), b, out + i + n);
    hn::StoreU(rounded(d, s2), b, out + i + 2 * n);
    hn::StoreU(rounded(d, s3), b, out + i + 3 * n);
  }
  if (count < n) return VerticalScalar(rows, weights, taps, count, out);
  while (i < count) {
    i = std::min(i, count - n);  // the last step goes back a little rather than beyond the end
    auto s = hn::Set(d, kHalf);
    for (int t = 0; t < taps; ++t) {
      s = hn::Add(s, hn::Mul(hn::PromoteTo(d, hn::LoadU(b, rows[t] + i)), hn::Set(d, weights[t])));
    }
    hn::StoreU(rounded(d, s), b, out + i);
    i += n;
  }
}

#if HWY_TARGET == HWY_SCALAR  // no vectors of sixteen bytes
void transpose(const std::uint8_t (*in)[kRowsAtOnce], std::uint8_t (*out)[kRowsAtOnce]) {
  for (int i = 0; i < kRowsAtOnce; ++i) {
    for (int k = 0; k < kRowsAtOnce; ++k) out[k][i] = in[i][k];
  }
}
#else
// Bytes (i,k) of a 16x16 tile to (k,i). Interleaving row i with row i + 8 turns the eight bits of a byte's
// place by one; after four times, rows and columns have changed places.
HWY_INLINE void transpose(const std::uint8_t (*in)[kRowsAtOnce], std::uint8_t (*out)[kRowsAtOnce]) {
  const hn::FixedTag<std::uint8_t, 16> d;
  using Row = hn::Vec<decltype(d)>;
  Row a[16], b[16];
  const auto zip = [d](const Row* from, Row* to) HWY_ATTR {
    for (int i = 0; i < 8; ++i) {
      to[2 * i] = hn::InterleaveLower(d, from[i], from[i + 8]);
      to[2 * i + 1] = hn::InterleaveUpper(d, from[i], from[i + 8]);
    }
  };
  for (int i = 0; i < 16; ++i) a[i] = hn::LoadU(d, in[i]);
  zip(a, b);
  zip(b, a);
  zip(a, b);
  zip(b, a);
  for (int i = 0; i < 16; ++i) hn::StoreU(a[i], d, out[i]);
}
#endif

// Byte column k of the sixteen rows becomes the sixteen bytes columns[k].
void to_columns(const std::uint8_t* const* rows, std::size_t row_bytes,
                std::uint8_t (*columns)[kRowsAtOnce]) {
  HWY_ALIGN std::uint8_t tile[kRowsAtOnce][kRowsAtOnce] = {};
  for (std::size_t at = 0; at < row_bytes; at += kRowsAtOnce) {
    const std::size_t n = std::min<std::size_t>(kRowsAtOnce, row_bytes - at);
    if (n == kRowsAtOnce) {
      for (int r = 0; r < kRowsAtOnce; ++r) std::memcpy(tile[r], rows[r] + at, kRowsAtOnce);
    } else {
      for (int r = 0; r < kRowsAtOnce; ++r) std::memcpy(tile[r], rows[r] + at, n);
    }
    transpose(tile, columns + at);
  }
}

// Columns `at` to `at + n` of the result into its rows.
void to_rows(const std::uint8_t (*columns)[kRowsAtOnce], std::size_t at, std::size_t n,
             std::uint8_t* const* out) {
  HWY_ALIGN std::uint8_t tile[kRowsAtOnce][kRowsAtOnce];
  transpose(columns, tile);
  if (n == kRowsAtOnce) {
    for (int r = 0; r < kRowsAtOnce; ++r) std::memcpy(out[r] + at, tile[r], kRowsAtOnce);
  } else {
    for (int r = 0; r < kRowsAtOnce; ++r) std::memcpy(out[r] + at, tile[r], n);
  }
}

// With rows as vector lanes, all lanes have the same weights, and nothing is summed across them.
template <int kChannels>
void Horizontal(const std::uint8_t* const* rows, int width, const Coefficients& c, std::uint8_t* const* out,
                std::uint8_t* scratch) {
  const Int d;
  const Byte b;
  const std::size_t n = hn::Lanes(d);
  auto* columns = reinterpret_cast<std::uint8_t(*)[kRowsAtOnce]>(scratch);
  to_columns(rows, static_cast<std::size_t>(width) * kChannels, columns);
  // A pixel's columns may cross the end of a tile of sixteen.
  HWY_ALIGN std::uint8_t ready[kRowsAtOnce + kChannels][kRowsAtOnce] = {};
  int have = 0;
  std::size_t at = 0;
  for (int x = 0; x < c.size; ++x) {
    const std::uint8_t* first = columns[static_cast<std::ptrdiff_t>(c.bounds[2 * x]) * kChannels];
    const int taps = c.bounds[2 * x + 1];
    const std::int32_t* weights = c.weights + static_cast<std::size_t>(x) * c.stride;
    for (std::size_t lane = 0; lane < kRowsAtOnce; lane += n) {
      const std::uint8_t* p = first + lane;
      auto s0 = hn::Set(d, kHalf);
      auto s1 = s0, s2 = s0, s3 = s0;
      for (int t = 0; t < taps; ++t, p += kChannels * kRowsAtOnce) {
        const auto w = hn::Set(d, weights[t]);
        const auto term = [&](int channel) HWY_ATTR {
          return hn::Mul(hn::PromoteTo(d, hn::LoadU(b, p + channel * kRowsAtOnce)), w);
        };
        s0 = hn::Add(s0, term(0));
        if constexpr (kChannels > 1) {
          s1 = hn::Add(s1, term(1));
          s2 = hn::Add(s2, term(2));
        }
        if constexpr (kChannels > 3) s3 = hn::Add(s3, term(3));
      }
      hn::StoreU(rounded(d, s0), b, ready[have] + lane);
      if constexpr (kChannels > 1) {
        hn::StoreU(rounded(d, s1), b, ready[have + 1] + lane);
        hn::StoreU(rounded(d, s2), b, ready[have + 2] + lane);
      }
      if constexpr (kChannels > 3) hn::StoreU(rounded(d, s3), b, ready[have + 3] + lane);
    }
    have += kChannels;
    if (have < kRowsAtOnce) continue;
    to_rows(ready, at, kRowsAtOnce, out);
    have -= kRowsAtOnce;
    at += kRowsAtOnce;
    std::memcpy(ready[0], ready[kRowsAtOnce], sizeof ready[0] * kChannels);
  }
  if (have > 0) to_rows(ready, at, static_cast<std::size_t>(have), out);
}

void HorizontalImpl(const std::uint8_t* const* rows, int width, int channels, const Coefficients& c,
                    std::uint8_t* const* out, std::uint8_t* scratch) {
  if (channels == 1) return Horizontal<1>(rows, width, c, out, scratch);
  if (channels == 3) return Horizontal<3>(rows, width, c, out, scratch);
  return Horizontal<4>(rows, width, c, out, scratch);
}

}  // namespace
}  // namespace sam2unet::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::image {

HWY_EXPORT(VerticalImpl);
HWY_EXPORT(HorizontalImpl);

void resample_vertical(const std::uint8_t* const* rows, const std::int32_t* weights, int taps,
                       std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(VerticalImpl)(rows, weights, taps, count, out);
}

void resample_horizontal(const std::uint8_t* const* rows, int width, int channels, const Coefficients& c,
                         std::uint8_t* const* out, std::uint8_t* scratch) {
  HWY_DYNAMIC_DISPATCH(HorizontalImpl)(rows, width, channels, c, out, scratch);
}

std::size_t resample_scratch_bytes(int width, int channels) {
  const auto bytes = static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  return (bytes + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce * kRowsAtOnce;
}

}  // namespace sam2unet::image
#endif
