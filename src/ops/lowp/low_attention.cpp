// Window attention by the same product: scores = queries x keys transposed, softmax of each row, mixed =
// weights x values. A task is a block of queries of one head and window. Only real tokens are visited; what
// the padded ones of a window add to the softmax is one key whose score is raised by the log of their number.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "ops/lowp/low_ops.h"
#include "ops/lowp/parallel.h"

namespace sam2unet::ops::lowp {
namespace {

using Index = std::int64_t;

Index up_to(Index n, Index unit) {
  return (n + unit - 1) / unit * unit;
}

// Most queries of a task: their scores against all keys lie in the second cache.
constexpr Index kMaxQueries = 128;

struct Sizes {
  Index keys = 0;        // the padded ones' among them
  Index keys_wide = 0;   // whole vectors
  Index key_units = 0;   // of the weights as a left side
  Index channels = 0;    // of a head
  Index units = 0;       // of a head as a left side
  Index value_wide = 0;  // whole vectors
  Index queries = 0;     // of a task
  Index blocks = 0;      // of queries: tasks of a window's head
};

Sizes sizes_of(Index tokens, Index queries, Index channels, Way way) {
  const Index unit = unit_of(way), tile = rows_of(way);
  Sizes z;
  z.keys = tokens + 1;
  z.keys_wide = up_to(z.keys, kLanes);
  z.key_units = (z.keys + unit - 1) / unit;
  z.channels = channels;
  z.units = (channels + unit - 1) / unit;
  z.value_wide = up_to(channels, kLanes);
  z.blocks = (queries + kMaxQueries - 1) / kMaxQueries;
  z.queries = up_to((queries + z.blocks - 1) / z.blocks, tile);
  return z;
}

struct Scratch {
  std::byte *keys, *values, *scores, *weights, *pooled, *sums, *bias;
  float* scale;
  const std::byte **key_rows, **value_rows, **query_rows, **weight_rows;
  std::byte **score_rows, **out_rows;
};

// Memory of a thread; with nullptr only its size.
Index carve(std::byte* base, const Sizes& z, Way way, Scratch& s) {
  const Index slack = is_amx(way) ? kAmxSlack : 0;
  Index at = 0;
  const auto next = [&](Index bytes) { return base + std::exchange(at, at + up_to(bytes, 64)); };
  s.keys = next(z.units * z.keys_wide * 4 + slack);
  s.values = next(z.key_units * z.value_wide * 4 + slack);
  s.scores = next(z.queries * z.keys_wide * 4 + 64);
  s.weights = next(z.queries * z.key_units * 4 + 64);
  s.pooled = next(z.queries * z.units * 4);
  s.sums = next(sums_bytes(static_cast<int>(z.queries)));
  s.bias = next((std::max(z.keys_wide, z.value_wide) + kLanes) * 4);
  s.scale = reinterpret_cast<float*>(next(z.queries * 4));
  const Index pointer = sizeof(void*);
  s.key_rows = reinterpret_cast<const std::byte**>(next(z.keys * pointer));
  s.value_rows = reinterpret_cast<const std::byte**>(next(z.keys * pointer));
  s.query_rows = reinterpret_cast<const std::byte**>(next(z.queries * pointer));
  s.weight_rows = reinterpret_cast<const std::byte**>(next(z.queries * pointer));
  s.score_rows = reinterpret_cast<std::byte**>(next(z.queries * pointer));
  s.out_rows = reinterpret_cast<std::byte**>(next(z.queries * pointer));
  return at;
}

// Queries against the packed keys, the softmax, and its weights against the packed values.
void attend(const Scratch& s, const Sizes& z, Index n, Index count, float pad_score, Way way, Element type) {
  for (Index i = 0; i < up_to(count, rows_of(way)); ++i) {
    const Index row = std::min(i, count - 1);
    s.query_rows[i] = s.query_rows[row];
    s.weight_rows[i] = s.weights + row * z.key_units * 4;
    if (i < count) s.score_rows[i] = s.scores + i * z.keys_wide * 4;
  }
  BlockJob j;
  j.way = way;
  j.rows = s.query_rows;
  j.count = static_cast<int>(count);
  j.units = static_cast<int>(z.units);
  j.panels = s.keys;
  j.columns = static_cast<int>(up_to(n, kLanes));
  j.last_panel = (j.columns + kColumns - 1) / kColumns;
  j.bias = reinterpret_cast<const float*>(s.bias);
  j.out = s.score_rows;
  j.sums = s.sums;
  j.tiles = native_tiles(way);
  product_block(j);

  const Index units = (n + unit_of(way) - 1) / unit_of(way);
  const float root = 1.0F / std::sqrt(static_cast<float>(z.channels));
  for (Index i = 0; i < count; ++i) {
    s.scale[i] = softmax_row(reinterpret_cast<const float*>(s.score_rows[i]), static_cast<int>(n),
                             static_cast<int>(units * unit_of(way)), root, pad_score, type,
                             s.weights + i * z.key_units * 4);
  }
  j.rows = s.weight_rows;
  j.units = static_cast<int>(units);
  j.panels = s.values;
  j.columns = static_cast<int>(z.channels);
  j.last_panel = (j.columns + kColumns - 1) / kColumns;
  j.row_scale = s.scale;
  j.out = s.out_rows;
  j.out_type = type;
  product_block(j);
}

// Rows of whole units, with zeros behind the channels, in place of the keys' own.
void copy_keys(const Scratch& s, const Sizes& z, Index n, Index unit, Element type, std::byte* to) {
  for (Index k = 0; k < n; ++k, to += z.units * 4) {
    convert_rows({s.key_rows[k], 0, type}, 1, z.channels, z.units * unit, {to, 0, type});
    s.key_rows[k] = to;
  }
}

// Keys [units][width] panel by panel, and values, of the `n` rows that the scratch points to.
void pack(const Scratch& s, const Sizes& z, Index n, Way way, Element type) {
  std::byte* to = s.keys;
  for (Index first = 0; first < n; first += kColumns) {
    const Index width = std::min<Index>(kColumns, up_to(n - first, kLanes));
    transpose_units(s.key_rows + first, static_cast<int>(std::min<Index>(kColumns, n - first)),
                    static_cast<int>(z.units), static_cast<int>(width), to);
    to += z.units * width * 4;
  }
  if (is_amx(way)) std::memset(to, 0, kAmxSlack);
  const Index units = (n + unit_of(way) - 1) / unit_of(way);
  to = s.values;
  // Pointers to the channels of each panel are those of the head, moved on.
  for (Index c = 0; c < z.channels; c += kColumns) {
    const Index width = std::min<Index>(kColumns, up_to(z.channels - c, kLanes));
    pack_values(s.value_rows, static_cast<int>(n), static_cast<int>(units * unit_of(way)),
                static_cast<int>(c), static_cast<int>(std::min<Index>(z.channels - c, kColumns)), type, way,
                static_cast<int>(width), to);
    to += units * width * 4;
  }
  if (is_amx(way)) std::memset(to, 0, kAmxSlack);
}

}  // namespace

LowTensor LowOps::window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g) {
  const Way way = numerics_.bf16;
  const Element type = numerics_.activations();
  const Index size = size_of(type), unit = unit_of(way);
  const Extent e = qkv.extent();
  const Index dim = e.c / 3, d = dim / g.heads, p = g.q_pool;
  if (qkv.type() != type || qkv.parts() != 1) return window_attention(converted(qkv, type), w, g);
  const Index win_h = g.window > 0 ? g.window : e.h, win_w = g.window > 0 ? g.window : e.w;
  const Index rows = (e.h + win_h - 1) / win_h, columns = (e.w + win_w - 1) / win_w;
  const Index high = std::min(win_h, e.h), wide = std::min(win_w, e.w);
  const Sizes z = sizes_of(high * wide, (high / p) * (wide / p), d, way);
  Tensor out = make({e.b, e.h / p, e.w / p, dim}, type);
  Scratch measure{};
  const Index each = carve(nullptr, z, way, measure);
  const SharedBlock scratch = shares(each);
  // The bias of keys and values as activations, for the padded tokens.
  const SharedBlock pad(arena_, static_cast<std::size_t>(3 * dim * size + 64));
  convert_rows({reinterpret_cast<const std::byte*>(w.bias.data()), 0, Element::f32}, 1, 3 * dim, 3 * dim,
               {pad.data(), 0, type});
  // A head of an odd number of channels has no whole units: its rows are copied.
  const bool is_copied = d % unit != 0 || (takes_bf16(way) && qkv.part(0).stride % 4 != 0);
  const Index copy_bytes = is_copied ? up_to(z.keys * z.units * 4, 64) : 0;
  const SharedBlock copies = shares(copy_bytes + 64);

  parallel_tasks(threads_, e.b * rows * columns * g.heads * z.blocks, [&](Index task, int thread) {
    const Index part = task % z.blocks, head = task / z.blocks % g.heads, window = task / z.blocks / g.heads;
    const Index b = window / (rows * columns), y0 = window / columns % rows * win_h,
                x0 = window % columns * win_w;
    const Index real_h = std::min(win_h, e.h - y0), real_w = std::min(win_w, e.w - x0);
    const Index query_w = real_w / p, real_queries = real_h / p * query_w;
    const Index first = part * z.queries, count = std::min(z.queries, real_queries - first);
    if (count <= 0) return;  // a window cut by the edge has fewer queries
    Scratch s{};
    carve(scratch.data() + thread * up_to(each, 64), z, way, s);
    std::memset(s.bias, 0, static_cast<std::size_t>((std::max(z.keys_wide, z.value_wide) + kLanes) * 4));
    const auto token = [&](Index y, Index x) -> const std::byte* {
      return qkv.pixel(0, (b * e.h + y) * e.w + x) + head * d * size;
    };
    Index n = 0;
    for (Index y = y0; y < y0 + real_h; ++y)
      for (Index x = x0; x < x0 + real_w; ++x, ++n) {
        s.key_rows[n] = token(y, x) + dim * size;
        s.value_rows[n] = token(y, x) + 2 * dim * size;
      }
    const Index pads = win_h * win_w - real_h * real_w;
    if (pads > 0) {
      s.key_rows[n] = pad.data() + (dim + head * d) * size;
      s.value_rows[n++] = pad.data() + (2 * dim + head * d) * size;
    }
    if (is_copied) copy_keys(s, z, n, unit, type, copies.data() + thread * up_to(copy_bytes + 64, 64));
    pack(s, z, n, way, type);
    for (Index i = 0; i < count; ++i) {
      const Index oy = (first + i) / query_w, ox = (first + i) % query_w;
      s.query_rows[i] = token(y0 + oy * p, x0 + ox * p);
      if (p > 1 || is_copied) {
        std::byte* row = s.pooled + i * z.units * 4;
        if (z.units * unit > d) std::memset(row, 0, static_cast<std::size_t>(z.units * 4));
        if (p > 1) {
          const std::byte* four[] = {s.query_rows[i], token(y0 + oy * p, x0 + ox * p + 1),
                                     token(y0 + oy * p + 1, x0 + ox * p),
                                     token(y0 + oy * p + 1, x0 + ox * p + 1)};
          max_of_four(four, d, type, row);
        } else {
          std::memcpy(row, s.query_rows[i], static_cast<std::size_t>(d * size));
        }
        s.query_rows[i] = row;
      }
      s.out_rows[i] = out.pixel(0, (b * (e.h / p) + y0 / p + oy) * (e.w / p) + x0 / p + ox) + head * d * size;
    }
    attend(s, z, n, count, pads > 0 ? std::log(static_cast<float>(pads)) : 0.0F, way, type);
  });
  return out;
}

}  // namespace sam2unet::ops::lowp
