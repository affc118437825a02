// The kernels of the low-precision backend. One product does everything: linear layers, convolutions
// (indirect: a pointer per output pixel and kernel tap), both products of attention. Values of its left side
// come in units of four bytes, which the instructions want: one float32, two bfloat16 or four bytes of
// channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/cpu/kernels.h"

namespace sam2unet::ops::lowp {

inline constexpr int kColumns = 64;  // of a panel: output channels
inline constexpr int kLanes = 16;    // widths of panels are multiples of it

/// Of an activation in memory.
enum class Element : std::uint8_t { f32, bf16 };
inline constexpr std::int64_t size_of(Element e) {
  return e == Element::f32 ? 4 : 2;
}

/// How weights lie in memory.
enum class Storage : std::uint8_t { f32, bf16, int8 };
inline constexpr int size_of(Storage s) {
  return s == Storage::f32 ? 4 : s == Storage::bf16 ? 2 : 1;
}

/// What multiplies.
enum class Way : std::uint8_t {
  widened,   ///< float32 multiply-adds on every processor; weights are widened panel by panel
  dot_bf16,  ///< vdpbf16ps
  dot_int8,  ///< vpdpbusd: unsigned activations, signed weights
  amx_bf16,  ///< tdpbf16ps
  amx_int8,  ///< tdpbusd, the same sums as dot_int8
};
inline constexpr bool takes_bf16(Way way) {
  return way == Way::dot_bf16 || way == Way::amx_bf16;
}
inline constexpr bool takes_bytes(Way way) {
  return way == Way::dot_int8 || way == Way::amx_int8;
}
/// Channels in a unit of the left side.
inline constexpr int unit_of(Way way) {
  return takes_bytes(way) ? 4 : takes_bf16(way) ? 2 : 1;
}
inline constexpr bool is_amx(Way way) {
  return way == Way::amx_bf16 || way == Way::amx_int8;
}
inline constexpr int kVectorRows = 6, kAmxRows = 32, kMaxRows = kAmxRows;
/// Rows of a tile: output pixels whose sums the registers hold.
inline constexpr int rows_of(Way way) {
  return is_amx(way) ? kAmxRows : kVectorRows;
}

/// What happens to a product before it is stored.
enum class Finish : std::uint8_t {
  none,
  gelu,
  relu,
  add,       ///< added + result
  gelu_add,  ///< added + gelu(result)
  add_relu,  ///< relu(added + result)
};

/// A tile: rows_of(way) rows against one panel.
struct TileJob {
  const std::byte* const* rows = nullptr;  ///< [taps][rows]
  std::ptrdiff_t offset = 0;               ///< bytes to add to each
  int taps = 1;
  int units = 0;                 ///< of each tap
  const std::byte* b = nullptr;  ///< [taps * units][width][4 bytes]
  std::byte* sums = nullptr;     ///< [rows][width] float32, or int32 of bytes
  bool adds = false;             ///< to what is in `sums`
  int count = 0;                 ///< rows that are wanted; the others' sums may be left as they are
};
using Tile = void (*)(const TileJob&);
/// The tiles of a native way.
struct Tiles {
  Tile by_vectors[4];  ///< for panels of one to four vectors of columns
  void (*begin)();     ///< before the first tile of a thread's block, and after the last
  void (*end)();
};

/// Several tiles of rows against several panels. The pointers are the caller's; all are valid for whole tiles
/// (rows that are none repeat another), except `out` and `added`, which have `count` entries.
struct BlockJob {
  Way way = Way::widened;
  Storage storage = Storage::f32;
  Finish finish = Finish::none;
  Element out_type = Element::f32, added_type = Element::f32;
  int count = 0;  ///< rows
  int taps = 1, units = 0;
  int columns = 0;  ///< of the whole matrix, N
  int first_panel = 0, last_panel = 0;
  const std::byte* const* rows = nullptr;  ///< [tiles][taps][rows_of(way)]
  const std::byte* panels = nullptr;       ///< of the whole matrix
  const float* bias = nullptr;             ///< [N up to kLanes], and the next two as long
  /// Of an int8 product: out = row_scale column_scale sum + row_low column_sum + bias, where column_sum is
  /// the sum of a column's weights, scaled. Without column_scale: row_scale sum + bias.
  const float* column_scale = nullptr;
  const float* column_sum = nullptr;
  const float* row_scale = nullptr;  ///< [count] or none
  const float* row_low = nullptr;
  std::byte* const* out = nullptr;
  const std::byte* const* added = nullptr;
  std::byte* sums = nullptr;     ///< scratch: sums_bytes
  std::byte* widened = nullptr;  ///< scratch of Way::widened: widened_bytes
  const Tiles* tiles = nullptr;  ///< of a native way
};
/// Room for the sums of whole tiles of `count` rows, on every way.
std::int64_t sums_bytes(int count);
std::int64_t widened_bytes(int taps, int units);
void product_block(const BlockJob& job);

/// What a tile of AMX reads of units behind the last one; they are multiplied by zeros, so any numbers do.
inline constexpr std::int64_t kAmxSlack = 15 * kColumns * 4;
/// Bytes of a packed matrix of `k` units and `columns`.
std::int64_t panel_bytes(Way way, Storage storage, std::int64_t units, int columns);

/// The tiles of a native way; nullptr where the processor has none.
const Tiles* native_tiles(Way way);
const Tiles* amx_tiles(Way way);

/// `rounds` times kSpins instructions of a native way that wait for nothing; `sums` has as many vectors of 64
/// bytes. For `peak_gops`. An instruction of AMX does as much as 256 others.
inline constexpr int kSpins = kVectorRows * 4;
void native_spin(Way way, std::int64_t rounds, std::byte* sums);
void amx_spin(Way way, std::int64_t rounds, std::byte* sums);

// Rows of channels.

struct RowView {
  const std::byte* data = nullptr;
  std::int64_t stride = 0;  ///< bytes from one row to the next
  Element type = Element::f32;
};
struct RowTarget {
  std::byte* data = nullptr;
  std::int64_t stride = 0;
  Element type = Element::f32;
};

/// `padded` >= c elements are written, zeros behind the c.
void convert_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                  const RowTarget& to);
/// What bfloat16 holds of float32 rows, and of what that leaves over.
void split_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                const RowTarget& high, const RowTarget& low);
/// (x - mean) / sqrt(variance + 1e-6) * gamma + beta, of float32 rows.
void norm_rows(const RowView& from, const float* gamma, const float* beta, std::int64_t rows, std::int64_t c,
               std::int64_t padded, const RowTarget& to);
/// What a row is quantised to: x = low + scale q, q in 0 .. 255.
struct Quantised {
  float scale = 0.0F, low = 0.0F;
};
/// q as bytes, or as float32 for Way::widened; a row's own smallest and largest value are 0 and 255.
void quantise_rows(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                   const RowTarget& to, bool as_bytes, float* scale, float* low);
/// The same with given numbers for all rows.
void quantise_rows_by(const RowView& from, std::int64_t rows, std::int64_t c, std::int64_t padded,
                      const RowTarget& to, bool as_bytes, const Quantised& by);
struct Extremes {
  float low = 0.0F, high = 0.0F;
};
/// Smallest and largest of the values and 0.
Extremes extremes(const RowView& from, std::int64_t rows, std::int64_t c);
/// Weights as they are stored, side by side; int8 are round(v / scale), of which the sum is returned.
std::int64_t store_weights(std::span<const float> values, Storage storage, float scale, std::byte* out);
/// In place, float32.
void gelu_row(float* x, std::int64_t n);
void relu_row(float* x, std::int64_t n);
/// Elementwise maximum of four rows, of one type.
void max_of_four(const std::byte* const* rows, std::int64_t c, Element type, std::byte* out);
/// One output row of a bilinear resize between input rows [.., c] of one stride.
void bilinear_row(const RowView& above, const RowView& below, float weight_below,
                  std::span<const kernels::BilinearTap> taps, std::int64_t c, const RowTarget& out);

// Attention.

/// out[u][row] = 32-bit unit u of row, for `count` rows; [units][width], zeros from `count` to width.
void transpose_units(const std::byte* const* rows, int count, int units, int width, std::byte* out);
/// Values as the right side of a product: [keys][width] float32, or [keys/2][width][2] bfloat16 for dot_bf16;
/// zeros behind the last key (up to `keys_padded`) and channel.
/// The channels begin at `first` of each row.
void pack_values(const std::byte* const* rows, int count, int keys_padded, int first, int channels,
                 Element type, Way way, int width, std::byte* out);
/// exp(scale (score - max)) over `keys` float32 scores as the left side of a product, zeros up to `padded`;
/// `pad_score` is added to the last score first. Returns 1 / sum. In place for float32.
float softmax_row(const float* scores, int keys, int padded, float scale, float pad_score, Element type,
                  std::byte* out);

}  // namespace sam2unet::ops::lowp
