// The tiles of processors with AMX: tdpbf16ps and tdpbusd multiply sixteen rows of 64 bytes by sixteen units
// of sixteen columns. Two by two registers of sums share two registers of either side, so that loads hide
// behind products. The panels are those of the vector instructions as they are: a register of the right side
// is sixteen units of a panel one below the other.
#include <cstdint>
#include <cstring>

#include "ops/lowp/kernels.h"

#if defined(__x86_64__) && defined(__linux__) && (defined(__GNUC__) || defined(__clang__))
#define SAM2UNET_HAS_AMX_TILES 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hwy/base.h>
#endif

namespace sam2unet::ops::lowp {

#if SAM2UNET_HAS_AMX_TILES
namespace {

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,amx-tile,amx-bf16,amx-int8")

constexpr int kSide = 16;      // rows of a register, and columns of a result
constexpr int kUnitBytes = 4;  // a register's row is sixteen units

// Registers: sums 0 to 3 (above left, above right, below left, below right), left side 4 and 5, right side 6
// and 7. Intrinsics take their numbers as constants.
struct Bf16 {
  static HWY_INLINE void above_left() { _tile_dpbf16ps(0, 4, 6); }
  static HWY_INLINE void above_right() { _tile_dpbf16ps(1, 4, 7); }
  static HWY_INLINE void below_left() { _tile_dpbf16ps(2, 5, 6); }
  static HWY_INLINE void below_right() { _tile_dpbf16ps(3, 5, 7); }
};
struct Int8 {
  static HWY_INLINE void above_left() { _tile_dpbusd(0, 4, 6); }
  static HWY_INLINE void above_right() { _tile_dpbusd(1, 4, 7); }
  static HWY_INLINE void below_left() { _tile_dpbusd(2, 5, 6); }
  static HWY_INLINE void below_right() { _tile_dpbusd(3, 5, 7); }
};

// All registers are sixteen rows of 64 bytes.
struct alignas(64) Config {
  std::uint8_t palette = 1, first_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr Config kConfig;

void Begin() {
  _tile_loadconfig(&kConfig);
}
void End() {
  _tile_release();
}

// Units of the left side that are looked at together, and memory for those that cannot be read in place.
constexpr std::ptrdiff_t kStretch = 128;
struct alignas(64) Copies {
  std::byte rows[kSide][kStretch * kUnitBytes];
  std::byte last[kSide][kSide * kUnitBytes];
};

// Sixteen rows of the left side. The last units, if they do not fill a register, are apart, with zeros
// behind.
struct Left {
  const std::byte* data;
  std::ptrdiff_t stride;  // bytes
  const std::byte* last;
  std::ptrdiff_t last_stride;
};

HWY_INLINE bool is_even(const std::byte* const* rows, std::ptrdiff_t stride) {
  const __m512i step = _mm512_set1_epi64(stride),
                first = _mm512_set1_epi64(reinterpret_cast<std::intptr_t>(rows[0]));
  const __m512i low = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
                high = _mm512_set_epi64(15, 14, 13, 12, 11, 10, 9, 8);
  const auto same = [&](const std::byte* const* p, __m512i at) {
    return _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(p),
                                   _mm512_add_epi64(first, _mm512_mullo_epi64(at, step)));
  };
  return (same(rows, low) & same(rows + 8, high)) == 0xFF;
}

// Units offset .. offset + units of the rows.
HWY_INLINE Left left_of(const std::byte* const* rows, std::ptrdiff_t offset, std::ptrdiff_t units,
                        Copies& copies) {
  const std::ptrdiff_t whole = units / kSide * kSide, stride = rows[1] - rows[0];
  const __mmask16 some = static_cast<__mmask16>((1U << (units - whole)) - 1U);
  Left left{rows[0] + offset, stride, &copies.last[0][0], sizeof(copies.last[0])};
  const bool in_place = is_even(rows, stride);
  if (!in_place) left.data = &copies.rows[0][0], left.stride = sizeof(copies.rows[0]);
  for (int r = 0; r < kSide && !in_place; ++r)
    for (std::ptrdiff_t u = 0; u < whole; u += kSide)
      _mm512_store_si512(copies.rows[r] + u * kUnitBytes,
                         _mm512_loadu_si512(rows[r] + offset + u * kUnitBytes));
  for (int r = 0; r < kSide && some != 0; ++r)
    _mm512_store_si512(copies.last[r], _mm512_maskz_loadu_epi32(some, rows[r] + offset + whole * kUnitBytes));
  // GCC 12 does not know that loading a register reads memory.
  __asm__ volatile("" ::: "memory");
  return left;
}

// Sixteen units of each side.
template <class T, int kAcross, bool kBoth>
HWY_INLINE void Step(const std::byte* above, std::ptrdiff_t above_stride, const std::byte* under,
                     std::ptrdiff_t under_stride, const std::byte* b, std::ptrdiff_t b_stride) {
  _tile_loadd(6, b, b_stride);
  _tile_loadd(4, above, above_stride);
  T::above_left();
  if constexpr (kAcross == 2) {
    _tile_loadd(7, b + kSide * kUnitBytes, b_stride);
    T::above_right();
  }
  if constexpr (kBoth) {
    _tile_loadd(5, under, under_stride);
    T::below_left();
    if constexpr (kAcross == 2) T::below_right();
  }
}

// kAcross registers of columns from `b` and `sums` on, of panels that are `width` columns wide.
template <class T, int kAcross, bool kBoth>
HWY_INLINE void Columns(const TileJob& t, int width, const std::byte* b, std::byte* sums) {
  const std::ptrdiff_t b_stride = std::ptrdiff_t{width} * kUnitBytes, below = kSide * b_stride;
  constexpr std::ptrdiff_t kNext = kSide * kUnitBytes;  // of columns
  if (t.adds) {
    _tile_loadd(0, sums, b_stride);
    if constexpr (kAcross == 2) _tile_loadd(1, sums + kNext, b_stride);
    if constexpr (kBoth) _tile_loadd(2, sums + below, b_stride);
    if constexpr (kBoth && kAcross == 2) _tile_loadd(3, sums + below + kNext, b_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  Copies copies[2];
  for (int tap = 0; tap < t.taps; ++tap) {
    const std::byte* const* rows = t.rows + std::ptrdiff_t{tap} * kAmxRows;
    for (std::ptrdiff_t from = 0; from < t.units; from += kStretch) {
      const std::ptrdiff_t units = t.units - from < kStretch ? t.units - from : kStretch;
      const std::ptrdiff_t offset = t.offset + from * kUnitBytes;
      const Left above = left_of(rows, offset, units, copies[0]);
      const Left under = kBoth ? left_of(rows + kSide, offset, units, copies[1]) : Left{};
      std::ptrdiff_t u = 0;
      for (; u + kSide <= units; u += kSide, b += kSide * b_stride)
        Step<T, kAcross, kBoth>(above.data + u * kUnitBytes, above.stride, under.data + u * kUnitBytes,
                                under.stride, b, b_stride);
      if (u < units) {
        Step<T, kAcross, kBoth>(above.last, above.last_stride, under.last, under.last_stride, b, b_stride);
        b += (units - u) * b_stride;
      }
    }
  }
  _tile_stored(0, sums, b_stride);
  if constexpr (kAcross == 2) _tile_stored(1, sums + kNext, b_stride);
  if constexpr (kBoth) _tile_stored(2, sums + below, b_stride);
  if constexpr (kBoth && kAcross == 2) _tile_stored(3, sums + below + kNext, b_stride);
}

template <class T, int kVec, bool kBoth>
HWY_INLINE void Panel(const TileJob& t) {
  constexpr int kWidth = kVec * kSide;
  for (int c = 0; c + 2 <= kVec; c += 2)
    Columns<T, 2, kBoth>(t, kWidth, t.b + std::ptrdiff_t{c} * kSide * kUnitBytes,
                         t.sums + std::ptrdiff_t{c} * kSide * kUnitBytes);
  if constexpr (kVec % 2 == 1)
    Columns<T, 1, kBoth>(t, kWidth, t.b + std::ptrdiff_t{kVec - 1} * kSide * kUnitBytes,
                         t.sums + std::ptrdiff_t{kVec - 1} * kSide * kUnitBytes);
}

template <class T, int kVec>
void AmxTile(const TileJob& t) {
  if (t.count > kSide)
    Panel<T, kVec, true>(t);
  else
    Panel<T, kVec, false>(t);
}

template <class T>
constexpr Tiles kTiles = {{AmxTile<T, 1>, AmxTile<T, 2>, AmxTile<T, 3>, AmxTile<T, 4>}, Begin, End};

template <class T>
void Spin(std::int64_t rounds, std::byte* sums) {
  Begin();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, sums, 64);
  _tile_loadd(5, sums, 64);
  _tile_loadd(6, sums, 64);
  _tile_loadd(7, sums, 64);
  for (std::int64_t i = 0; i < rounds * kSpins / 4; ++i) {
    T::above_left();
    T::above_right();
    T::below_left();
    T::below_right();
  }
  _tile_stored(0, sums, 64);
  End();
}

HWY_POP_ATTRIBUTES

// Linux gives a process the registers' room (8 KiB for each thread) when it asks for it.
bool is_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24, kInt8 = 1U << 25, kAll = kBf16 | kTile | kInt8;
  if ((d & kAll) != kAll) return false;
  // What surrounds the tiles' products is AVX-512 of these kinds.
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && is_granted();
}

}  // namespace

const Tiles* amx_tiles(Way way) {
  static const bool has = has_amx();
  if (!has) return nullptr;
  return way == Way::amx_int8 ? &kTiles<Int8> : &kTiles<Bf16>;
}

void amx_spin(Way way, std::int64_t rounds, std::byte* sums) {
  if (way == Way::amx_int8)
    Spin<Int8>(rounds, sums);
  else
    Spin<Bf16>(rounds, sums);
}
#else
const Tiles* amx_tiles(Way) {
  return nullptr;
}
void amx_spin(Way, std::int64_t, std::byte*) {}
#endif

}  // namespace sam2unet::ops::lowp
