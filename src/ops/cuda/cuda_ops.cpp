#include "ops/cuda/cuda_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "model/position.h"

namespace sam2unet::ops::cuda {
namespace {

// Kernels count items in 32 bits.
int checked(std::int64_t n) {
  if (n > std::numeric_limits<int>::max()) {
    throw UsageError(
        "this batch of pictures is too large for the device cuda: choose a smaller batch or size");
  }
  return static_cast<int>(n);
}

// Of a task that reads pixels of some channels.
template <class Task>
void set_input(Task& t, const CudaTensor& x) {
  t.x = x.data;
  t.batch = static_cast<int>(x.shape.b);
  t.height = static_cast<int>(x.shape.h);
  t.width = static_cast<int>(x.shape.w);
  t.channels = static_cast<int>(x.shape.c);
  t.pitch = checked(x.pitch);
}

std::size_t bytes_of(const Extent& e, Element element) {
  return static_cast<std::size_t>(e.numel()) * static_cast<std::size_t>(bytes_of(element));
}

}  // namespace

CudaOps::CudaOps(const DeviceInfo& device, Element element)
    : device_(device), element_(element), launcher_{device.limits, stream_.handle()} {}

void CudaOps::forget() {
  stream_.wait();
  arena_.clear();
  positions_.clear();
}

CudaTensor CudaOps::make(const Extent& extent, Element element) {
  checked(extent.numel());
  Tensor t;
  t.shape = extent;
  t.element = element;
  t.pitch = extent.c;
  t.memory = arena_.take(bytes_of(extent, element));
  t.data = t.memory.get();
  return t;
}

CudaTensor CudaOps::pictures(const std::uint8_t* bytes, const Extent& extent) const {
  Tensor t;
  t.shape = extent;
  t.pitch = 0;  // bytes, which no other operation takes
  t.data = reinterpret_cast<std::byte*>(const_cast<std::uint8_t*>(bytes));
  return t;
}

CudaTensor CudaOps::copy(const Tensor& x, Element element) {
  if (x.norm != nullptr) return copy(norm_rows(x, *x.norm), element);
  Tensor y = make(x.shape, element);
  std::int64_t at = 0;
  const auto put = [&](const Tensor& part) {
    ElementwiseTask t;
    t.a = part.data;
    t.a_pitch = checked(part.pitch);
    t.rows = checked(x.shape.pixels());
    t.width = static_cast<int>(part.shape.c);
    t.out = y.data + at * bytes_of(element);
    t.out_pitch = static_cast<int>(x.shape.c);
    launch_elementwise(launcher_, part.element, element, Elementwise::copy, t);
    at += part.shape.c;
  };
  if (x.parts.empty()) put(x);
  for (const Tensor& p : x.parts) put(p);
  return y;
}

CudaTensor CudaOps::dense(const Tensor& x) {
  return x.is_dense() ? x : copy(x, x.element);
}
CudaTensor CudaOps::in_one_place(const Tensor& x) {
  return x.parts.empty() && x.norm == nullptr ? x : dense(x);
}
CudaTensor CudaOps::to_float(const Tensor& x) {
  return x.is_dense() && x.element == Element::f32 ? x : copy(x, Element::f32);
}

CudaTensor CudaOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  const Extent e = image.shape;
  UnfoldTask t;
  t.batch = static_cast<int>(e.b);
  t.height = static_cast<int>(e.h);
  t.width = static_cast<int>(e.w);
  t.pitch = w.pitch();
  Tensor values;
  if (image.pitch == 0) {
    t.bytes = reinterpret_cast<const std::uint8_t*>(image.data);
  } else {
    values = to_float(image);
    t.values = reinterpret_cast<const float*>(values.data);
  }
  Tensor rows = make({e.b, e.h / 4, e.w / 4, w.pitch()});
  t.out = rows.data;
  launch_unfold(launcher_, element_, t);
  rows.shape.c = w.in;
  return product(rows, w, Epilogue::none);
}

const void* CudaOps::position_table(const Weights::Position& w, std::int64_t height, std::int64_t width) {
  Memory& m = positions_[{&w, height, width}];
  if (m.data() == nullptr) {
    const auto values = model::position_values(w, height, width);  // [H,W,C]
    if (element_ == Element::f32) {
      m = Memory(values.size() * 4, MemoryKind::device);
      copy_now(m.data(), values.data(), m.bytes());
    } else {
      std::vector<std::uint16_t> bits(values.size());
      std::transform(values.begin(), values.end(), bits.begin(),
                     [&](float v) { return to_bits(v, element_); });
      m = Memory(bits.size() * 2, MemoryKind::device);
      copy_now(m.data(), bits.data(), m.bytes());
    }
  }
  return m.data();
}

CudaTensor CudaOps::add_position(Tensor x, const Weights::Position& w) {
  x = dense(x);
  const Extent e = x.shape;
  Tensor table;
  table.shape = {1, e.h, e.w, e.c};
  table.element = element_;
  table.pitch = e.c;
  table.data = static_cast<std::byte*>(const_cast<void*>(position_table(w, e.h, e.w)));
  // Picture by picture as one row each, so that the table has the pictures' pitch 0.
  ElementwiseTask t;
  t.a = t.out = x.data;
  t.b = table.data;
  t.rows = static_cast<int>(e.b);
  t.width = checked(e.h * e.w * e.c);
  t.a_pitch = t.out_pitch = t.width;
  t.b_pitch = 0;
  launch_elementwise(launcher_, element_, element_, Elementwise::add, t);
  return x;
}

CudaTensor CudaOps::norm_rows(const Tensor& x, const Weights::Norm& w) {
  Tensor plain = x;
  plain.norm = nullptr;
  if (!plain.parts.empty()) plain = dense(plain);
  Tensor y = make(x.shape, x.element);
  RowsTask t;
  t.x = plain.data;
  t.out = y.data;
  t.rows = checked(x.shape.pixels());
  t.width = t.out_pitch = static_cast<int>(x.shape.c);
  t.pitch = checked(plain.pitch);
  t.weight = w.weight;
  t.bias = w.bias;
  launch_norm(launcher_, x.element, t);
  return y;
}

RowShares CudaOps::make_shares(std::int64_t rows, int count, int width, DeviceArena::Handle& memory) {
  memory = arena_.take(static_cast<std::size_t>(rows) * static_cast<std::size_t>(count) * sizeof(RowShare));
  return {reinterpret_cast<RowShare*>(memory.get()), count, width};
}

CudaTensor CudaOps::with_shares(Tensor x) {
  if (x.shares.values != nullptr) return x;
  x = dense(x);
  x.shares = make_shares(x.shape.pixels(), 1, static_cast<int>(x.shape.c), x.share_memory);
  RowsTask t;
  t.x = x.data;
  t.rows = checked(x.shape.pixels());
  t.width = static_cast<int>(x.shape.c);
  t.pitch = checked(x.pitch);
  t.shares = x.shares.values;
  launch_norm(launcher_, x.element, t);
  return x;
}

CudaTensor CudaOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  if (element_ == Element::f32) return norm_rows(x, w);
  Tensor y = with_shares(converted(x));
  y.norm = &w;
  return y;
}

CudaTensor CudaOps::set_left(const Tensor& x, const Weights::Product& w, bool on_matrix_units,
                             ProductTask& t) {
  Tensor left = x;
  const bool folds = on_matrix_units && w.column_sums != nullptr;
  if (left.norm != nullptr && !folds) left = norm_rows(left, *left.norm);
  if (left.norm != nullptr) {
    t.shares = left.shares;
    t.norm_width = static_cast<float>(left.shape.c);
    t.column_sums = w.column_sums;
  }
  const bool is_odd = !left.parts.empty() && left.parts.front().shape.c % 8 != 0;
  if (left.parts.size() > kMaxParts || (on_matrix_units && is_odd)) left = dense(left);
  if (on_matrix_units || left.element != element_) left = converted(left);
  t.part_width = static_cast<int>(left.parts.empty() ? left.shape.c : left.parts.front().shape.c);
  if (left.parts.empty()) {
    t.parts[0] = left.data;
    t.pitches[0] = checked(left.pitch);
  }
  for (std::size_t i = 0; i < left.parts.size(); ++i) {
    t.parts[i] = left.parts[i].data;
    t.pitches[i] = checked(left.parts[i].pitch);
  }
  return left;
}

CudaOps::Prepared CudaOps::prepare(const Tensor& x, const Weights::Product& w, Epilogue epilogue,
                                   Tensor residual, Shares shares) {
  const Extent e = x.shape;
  // Copies of 16 bytes: rows of the left side have to be that apart.
  const bool is_aligned = (x.parts.empty() ? x.pitch : x.parts.front().pitch) % 8 == 0;
  const ProductKernel* kernel =
      w.rows == nullptr || !is_aligned
          ? nullptr
          : choose_product(device_.limits, element_,
                           {e.pixels(), w.out, w.in, w.kernel.h * w.kernel.w, x.parts.empty()});
  if (kernel == nullptr && w.wide == nullptr) {
    throw UnavailableError(
        "the device cuda has no kernel for a layer of these weights; choose another precision");
  }
  Prepared p;
  ProductTask& t = p.task;
  p.kernel = kernel;
  p.left = set_left(x, w, kernel != nullptr, t);
  t.rows = checked(e.pixels());
  t.columns = w.out;
  t.depth = w.in;
  t.tap_rows = w.kernel.h;
  t.tap_columns = w.kernel.w;
  t.dilation = w.kernel.dilation;
  t.height = static_cast<int>(e.h);
  t.width = static_cast<int>(e.w);
  t.weights = kernel != nullptr ? w.rows : w.wide;
  t.weights_pitch = w.pitch();
  t.bias = w.bias;
  t.epilogue = epilogue;
  const Element out = w.has_float_results ? Element::f32 : element_;
  const bool adds =
      epilogue == Epilogue::add || epilogue == Epilogue::gelu_add || epilogue == Epilogue::add_relu;
  Tensor y;
  if (adds) {
    if (!residual.parts.empty() || residual.norm != nullptr || residual.element != out)
      residual = copy(residual, out);
    // Where nobody else holds the residual the results take its place: each is read before it is written.
    if (residual.is_dense() && residual.memory.use_count() == 1) y = residual;
    t.residual = residual.data;
    t.residual_pitch = checked(residual.pitch);
  }
  if (y.data == nullptr) y = make({e.b, e.h, e.w, w.out}, out);
  y.shares = {};
  y.share_memory.reset();
  if (kernel != nullptr && shares == Shares::wanted) {
    const int count = (w.out + kernel->share_width - 1) / kernel->share_width;
    y.shares = t.out_shares = make_shares(e.pixels(), count, kernel->share_width, y.share_memory);
  }
  t.out = y.data;
  t.out_pitch = checked(y.pitch);
  p.residual = std::move(residual);
  p.out = std::move(y);
  return p;
}

CudaTensor CudaOps::product(const Tensor& x, const Weights::Product& w, Epilogue epilogue, Tensor residual,
                            Shares shares) {
  const Prepared p = prepare(x, w, epilogue, std::move(residual), shares);
  if (p.kernel != nullptr) {
    launch_product(launcher_, *p.kernel, p.task);
  } else {
    launch_plain_product(launcher_, p.left.element, p.out.element, p.task);
  }
  return p.out;
}

std::array<CudaTensor, kBranches> CudaOps::conv_bn_each(
    const std::array<const Tensor*, kBranches>& x, const std::array<const Weights::ConvBn*, kBranches>& w) {
  static_assert(kBranches <= kMaxTasks);
  std::array<Prepared, kBranches> all;
  bool is_one_launch = true;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = prepare(*x[i], *w[i], Epilogue::none, {}, Shares::none);
    is_one_launch = is_one_launch && all[i].kernel != nullptr && all[i].kernel->convolution &&
                    all[i].task.rows == all[0].task.rows && all[i].task.columns == all[0].task.columns;
  }
  if (!is_one_launch) return Compositions<CudaOps>::conv_bn_each(x, w);
  launch_convolutions(launcher_, *all[0].kernel, std::array{all[0].task, all[1].task, all[2].task});
  return {all[0].out, all[1].out, all[2].out};
}

CudaTensor CudaOps::window_attention(const Tensor& qkv, const Weights::Linear& w,
                                     const AttentionGeometry& g) {
  const Tensor x = dense(converted(qkv));
  const Extent e = x.shape;
  const std::int64_t dim = e.c / 3;
  Tensor y = make({e.b, e.h / g.q_pool, e.w / g.q_pool, dim});
  AttentionTask t;
  t.qkv = x.data;
  t.bias = w.padding;
  t.out = y.data;
  t.batch = static_cast<int>(e.b);
  t.height = static_cast<int>(e.h);
  t.width = static_cast<int>(e.w);
  t.heads = g.heads;
  t.head_width = static_cast<int>(dim / g.heads);
  t.window_height = g.window > 0 ? g.window : t.height;
  t.window_width = g.window > 0 ? g.window : t.width;
  t.pool = g.q_pool;
  t.scale = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(t.head_width)));
  launch_attention(launcher_, element_, t);
  return y;
}

CudaTensor CudaOps::max_pool_2x2(const Tensor& input) {
  const Tensor x = in_one_place(input);
  const Extent e = x.shape;
  Tensor y = make({e.b, e.h / 2, e.w / 2, e.c}, x.element);
  PoolTask t;
  set_input(t, x);
  t.out = y.data;
  launch_pool(launcher_, x.element, t);
  return y;
}

std::array<CudaTensor, kFan> CudaOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  const Tensor all = product(x, w, Epilogue::none);  // [B,H,W,5 N]
  std::array<Tensor, kFan> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = all;
    out[i].shape.c = w.out / kFan;
    out[i].data += static_cast<std::int64_t>(i) * out[i].shape.c * bytes_of(all.element);
  }
  return out;
}

CudaTensor CudaOps::concat_all(std::initializer_list<const Tensor*> parts) {
  Tensor y;
  y.shape = parts.begin()[0]->shape;
  y.shape.c = 0;
  y.element = parts.begin()[0]->element;
  for (const Tensor* p : parts) {
    y.shape.c += p->shape.c;
    y.parts.push_back(in_one_place(*p));
    if (p->element != y.element) y.parts.back() = copy(*p, y.element);
  }
  const std::int64_t width = y.parts.front().shape.c;
  const bool is_even =
      std::all_of(y.parts.begin(), y.parts.end(), [&](const Tensor& p) { return p.shape.c == width; });
  return is_even ? y : dense(y);
}

CudaTensor CudaOps::upsample(const Tensor& input, std::int64_t height, std::int64_t width, Corners corners) {
  const Tensor x = in_one_place(input);
  Tensor y = make({x.shape.b, height, width, x.shape.c}, x.element);
  ResizeTask t;
  set_input(t, x);
  t.out = y.data;
  t.out_height = static_cast<int>(height);
  t.out_width = static_cast<int>(width);
  t.align_corners = corners == Corners::aligned ? 1 : 0;
  launch_resize(launcher_, x.element, t);
  return y;
}

CudaTensor CudaOps::elementwise(const Tensor& a, Elementwise what, const Tensor* b) {
  const Tensor x = dense(a);
  Tensor y = make(x.shape, x.element), other;
  ElementwiseTask t;
  t.a = x.data;
  t.out = y.data;
  t.rows = checked(x.shape.pixels());
  t.width = t.a_pitch = t.out_pitch = static_cast<int>(x.shape.c);
  if (b != nullptr) {
    other = b->element == x.element ? dense(*b) : copy(*b, x.element);
    t.b = other.data;
    t.b_pitch = t.width;
  }
  launch_elementwise(launcher_, x.element, x.element, what, t);
  return y;
}

CudaTensor CudaOps::adapt(Tensor x, const Weights::Linear& down, const Weights::Linear& up) {
  const bool has_kernel = down.fragments != nullptr && up.fragments != nullptr && down.out == up.in &&
                          down.out == 32 && fits_adapter(device_.limits, down.in) &&
                          (element_ == Element::f16 || device_.limits.major >= 8);
  if (!has_kernel) return Compositions<CudaOps>::adapt(std::move(x), down, up);
  x = dense(converted(x));
  Tensor y = x.memory.use_count() == 1 ? x : make(x.shape);
  y.shares = make_shares(x.shape.pixels(), 1, static_cast<int>(x.shape.c), y.share_memory);
  AdapterTask t;
  t.x = x.data;
  t.out = y.data;
  t.rows = checked(x.shape.pixels());
  t.width = static_cast<int>(x.shape.c);
  t.down = down.fragments;
  t.up = up.fragments;
  t.down_bias = down.bias;
  t.up_bias = up.bias;
  t.shares = y.shares.values;
  launch_adapter(launcher_, element_, t);
  return y;
}

CudaTensor CudaOps::feed_forward(Tensor x, const Weights::Norm& norm, const Weights::Linear& fc1,
                                 const Weights::Linear& fc2) {
  const Tensor hidden = product(layer_norm(x, norm), fc1, Epilogue::gelu);
  return product(hidden, fc2, Epilogue::add, std::move(x));
}

}  // namespace sam2unet::ops::cuda
