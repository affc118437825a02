// The tiles of processors with instructions for bfloat16 and bytes: vdpbf16ps and vpdpbusd on 512 bits.
// Highway 1.0 emits neither, so these two stand here by intrinsics.
#include "ops/lowp/kernels.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SAM2UNET_HAS_NATIVE_TILES 1
#include <immintrin.h>

#include <hwy/base.h>
#endif

namespace sam2unet::ops::lowp {

#if SAM2UNET_HAS_NATIVE_TILES
namespace {

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")

struct Bf16 {
  using Sum = __m512;
  static HWY_INLINE Sum zero() { return _mm512_setzero_ps(); }
  static HWY_INLINE Sum load(const std::byte* p) { return _mm512_load_ps(p); }
  static HWY_INLINE Sum add(Sum a, Sum b) { return _mm512_add_ps(a, b); }
  static HWY_INLINE void store(Sum s, std::byte* p) { _mm512_store_ps(p, s); }
  static HWY_INLINE Sum dot(Sum s, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(s, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

struct Int8 {
  using Sum = __m512i;
  static HWY_INLINE Sum zero() { return _mm512_setzero_si512(); }
  static HWY_INLINE Sum load(const std::byte* p) { return _mm512_load_si512(p); }
  static HWY_INLINE Sum add(Sum a, Sum b) { return _mm512_add_epi32(a, b); }
  static HWY_INLINE void store(Sum s, std::byte* p) { _mm512_store_si512(p, s); }
  static HWY_INLINE Sum dot(Sum s, __m512i a, __m512i b) { return _mm512_dpbusd_epi32(s, a, b); }
};

template <class T, int kVec>
void NativeTile(const TileJob& t) {
  typename T::Sum s[kVectorRows][kVec];
  for (auto& row : s)
    for (auto& sum : row) sum = T::zero();
  const std::byte* b = t.b;
  for (int tap = 0; tap < t.taps; ++tap) {
    const std::byte* x[kVectorRows];
    for (int r = 0; r < kVectorRows; ++r) x[r] = t.rows[tap * kVectorRows + r] + t.offset;
    for (std::ptrdiff_t u = 0; u < t.units; ++u, b += kVec * 64) {
      __m512i w[kVec];
      for (int j = 0; j < kVec; ++j) w[j] = _mm512_load_si512(b + j * 64);
      for (int r = 0; r < kVectorRows; ++r) {
        std::int32_t unit;
        __builtin_memcpy(&unit, x[r] + u * 4, 4);
        const __m512i v = _mm512_set1_epi32(unit);
        for (int j = 0; j < kVec; ++j) s[r][j] = T::dot(s[r][j], v, w[j]);
      }
    }
  }
  for (int r = 0; r < kVectorRows; ++r)
    for (int j = 0; j < kVec; ++j) {
      std::byte* sum = t.sums + (r * kVec + j) * 64;
      T::store(t.adds ? T::add(s[r][j], T::load(sum)) : s[r][j], sum);
    }
}

// As many chains of sums as a tile has, with nothing to load: what the instruction can do at best.
template <class T>
void Spin(std::int64_t rounds, std::byte* sums) {
  typename T::Sum s[kSpins];
  for (int i = 0; i < kSpins; ++i) s[i] = T::load(sums + i * 64);
  const __m512i a = _mm512_load_si512(sums), b = _mm512_load_si512(sums + 64);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (auto& sum : s) sum = T::dot(sum, a, b);
  for (int i = 0; i < kSpins; ++i) T::store(s[i], sums + i * 64);
}

void Nothing() {}

template <class T>
constexpr Tiles kTiles = {
    {NativeTile<T, 1>, NativeTile<T, 2>, NativeTile<T, 3>, NativeTile<T, 4>}, Nothing, Nothing};

HWY_POP_ATTRIBUTES

}  // namespace

const Tiles* native_tiles(Way way) {
  if (is_amx(way)) return amx_tiles(way);
  // Asked once: in a virtual machine the processor's answer takes microseconds.
  static const bool has_int8 =
      __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  static const bool has_bf16 = has_int8 && __builtin_cpu_supports("avx512bf16") != 0;
  if (way == Way::dot_int8 && has_int8) return &kTiles<Int8>;
  return way == Way::dot_bf16 && has_bf16 ? &kTiles<Bf16> : nullptr;
}

void native_spin(Way way, std::int64_t rounds, std::byte* sums) {
  if (is_amx(way))
    amx_spin(way, rounds, sums);
  else if (way == Way::dot_int8)
    Spin<Int8>(rounds, sums);
  else
    Spin<Bf16>(rounds, sums);
}
#else
void native_spin(Way, std::int64_t, std::byte*) {}
const Tiles* native_tiles(Way) {
  return nullptr;
}
#endif

}  // namespace sam2unet::ops::lowp
