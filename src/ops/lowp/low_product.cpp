// Linear layers and convolutions: what a product's left side is made of, and how its rows and columns are
// shared out.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "ops/cpu/threads.h"
#include "ops/lowp/low_ops.h"
#include "ops/lowp/parallel.h"

namespace sam2unet::ops::lowp {
namespace {

using Index = std::int64_t;

// Rows of a block: with so many, reading a panel of weights costs little beside using it.
constexpr Index kBlockRows = 240;
// With fewer where something is kept between two products.
constexpr Index kFusedRows = 96;

Index up_to(Index n, Index unit) {
  return (n + unit - 1) / unit * unit;
}

// Tiles of each block, so that all threads have alike to do.
Index tiles_of_block(Index tiles, Index most_rows, Index tile, int threads) {
  const Index most = most_rows / tile;
  Index blocks = (tiles + most - 1) / most;
  if (blocks > 1) blocks = up_to(blocks, threads);
  return (tiles + blocks - 1) / blocks;
}

bool is_direct(const Matrix& w, Element type) {
  if (w.storage == Storage::int8) return false;
  return w.way == Way::widened ? type == Element::f32 : type == Element::bf16 && w.tap_channels() % 2 == 0;
}
Index left_stride(const Matrix& w) {
  return Index{w.units()} * 4;
}
Element left_type(const Matrix& w) {
  return takes_bf16(w.way) ? Element::bf16 : Element::f32;
}
int padded_channels(const Matrix& w) {
  return w.units() * unit_of(w.way);
}

// `count` rows as the left side of a linear layer; converted into the scratch where they must be.
void point_rows(const Matrix& w, RowView from, Index count, BlockScratch& s) {
  if (!is_direct(w, from.type)) {
    const RowTarget to{s.left, left_stride(w), left_type(w)};
    if (w.storage == Storage::int8)
      quantise_rows(from, count, w.in, padded_channels(w), to, takes_bytes(w.way), s.scale, s.low);
    else
      convert_rows(from, count, w.in, padded_channels(w), to);
    from = {s.left, to.stride, to.type};
  }
  for (Index i = 0; i < up_to(count, rows_of(w.way)); ++i)
    s.rows[i] = from.data + std::min(i, count - 1) * from.stride;
}

void point_out(const RowTarget& to, Index count, BlockScratch& s) {
  for (Index i = 0; i < count; ++i) s.out[i] = to.data + i * to.stride;
}

BlockJob job_of(const Matrix& w, const BlockScratch& s, Index count) {
  BlockJob j;
  j.way = w.way;
  j.storage = w.storage;
  j.rows = s.rows;
  j.count = static_cast<int>(count);
  j.taps = w.taps();
  j.units = w.units();
  j.panels = w.panels.data();
  j.columns = w.out;
  j.last_panel = (w.out + kColumns - 1) / kColumns;
  j.bias = w.bias.data();
  if (w.storage == Storage::int8) {
    j.column_scale = w.column_scale.data();
    j.column_sum = w.column_sum.data();
    j.row_scale = s.scale;
    j.row_low = s.low;
  }
  j.out = s.out;
  j.sums = s.sums;
  j.widened = s.widened;
  j.tiles = native_tiles(w.way);
  return j;
}

}  // namespace

std::int64_t BlockSizes::bytes() const {
  // Rows up to a whole tile of either product.
  const Index pointers = ((count + kMaxRows) * taps + 2 * count) * Index{sizeof(void*)};
  return up_to(left, 64) + up_to(hidden, 64) + sums_bytes(static_cast<int>(count)) + up_to(widened, 64) +
         2 * up_to(count * 4, 64) + up_to(pointers, 64);
}

namespace {

BlockScratch carve(std::byte* p, const BlockSizes& sizes) {
  const auto next = [&p](Index bytes) { return std::exchange(p, p + up_to(bytes, 64)); };
  BlockScratch s;
  s.left = next(sizes.left);
  s.hidden = next(sizes.hidden);
  s.sums = next(sums_bytes(static_cast<int>(sizes.count)));
  s.widened = next(sizes.widened);
  s.scale = reinterpret_cast<float*>(next(sizes.count * 4));
  s.low = reinterpret_cast<float*>(next(sizes.count * 4));
  s.rows = reinterpret_cast<const std::byte**>(p);
  s.out = reinterpret_cast<std::byte**>(p) + (sizes.count + kMaxRows) * sizes.taps;
  s.added = const_cast<const std::byte**>(s.out + sizes.count);
  return s;
}

Index widened_for(const Matrix& w) {
  return w.way == Way::widened ? widened_bytes(w.taps(), w.units()) : 0;
}

}  // namespace

SharedBlock LowOps::shares(Index each) {
  return {arena_, static_cast<std::size_t>(up_to(each, 64) * threads_)};
}

// Everything that one product needs of its surroundings.
struct LowOps::Task {
  const Matrix& w;
  const Left& left;
  Index pixels = 0;
  Finish finish = Finish::none;
  const Tensor& out;
  const Tensor* added = nullptr;
  bool is_uniform = false;  // one scale for all pixels
  Extent in = {.h = 0};     // of a convolution, else its height is 0
  Index image_stride = 0;   // patches: bytes from one picture to the next, and from row to row
  Index row_stride = 0;
};

namespace {

// Output pixels first .. first + count of a stride-1 convolution: a pointer for each tap and source.
void point_taps(const Matrix& w, const Left& left, const Extent& in, Index first, Index count,
                const std::byte** rows) {
  const Kernel k = w.kernel;
  const Index tile = rows_of(w.way);
  std::array<Index, kMaxRows> pixel{}, y{}, x{};
  for (Index i = 0; i < count; i += tile) {
    for (Index r = 0; r < tile; ++r) {
      const Index m = first + std::min(i + r, count - 1);
      const auto at = static_cast<std::size_t>(r);
      pixel[at] = m;
      x[at] = m % in.w;
      y[at] = m / in.w % in.h;
    }
    for (int ky = 0; ky < k.h; ++ky)
      for (int kx = 0; kx < k.w; ++kx) {
        const Index dy = ky * k.dilation - k.pad_h(), dx = kx * k.dilation - k.pad_w(), step = dy * in.w + dx;
        for (int s = 0; s < w.sources; ++s, rows += tile) {
          const auto source = left.sources[static_cast<std::size_t>(s)];
          for (Index r = 0; r < tile; ++r) {
            const auto at = static_cast<std::size_t>(r);
            const bool is_inside = static_cast<std::size_t>(y[at] + dy) < static_cast<std::size_t>(in.h) &&
                                   static_cast<std::size_t>(x[at] + dx) < static_cast<std::size_t>(in.w);
            rows[r] = is_inside ? source.data + (pixel[at] + step) * source.stride : left.nothing;
          }
        }
      }
  }
}

}  // namespace

void LowOps::run_blocks(const Task& t) {
  const Matrix& w = t.w;
  const Index tile = rows_of(w.way), tiles = (t.pixels + tile - 1) / tile,
              per_block = tiles_of_block(tiles, kBlockRows, tile, threads_);
  const Index blocks = (tiles + per_block - 1) / per_block;
  const Index panels = (w.out + kColumns - 1) / kColumns;
  // Few rows: the columns are shared out too.
  const Index groups = blocks >= 4 * threads_ ? 1 : std::min(panels, (4 * threads_ + blocks - 1) / blocks);
  const BlockSizes sizes{per_block * tile, 0, 0, widened_for(w), w.taps()};
  const Index each = up_to(sizes.bytes(), 64);
  const SharedBlock scratch = shares(each);
  parallel_tasks(threads_, blocks * groups, [&](Index task, int thread) {
    BlockScratch s = carve(scratch.data() + thread * each, sizes);
    const Index first = task / groups * sizes.count, count = std::min(sizes.count, t.pixels - first);
    const Index group = task % groups;
    const auto& source = t.left.sources[0];
    if (t.in.h == 0) {
      for (Index i = 0; i < up_to(count, tile); ++i)
        s.rows[i] = source.data + (first + std::min(i, count - 1)) * source.stride;
    } else if (t.row_stride != 0) {  // patches: 7 rows of 7 pixels, four pixels apart
      for (Index i = 0; i < up_to(count, tile); ++i) {
        const Index m = first + std::min(i, count - 1), x = m % t.in.w, y = m / t.in.w % t.in.h;
        const std::byte* at =
            source.data + m / (t.in.w * t.in.h) * t.image_stride + 4 * y * t.row_stride + x * source.stride;
        for (Index ky = 0; ky < 7; ++ky)
          s.rows[(i / tile * 7 + ky) * tile + i % tile] = at + ky * t.row_stride;
      }
    } else {
      point_taps(w, t.left, t.in, first, count, s.rows);
    }
    for (Index i = 0; i < count; ++i) s.out[i] = t.out.pixel(0, first + i);
    BlockJob j = job_of(w, s, count);
    j.row_scale = t.left.scale == nullptr ? nullptr : t.left.scale + (t.is_uniform ? 0 : first);
    j.row_low = t.left.low == nullptr ? nullptr : t.left.low + (t.is_uniform ? 0 : first);
    j.first_panel = static_cast<int>(panels * group / groups);
    j.last_panel = static_cast<int>(panels * (group + 1) / groups);
    j.finish = t.finish;
    j.out_type = t.out.type();
    if (t.added != nullptr) {
      for (Index i = 0; i < count; ++i) s.added[i] = t.added->pixel(0, first + i);
      j.added = s.added;
      j.added_type = t.added->type();
    }
    product_block(j);
  });
}

// Each source lies within one part of the tensor.
bool LowOps::fits(const Tensor& x, const Matrix& w) const {
  const Index c = w.tap_channels();
  Index at = 0;
  for (std::size_t i = 0; i < x.parts(); at += x.part(i++).c) {
    if (at % c != 0 || x.part(i).c % c != 0) return false;
  }
  return at == w.in;
}

// Of a tensor that fits: where the channels of each source are.
Left LowOps::left_of(const Tensor& x, const Matrix& w) {
  if (!fits(x, w)) return left_of(converted(x, x.type()), w);
  Left left;
  const Index c = w.tap_channels(), size = size_of(x.type());
  std::size_t source = 0;
  for (std::size_t i = 0; i < x.parts(); ++i)
    for (Index at = 0; at < x.part(i).c; at += c, ++source)
      left.sources[source] = {x.pixel(i, 0) + at * size, x.part(i).stride};
  const Index stride = left_stride(w), pixels = x.extent().pixels();
  const bool direct = is_direct(w, x.type());
  const Index converted_bytes = direct ? 0 : up_to(pixels * stride * w.sources, 64);
  if (direct && w.taps() == 1) {
    left.owned = x.part(0).block;
    return left;
  }
  left.owned = SharedBlock(arena_, static_cast<std::size_t>(converted_bytes + stride));
  std::byte* nothing = left.owned.data() + converted_bytes;
  std::memset(nothing, 0, static_cast<std::size_t>(stride));
  left.nothing = nothing;
  if (direct) return left;
  parallel_rows(threads_, pixels, [&](Index first, Index last) {
    for (Index s = 0; s < w.sources; ++s) {
      const auto& from = left.sources[static_cast<std::size_t>(s)];
      convert_rows({from.data + first * from.stride, from.stride, x.type()}, last - first, c,
                   padded_channels(w),
                   {left.owned.data() + (first * w.sources + s) * stride, w.sources * stride, left_type(w)});
    }
  });
  for (Index s = 0; s < w.sources; ++s)
    left.sources[static_cast<std::size_t>(s)] = {left.owned.data() + s * stride, w.sources * stride};
  return left;
}

Left LowOps::split(const Tensor& x, const Matrix& w) {
  if (x.parts() != 1) return split(converted(x, x.type()), w);
  Left left;
  const Index pixels = x.extent().pixels(), stride = left_stride(w);
  left.owned = SharedBlock(arena_, static_cast<std::size_t>(2 * pixels * stride));
  std::byte *high = left.owned.data(), *low = high + stride;
  parallel_rows(threads_, pixels, [&](Index first, Index last) {
    const Index at = 2 * first * stride;
    split_rows(x.rows(first), last - first, w.tap_channels(), padded_channels(w),
               {high + at, 2 * stride, Element::bf16}, {low + at, 2 * stride, Element::bf16});
  });
  left.sources[0] = left.sources[2] = {high, 2 * stride};
  left.sources[1] = {low, 2 * stride};
  return left;
}

Left LowOps::quantised_by_pixel(const Tensor& x, const Matrix& w) {
  if (x.parts() != 1) return quantised_by_pixel(converted(x, x.type()), w);
  Left left;
  const Index pixels = x.extent().pixels(), stride = left_stride(w), numbers = up_to(pixels * 4, 64);
  left.owned = SharedBlock(arena_, static_cast<std::size_t>(2 * numbers + pixels * stride));
  auto* scale = reinterpret_cast<float*>(left.owned.data());
  auto* low = reinterpret_cast<float*>(left.owned.data() + numbers);
  std::byte* rows = left.owned.data() + 2 * numbers;
  parallel_rows(threads_, pixels, [&](Index first, Index last) {
    quantise_rows(x.rows(first), last - first, w.in, padded_channels(w),
                  {rows + first * stride, stride, Element::f32}, takes_bytes(w.way), scale + first,
                  low + first);
  });
  left.sources[0] = {rows, stride};
  left.scale = scale;
  left.low = low;
  return left;
}

// One scale for the whole picture, since a convolution adds pixels up; 0, which is around it, has a whole
// number.
Left LowOps::quantised_as_one(const Tensor& x, const Matrix& w) {
  if (!fits(x, w)) return quantised_as_one(converted(x, x.type()), w);
  Left left;
  const Index pixels = x.extent().pixels(), stride = left_stride(w), c = w.tap_channels();
  const Index numbers = up_to(kBlockRows * 4, 64), shares_bytes = up_to(threads_ * 64, 64);
  left.owned = SharedBlock(
      arena_, static_cast<std::size_t>(2 * numbers + shares_bytes + stride + pixels * stride * w.sources));
  auto* scale = reinterpret_cast<float*>(left.owned.data());
  auto* low = reinterpret_cast<float*>(left.owned.data() + numbers);
  std::byte* found = left.owned.data() + 2 * numbers;
  std::byte* rows = found + shares_bytes;
  std::byte* nothing = rows + pixels * stride * w.sources;
  for (int i = 0; i < threads_; ++i) *reinterpret_cast<Extremes*>(found + i * 64) = {};
  const Index parts = std::min<Index>(pixels, Index{threads_} * 4);
  parallel_tasks(threads_, parts, [&](Index part, int thread) {
    auto& mine = *reinterpret_cast<Extremes*>(found + thread * 64);
    const Index first = pixels * part / parts, last = pixels * (part + 1) / parts;
    for (std::size_t i = 0; i < x.parts(); ++i) {
      const Extremes e = extremes(x.rows(first, i), last - first, x.part(i).c);
      mine = {std::min(mine.low, e.low), std::max(mine.high, e.high)};
    }
  });
  Extremes all;
  for (int i = 0; i < threads_; ++i) {
    const auto& e = *reinterpret_cast<Extremes*>(found + i * 64);
    all = {std::min(all.low, e.low), std::max(all.high, e.high)};
  }
  Quantised by{(all.high - all.low) / 255.0F, 0.0F};
  const float zero = by.scale > 0.0F ? std::round(-all.low / by.scale) : 0.0F;
  by.low = -zero * by.scale;
  std::fill_n(scale, kBlockRows, by.scale);
  std::fill_n(low, kBlockRows, by.low);
  const bool as_bytes = takes_bytes(w.way);
  if (as_bytes)
    std::memset(nothing, static_cast<int>(zero), static_cast<std::size_t>(stride));
  else
    std::fill_n(reinterpret_cast<float*>(nothing), w.units(), zero);
  parallel_rows(threads_, pixels, [&](Index first, Index last) {
    Index source = 0;
    for (std::size_t i = 0; i < x.parts(); ++i)
      for (Index at = 0; at < x.part(i).c; at += c, ++source) {
        RowView from = x.rows(first, i);
        from.data += at * size_of(x.type());
        quantise_rows_by(from, last - first, c, padded_channels(w),
                         {rows + (first * w.sources + source) * stride, w.sources * stride, Element::f32},
                         as_bytes, by);
      }
  });
  for (Index s = 0; s < w.sources; ++s)
    left.sources[static_cast<std::size_t>(s)] = {rows + s * stride, w.sources * stride};
  left.nothing = nothing;
  left.scale = scale;
  left.low = low;
  return left;
}

LowTensor LowOps::product(const Tensor& x, const Matrix& w, Finish finish, Tensor added) {
  const Extent e = x.extent();
  const bool adds = finish == Finish::add || finish == Finish::gelu_add;
  const Left left = w.is_split                   ? split(x, w)
                    : w.storage == Storage::int8 ? quantised_by_pixel(x, w)
                                                 : left_of(x, w);
  // What GELU gives goes into the next product.
  const Element type = finish != Finish::gelu ? w.result
                       : numerics_.is_int8()  ? Element::bf16  // as between the products of `feed_forward`
                                              : numerics_.activations();
  Tensor out = adds ? writable(std::move(added)) : make({e.b, e.h, e.w, w.out}, type);
  run_blocks({.w = w,
              .left = left,
              .pixels = e.pixels(),
              .finish = finish,
              .out = out,
              .added = adds ? &out : nullptr,
              .in = w.sources > 1 ? e : Extent{.h = 0}});
  return out;
}

LowTensor LowOps::convolve(const Tensor& x, const Matrix& w, Finish finish, Tensor added) {
  const Extent e = x.extent();
  const bool adds = finish == Finish::add_relu, is_int8 = w.storage == Storage::int8;
  if (adds && added.parts() != 1) added = converted(added, added.type());
  Tensor out = make({e.b, e.h, e.w, w.out}, w.result);
  // Each picture has its own scale: what it is beside in a batch must not make its steps coarser.
  const Index each = is_int8 ? 1 : e.b;
  for (Index b = 0; b < e.b; b += each) {
    const Tensor some = x.pictures(b, each), to = out.pictures(b, each);
    const Tensor residual = adds ? added.pictures(b, each) : Tensor();
    const Left left = is_int8 ? quantised_as_one(some, w) : left_of(some, w);
    run_blocks({.w = w,
                .left = left,
                .pixels = some.extent().pixels(),
                .finish = finish,
                .out = to,
                .added = adds ? &residual : nullptr,
                .is_uniform = is_int8,
                .in = some.extent()});
  }
  return out;
}

// The picture with its padding is stored once; then the seven pixels of a kernel's row lie side by side.
LowTensor LowOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  if (image.type() != Element::f32 || !image.is_dense())
    return patch_embed(converted(image, Element::f32), w);
  const Extent e = image.extent();
  const Index oh = (e.h - 1) / 4 + 1, ow = (e.w - 1) / 4 + 1;
  const Index ph = (oh - 1) * 4 + 7, pw = (ow - 1) * 4 + 7;
  const Element type = left_type(w);
  const Index size = size_of(type), row = pw * e.c * size;
  Left left;
  left.owned =
      SharedBlock(arena_, static_cast<std::size_t>(e.b * ph * row + 64));  // a unit reads past the end
  std::byte* padded = left.owned.data();
  std::memset(padded + e.b * ph * row, 0, 64);
  parallel_rows(threads_, e.b * ph, [&](Index first, Index last) {
    for (Index r = first; r < last; ++r) {
      std::byte* to = padded + r * row;
      std::memset(to, 0, static_cast<std::size_t>(row));
      const Index y = r % ph - 3;
      if (y < 0 || y >= e.h) continue;
      const Index n = std::min(e.w, pw - 3) * e.c;
      convert_rows({image.pixel(0, (r / ph * e.h + y) * e.w), 0, Element::f32}, 1, n, n,
                   {to + 3 * e.c * size, 0, type});
    }
  });
  left.sources[0] = {padded, 4 * e.c * size};
  Tensor out = make({e.b, oh, ow, w.out}, Element::f32);
  run_blocks({.w = w,
              .left = left,
              .pixels = e.b * oh * ow,
              .out = out,
              .in = {e.b, oh, ow, e.c},
              .image_stride = ph * row,
              .row_stride = row});
  return out;
}

LowTensor LowOps::adapt(Tensor x, const Weights::Linear& down, const Weights::Linear& up) {
  x = writable(std::move(x));
  const Index tile = std::max(rows_of(down.way), rows_of(up.way));
  const Index c = x.extent().c, pixels = x.extent().pixels(), tiles = (pixels + tile - 1) / tile;
  const Index per_block = tiles_of_block(tiles, kBlockRows, tile, 2 * threads_);
  const Element hidden = takes_bf16(up.way) ? Element::bf16 : Element::f32;
  const Index rows = per_block * tile;
  const BlockSizes sizes{rows, rows * std::max(left_stride(down), left_stride(up)),
                         rows * down.out * size_of(hidden), std::max(widened_for(down), widened_for(up)), 1};
  const Index each = up_to(sizes.bytes(), 64);
  const SharedBlock scratch = shares(each);
  parallel_tasks(threads_, (tiles + per_block - 1) / per_block, [&](Index block, int thread) {
    BlockScratch s = carve(scratch.data() + thread * each, sizes);
    const Index first = block * sizes.count, count = std::min(sizes.count, pixels - first);
    point_rows(down, x.rows(first), count, s);
    const RowTarget between{s.hidden, down.out * size_of(hidden), hidden};
    point_out(between, count, s);
    BlockJob j = job_of(down, s, count);
    j.finish = Finish::gelu;
    j.out_type = hidden;
    product_block(j);
    point_rows(up, {between.data, between.stride, hidden}, count, s);
    point_out({reinterpret_cast<std::byte*>(x.data() + first * c), c * 4, Element::f32}, count, s);
    j = job_of(up, s, count);
    j.finish = Finish::gelu_add;
    j.added = s.out;
    product_block(j);
  });
  return x;
}

LowTensor LowOps::feed_forward(Tensor x, const Weights::Norm& norm, const Weights::Linear& fc1,
                               const Weights::Linear& fc2) {
  const Index tile = std::max(rows_of(fc1.way), rows_of(fc2.way));
  const Index c = x.extent().c, pixels = x.extent().pixels(), tiles = (pixels + tile - 1) / tile;
  // With few rows, all weights for each of them would cost more than the hidden activations do.
  if (tiles * tile < 2 * kFusedRows * threads_)
    return Compositions<LowOps>::feed_forward(std::move(x), norm, fc1, fc2);
  x = writable(std::move(x));
  const Index per_block = tiles_of_block(tiles, kFusedRows, tile, threads_);
  const Element normed = takes_bf16(fc1.way) ? Element::bf16 : Element::f32;
  const Element hidden =
      fc2.way == Way::widened && fc2.storage != Storage::int8 ? Element::f32 : Element::bf16;
  const Index rows = per_block * tile;
  const BlockSizes sizes{rows, rows * std::max(left_stride(fc1), left_stride(fc2)),
                         rows * std::max(fc1.out * size_of(hidden), c * size_of(normed)),
                         std::max(widened_for(fc1), widened_for(fc2)), 1};
  const Index norms_bytes = up_to(rows * c * 4, 64);  // what follows is aligned, whatever c is
  const Index each = up_to(norms_bytes + sizes.bytes(), 64);
  const SharedBlock scratch = shares(each);
  parallel_tasks(threads_, (tiles + per_block - 1) / per_block, [&](Index block, int thread) {
    std::byte* mine = scratch.data() + thread * each;
    BlockScratch s = carve(mine + norms_bytes, sizes);
    const Index first = block * rows, count = std::min(rows, pixels - first);
    const RowTarget norms{mine, c * size_of(normed), normed};
    norm_rows(x.rows(first), norm.weight.data(), norm.bias.data(), count, c, c, norms);
    point_rows(fc1, {norms.data, norms.stride, normed}, count, s);
    const RowTarget between{s.hidden, fc1.out * size_of(hidden), hidden};
    point_out(between, count, s);
    BlockJob j = job_of(fc1, s, count);
    j.finish = Finish::gelu;
    j.out_type = hidden;
    product_block(j);
    point_rows(fc2, {between.data, between.stride, hidden}, count, s);
    point_out({reinterpret_cast<std::byte*>(x.data() + first * c), c * 4, Element::f32}, count, s);
    j = job_of(fc2, s, count);
    j.finish = Finish::add;
    j.added = s.out;
    product_block(j);
  });
  return x;
}

}  // namespace sam2unet::ops::lowp
