#include "ops/cpu/cpu_ops.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/threads.h"

namespace sam2unet::ops {
namespace {

using Index = std::int64_t;

// f(i, thread) for i in 0..n, `step` at a time handed to whoever is free.
template <class F>
void parallel_for(int threads, Index n, F&& f) {
  if (threads == 1 || n == 1) {
    for (Index i = 0; i < n; ++i) f(i, 0);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (Index i = 0; i < n; ++i) f(i, omp_get_thread_num());
}

}  // namespace

CpuOps::CpuOps(int threads)
    : threads_(available_threads(threads)),
      stream_(cpu_engine()),
      pointers_(static_cast<std::size_t>(threads_)) {}

void CpuOps::forget() {
  primitives_.clear();
  eltwise_.clear();
  taps_.clear();
  positions_.clear();
  arena_.clear();
}

template <class MakeDesc>
const PreparedPrimitive& CpuOps::prepared(const Key& key, const PackedWeights& w, MakeDesc&& make_desc) {
  const auto it = primitives_.find(key);
  if (it != primitives_.end()) return *it->second;
  const ThreadScope scope(threads_);
  const auto [desc, primitive] = make_desc();
  return *primitives_.emplace(key, std::make_unique<PreparedPrimitive>(desc, primitive, w)).first->second;
}

void CpuOps::run(const PreparedPrimitive& primitive, const float* src, float* dst) {
  const ThreadScope scope(threads_);
  const std::size_t bytes = primitive.scratch_bytes();
  if (bytes == 0) return primitive.run(stream_, src, dst, nullptr);
  const Tensor scratch = make({1, 1, 1, static_cast<Index>((bytes + sizeof(float) - 1) / sizeof(float))});
  primitive.run(stream_, src, dst, scratch.data());
}

CpuTensor CpuOps::product(const Tensor& x, const PackedWeights& w, Epilogue epilogue, Tensor out) {
  const Extent e = x.extent();
  const bool in_place = epilogue == Epilogue::add || epilogue == Epilogue::gelu_add;
  if (!in_place) out = make({e.b, e.h, e.w, w.out});
  const PreparedPrimitive& p = prepared({w.id, {1, 1, e.pixels(), e.c}, epilogue}, w, [&] {
    const auto desc = linear_desc(e.pixels(), w.in, w.out, epilogue);
    return std::pair(desc, dnnl::matmul(desc));
  });
  run(p, x.data(), out.data());
  return out;
}

CpuTensor CpuOps::convolve(const Tensor& x, const Weights::ConvBn& w, Epilogue epilogue, Tensor out) {
  const Extent e = x.extent();
  if (epilogue != Epilogue::add_relu) out = make({e.b, e.h, e.w, w.out});
  const PreparedPrimitive& p = prepared({w.id, e, epilogue}, w, [&] {
    const auto desc = conv_desc(e, w.out, w.kernel, epilogue);
    return std::pair(desc, dnnl::convolution_forward(desc));
  });
  run(p, x.data(), out.data());
  return out;
}

CpuTensor CpuOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  const Extent e = image.extent();
  Tensor out = make({e.b, (e.h - 1) / 4 + 1, (e.w - 1) / 4 + 1, w.out});
  const PreparedPrimitive& p = prepared({w.id, e, Epilogue::none}, w, [&] {
    const auto desc = patch_desc(e, w.out);
    return std::pair(desc, dnnl::convolution_forward(desc));
  });
  run(p, image.data(), out.data());
  return out;
}

CpuTensor CpuOps::eltwise(Tensor x, dnnl::algorithm algorithm) {
  const ThreadScope scope(threads_);
  const Index n = x.extent().numel();
  const std::pair key(static_cast<int>(algorithm), n);
  auto it = eltwise_.find(key);
  if (it == eltwise_.end()) it = eltwise_.emplace(key, eltwise_desc(n, algorithm)).first;
  const dnnl::memory::desc layout({n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  const dnnl::memory m(layout, cpu_engine(), x.data());
  it->second.execute(stream_, {{DNNL_ARG_SRC, m}, {DNNL_ARG_DST, m}});
  return x;
}

CpuTensor CpuOps::add(Tensor a, const Tensor& b) {
  parallel_rows(threads_, a.extent().pixels(), [&](Index first, Index last) {
    const Index c = a.extent().c;
    kernels::add_to(a.data() + first * c, b.data() + first * c, (last - first) * c);
  });
  return a;
}

CpuTensor CpuOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  Tensor y = make(x.extent());
  parallel_rows(threads_, x.extent().pixels(), [&](Index first, Index last) {
    const Index c = x.extent().c;
    kernels::layer_norm(x.data() + first * c, w.weight.data(), w.bias.data(), last - first, c,
                        y.data() + first * c);
  });
  return y;
}

const std::vector<float>& CpuOps::position_table(const Weights::Position& w, Index height, Index width) {
  const std::array key{static_cast<Index>(w.id), height, width};
  if (const auto it = positions_.find(key); it != positions_.end()) return it->second;
  return positions_.emplace(key, model::position_values(w, height, width)).first->second;
}

CpuTensor CpuOps::add_position(Tensor x, const Weights::Position& w) {
  const Extent e = x.extent();
  const auto& table = position_table(w, e.h, e.w);
  parallel_for(threads_, e.b * e.h, [&](Index row, int) {
    const Index n = e.w * e.c;
    kernels::add_to(x.data() + row * n, table.data() + row % e.h * n, n);
  });
  return x;
}

CpuTensor CpuOps::max_pool_2x2(const Tensor& x) {
  const Extent e = x.extent();
  Tensor y = make({e.b, e.h / 2, e.w / 2, e.c});
  parallel_for(threads_, e.b * (e.h / 2), [&](Index row, int) {
    const Index b = row / (e.h / 2), oy = row % (e.h / 2);
    const float* above = x.data() + ((b * e.h + 2 * oy) * e.w) * e.c;
    kernels::max_pool_row(above, above + e.w * e.c, e.w / 2, e.c, y.data() + row * (e.w / 2) * e.c);
  });
  return y;
}

std::array<CpuTensor, kFan> CpuOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  const Tensor all = product(x, w, Epilogue::none);  // [B,H,W,5 N]
  const Extent e = all.extent();
  const Index n = e.c / kFan;
  std::array<Tensor, kFan> parts;
  for (auto& p : parts) p = make({e.b, e.h, e.w, n});
  parallel_rows(threads_, e.pixels(), [&](Index first, Index last) {
    for (Index m = first; m < last; ++m)
      for (std::size_t i = 0; i < parts.size(); ++i) {
        std::memcpy(parts[i].data() + m * n, all.data() + m * e.c + static_cast<Index>(i) * n,
                    static_cast<std::size_t>(n) * sizeof(float));
      }
  });
  return parts;
}

CpuTensor CpuOps::concat_all(std::initializer_list<const Tensor*> parts) {
  Extent e = (*parts.begin())->extent();
  e.c = 0;
  for (const auto* p : parts) e.c += p->extent().c;
  Tensor out = make(e);
  parallel_rows(threads_, e.pixels(), [&](Index first, Index last) {
    for (Index m = first; m < last; ++m) {
      float* to = out.data() + m * e.c;
      for (const auto* p : parts) {
        const Index c = p->extent().c;
        std::memcpy(to, p->data() + m * c, static_cast<std::size_t>(c) * sizeof(float));
        to += c;
      }
    }
  });
  return out;
}

const std::vector<kernels::BilinearTap>& CpuOps::taps(Index in, Index out, Corners corners) {
  const TapsKey key{in, out, static_cast<std::int64_t>(corners)};
  if (const auto it = taps_.find(key); it != taps_.end()) return it->second;
  return taps_.emplace(key, kernels::bilinear_taps(in, out, corners)).first->second;
}

void CpuOps::upsample_into(const Tensor& x, Index height, Index width, Corners corners, float* out,
                           Index stride) {
  const Extent e = x.extent();
  const auto& vertical = taps(e.h, height, corners);
  const auto& horizontal = taps(e.w, width, corners);
  parallel_for(threads_, e.b * height, [&](Index row, int) {
    const auto& t = vertical[static_cast<std::size_t>(row % height)];
    const float* image = x.data() + row / height * e.h * e.w * e.c;
    kernels::bilinear_row(image + t.first * e.w * e.c, image + t.second * e.w * e.c, t.weight, horizontal,
                          e.c, out + row * width * stride, stride);
  });
}

CpuTensor CpuOps::upsample(const Tensor& x, Index height, Index width, Corners corners) {
  Tensor y = make({x.extent().b, height, width, x.extent().c});
  upsample_into(x, height, width, corners, y.data(), x.extent().c);
  return y;
}

CpuTensor CpuOps::upsample_behind(const Tensor& skip, const Tensor& x) {
  const Extent e = skip.extent();
  const Index c = e.c + x.extent().c;
  Tensor y = make({e.b, e.h, e.w, c});
  parallel_rows(threads_, e.pixels(), [&](Index first, Index last) {
    for (Index m = first; m < last; ++m) {
      std::memcpy(y.data() + m * c, skip.data() + m * e.c, static_cast<std::size_t>(e.c) * sizeof(float));
    }
  });
  upsample_into(x, e.h, e.w, Corners::aligned, y.data() + e.c, c);
  return y;
}

// One task is a tile of queries of one head and window. Only real tokens are visited; what the padded ones of
// a window add to the softmax is one key whose score is raised by the log of their number.
CpuTensor CpuOps::window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g) {
  const Extent e = qkv.extent();
  const Index dim = e.c / 3, head_dim = dim / g.heads, p = g.q_pool;
  const Index win_h = g.window > 0 ? g.window : e.h, win_w = g.window > 0 ? g.window : e.w;
  const Index rows = (e.h + win_h - 1) / win_h, columns = (e.w + win_w - 1) / win_w;
  const Index tile = kernels::attention_tile_queries();
  const Index most_keys = std::min(win_h, e.h) * std::min(win_w, e.w) + 1;
  const Index tiles = ((std::min(win_h, e.h) / p) * (std::min(win_w, e.w) / p) + tile - 1) / tile;
  Tensor out = make({e.b, e.h / p, e.w / p, dim});
  const Index scratch_size = kernels::attention_scratch(most_keys, head_dim);
  const Tensor scratch = make({1, 1, threads_, (scratch_size + 15) / 16 * 16});
  const auto pointer_count = static_cast<std::size_t>(2 * most_keys + tile * (p * p + 1));
  for (auto& list : pointers_) {
    if (list.size() < pointer_count) list.resize(pointer_count);
  }

  parallel_for(threads_, e.b * rows * columns * g.heads * tiles, [&](Index task, int thread) {
    const Index part = task % tiles, head = task / tiles % g.heads, window = task / tiles / g.heads;
    const Index b = window / (rows * columns), y0 = window / columns % rows * win_h,
                x0 = window % columns * win_w;
    const Index real_h = std::min(win_h, e.h - y0),
                real_w = std::min(win_w, e.w - x0);  // tokens inside the picture
    const Index query_w = real_w / p, queries = real_h / p * query_w;
    const Index first = part * tile, count = std::min(tile, queries - first);
    if (count <= 0) return;  // a window cut by the edge has fewer tiles
    const auto token = [&](Index y, Index x) {
      return qkv.data() + ((b * e.h + y) * e.w + x) * e.c + head * head_dim;
    };

    const float** keys = pointers_[static_cast<std::size_t>(thread)].data();
    const float** values = keys + most_keys;
    const float** query_rows = values + most_keys;
    auto** out_rows = const_cast<float**>(query_rows + tile * p * p);
    Index n = 0;
    for (Index y = y0; y < y0 + real_h; ++y)
      for (Index x = x0; x < x0 + real_w; ++x, ++n) {
        keys[n] = token(y, x) + dim;
        values[n] = token(y, x) + 2 * dim;
      }
    const Index pads = win_h * win_w - real_h * real_w;
    if (pads > 0) {
      keys[n] = w.bias.data() + dim + head * head_dim;
      values[n++] = w.bias.data() + 2 * dim + head * head_dim;
    }
    for (Index i = 0; i < count; ++i) {
      const Index oy = (first + i) / query_w, ox = (first + i) % query_w;
      for (Index r = 0; r < p * p; ++r)
        query_rows[i * p * p + r] = token(y0 + oy * p + r / p, x0 + ox * p + r % p);
      out_rows[i] =
          out.data() + ((b * (e.h / p) + y0 / p + oy) * (e.w / p) + x0 / p + ox) * dim + head * head_dim;
    }
    const auto z = [](Index i) { return static_cast<std::size_t>(i); };
    kernels::attention({{query_rows, z(count * p * p)},
                        static_cast<int>(p * p),
                        {keys, z(n)},
                        {values, z(n)},
                        pads > 0 ? std::log(static_cast<float>(pads)) : 0.0F,
                        pads > 0,
                        head_dim,
                        {out_rows, z(count)}},
                       scratch.data() + thread * scratch.extent().c);
  });
  return out;
}

}  // namespace sam2unet::ops
