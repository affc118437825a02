#include "ops/lowp/low_ops.h"

#include <algorithm>
#include <utility>

#include "ops/cpu/threads.h"
#include "ops/lowp/parallel.h"

namespace sam2unet::ops::lowp {
namespace {

using Index = std::int64_t;

}  // namespace

LowOps::LowOps(const Numerics& numerics, int threads)
    : numerics_(numerics), threads_(available_threads(threads)) {}

void LowOps::forget() {
  taps_.clear();
  positions_.clear();
  arena_.clear();
}

LowTensor LowOps::converted(const Tensor& x, Element type) {
  Tensor y = make(x.extent(), type);
  const Extent e = x.extent();
  parallel_rows(threads_, e.pixels(), [&](Index first, Index last) {
    Index at = 0;
    for (std::size_t i = 0; i < x.parts(); ++i) {
      const Index c = x.part(i).c;
      RowTarget to = y.target(first);
      to.data += at * size_of(type);
      convert_rows(x.rows(first, i), last - first, c, c, to);
      at += c;
    }
  });
  return y;
}

LowTensor LowOps::to_f32(const Tensor& x) {
  return converted(x, Element::f32);
}

LowTensor LowOps::writable(Tensor x) {
  return x.type() == Element::f32 && x.is_own() ? std::move(x) : converted(x, Element::f32);
}

LowTensor LowOps::gelu(Tensor x) {
  x = writable(std::move(x));
  parallel_rows(threads_, x.extent().pixels(), [&](Index first, Index last) {
    gelu_row(x.data() + first * x.extent().c, (last - first) * x.extent().c);
  });
  return x;
}

LowTensor LowOps::relu(Tensor x) {
  x = writable(std::move(x));
  parallel_rows(threads_, x.extent().pixels(), [&](Index first, Index last) {
    relu_row(x.data() + first * x.extent().c, (last - first) * x.extent().c);
  });
  return x;
}

LowTensor LowOps::add(Tensor a, const Tensor& b) {
  a = writable(std::move(a));
  const Tensor& other = b.type() == Element::f32 && b.is_dense() ? b : converted(b, Element::f32);
  parallel_rows(threads_, a.extent().pixels(), [&](Index first, Index last) {
    const Index c = a.extent().c;
    kernels::add_to(a.data() + first * c, other.data() + first * c, (last - first) * c);
  });
  return a;
}

LowTensor LowOps::add_position(Tensor x, const Weights::Position& w) {
  x = writable(std::move(x));
  const Extent e = x.extent();
  const std::array key{static_cast<Index>(w.id), e.h, e.w};
  auto it = positions_.find(key);
  if (it == positions_.end()) it = positions_.emplace(key, model::position_values(w, e.h, e.w)).first;
  const float* table = it->second.data();
  parallel_rows(threads_, e.b * e.h, [&](Index first, Index last) {
    const Index n = e.w * e.c;
    for (Index row = first; row < last; ++row) kernels::add_to(x.data() + row * n, table + row % e.h * n, n);
  });
  return x;
}

LowTensor LowOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  if (x.parts() != 1) return layer_norm(converted(x, x.type()), w);
  // Bytes are made of unrounded values.
  Tensor y = make(x.extent(), numerics_.is_int8() ? Element::f32 : numerics_.activations());
  parallel_rows(threads_, x.extent().pixels(), [&](Index first, Index last) {
    const Index c = x.extent().c;
    norm_rows(x.rows(first), w.weight.data(), w.bias.data(), last - first, c, c, y.target(first));
  });
  return y;
}

LowTensor LowOps::max_pool_2x2(const Tensor& x) {
  if (x.parts() != 1) return max_pool_2x2(converted(x, x.type()));
  const Extent e = x.extent();
  Tensor y = make({e.b, e.h / 2, e.w / 2, e.c}, x.type());
  parallel_rows(threads_, e.b * (e.h / 2), [&](Index first, Index last) {
    for (Index row = first; row < last; ++row) {
      const Index b = row / (e.h / 2), oy = row % (e.h / 2), width = e.w / 2;
      for (Index ox = 0; ox < width; ++ox) {
        const Index m = (b * e.h + 2 * oy) * e.w + 2 * ox;
        const std::byte* corners[] = {x.pixel(0, m), x.pixel(0, m + 1), x.pixel(0, m + e.w),
                                      x.pixel(0, m + e.w + 1)};
        max_of_four(corners, e.c, x.type(), y.pixel(0, row * width + ox));
      }
    }
  });
  return y;
}

std::array<LowTensor, kFan> LowOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  const Tensor all = product(x, w, Finish::none, {});  // [B,H,W,5 N]
  const Index n = w.out / kFan;
  std::array<Tensor, kFan> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = all.channels(static_cast<Index>(i) * n, n);
  return parts;
}

LowTensor LowOps::concat_all(std::initializer_list<const Tensor*> parts) {
  const Tensor& first = **parts.begin();
  std::size_t count = 0;
  bool is_view = true;
  Extent e = first.extent();
  e.c = 0;
  for (const auto* p : parts) {
    count += p->parts();
    is_view = is_view && p->type() == first.type();
    e.c += p->extent().c;
  }
  if (is_view && count <= LowTensor::kParts) {
    Tensor all = first;
    for (const auto* p : parts)
      if (p != *parts.begin()) all.append(*p);
    return all;
  }
  Tensor all = make(e, Element::f32);
  Index at = 0;
  for (const auto* p : parts) {
    const Tensor& part = p->parts() == 1 ? *p : converted(*p, Element::f32);
    const Index c = part.extent().c;
    parallel_rows(threads_, e.pixels(), [&](Index from, Index last) {
      RowTarget to = all.target(from);
      to.data += at * size_of(Element::f32);
      convert_rows(part.rows(from), last - from, c, c, to);
    });
    at += c;
  }
  return all;
}

const std::vector<kernels::BilinearTap>& LowOps::taps(Index in, Index out, Corners corners) {
  const TapsKey key{in, out, static_cast<std::int64_t>(corners)};
  if (const auto it = taps_.find(key); it != taps_.end()) return it->second;
  return taps_.emplace(key, kernels::bilinear_taps(in, out, corners)).first->second;
}

LowTensor LowOps::upsample(const Tensor& x, Index height, Index width, Corners corners) {
  if (x.parts() != 1) return upsample(converted(x, x.type()), height, width, corners);
  const Extent e = x.extent();
  Tensor y = make({e.b, height, width, e.c}, x.type());
  const auto& vertical = taps(e.h, height, corners);
  const auto& horizontal = taps(e.w, width, corners);
  const bool is_map = e.c == 1 && x.type() == Element::f32 && x.is_dense();
  parallel_rows(threads_, e.b * height, [&](Index first, Index last) {
    for (Index row = first; row < last; ++row) {
      const auto& t = vertical[static_cast<std::size_t>(row % height)];
      const Index image = row / height * e.h;
      const RowView above = x.rows((image + t.first) * e.w), below = x.rows((image + t.second) * e.w);
      if (is_map) {  // one channel has a kernel whose lanes are pixels
        kernels::bilinear_row(reinterpret_cast<const float*>(above.data),
                              reinterpret_cast<const float*>(below.data), t.weight, horizontal, 1,
                              y.data() + row * width, 1);
      } else {
        bilinear_row(above, below, t.weight, horizontal, e.c, y.target(row * width));
      }
    }
  });
  return y;
}

}  // namespace sam2unet::ops::lowp
