#include "ops/torch/torch_ops.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace sam2unet::ops {
namespace {

constexpr double kMomentum = 0.1;

// LibTorch computes on [B,C,H,W]; these are views.
at::Tensor planes(const at::Tensor& x) {
  return x.permute({0, 3, 1, 2});
}
at::Tensor picture(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1});
}

// Windows of one size: [y0,y1) x [x0,x1) of the picture, cut into equal ones.
struct Region {
  std::int64_t window_h, window_w;  // real tokens of one window
  std::int64_t padding;             // tokens by which one window reaches past the picture
};

// [B,h,w,n*heads*d] -> n x [B*windows, heads, tokens, d], views of one copy. A window's token keeps its
// values together, so that all of it is read in one piece.
std::vector<at::Tensor> to_windows(const at::Tensor& x, std::int64_t n, std::int64_t wh, std::int64_t ww,
                                   std::int64_t heads) {
  const auto b = x.size(0), ny = x.size(1) / wh, nx = x.size(2) / ww, c = x.size(3);
  return x.reshape({b, ny, wh, nx, ww, c})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({b * ny * nx, wh * ww, n, heads, c / n / heads})
      .permute({2, 0, 3, 1, 4})
      .unbind(0);
}

at::Tensor from_windows(const at::Tensor& y, std::int64_t b, std::int64_t ny, std::int64_t nx,
                        std::int64_t wh, std::int64_t ww) {
  const auto heads = y.size(1), d = y.size(3);
  return y.permute({0, 2, 1, 3})
      .reshape({b, ny, nx, wh, ww, heads * d})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({b, ny * wh, nx * ww, heads * d});
}

// Attention of one region's windows: queries, keys, values [windows, heads, tokens, d].
at::Tensor attend_windows(const at::Tensor& queries, at::Tensor keys, at::Tensor values,
                          const at::Tensor& bias, std::int64_t padding) {
  std::optional<at::Tensor> mask;
  if (padding > 0) {
    // n equal keys weigh as one whose score is log n higher: n exp(s) = exp(s + log n)
    const std::int64_t heads = keys.size(1), d = keys.size(3), dim = heads * d;
    const auto extra = [&](std::int64_t part) {
      return bias.narrow(0, part * dim, dim).reshape({1, heads, 1, d}).expand({keys.size(0), -1, -1, -1});
    };
    const at::Tensor extra_key = extra(1), extra_value = extra(2);
    keys = at::cat({keys, extra_key}, 2);
    values = at::cat({values, extra_value}, 2);
    at::Tensor score = at::zeros({keys.size(2)}, queries.options().requires_grad(false));
    score.narrow(0, keys.size(2) - 1, 1).fill_(std::log(static_cast<double>(padding)));
    mask = score.expand({1, 1, queries.size(2), keys.size(2)});
  }
  return at::scaled_dot_product_attention(queries, keys, values, mask);
}

// One side of the picture as a run of whole windows and a cut one, either of which may be missing.
struct Span {
  std::int64_t from, to, window;
};
std::vector<Span> spans(std::int64_t size, std::int64_t window) {
  const std::int64_t whole = size / window * window;
  std::vector<Span> out;
  if (whole > 0) out.push_back({0, whole, window});
  if (whole < size) out.push_back({whole, size, size - whole});
  return out;
}

// Pieces of the sides' sizes. Their gradients are joined by one copy, where those of slices are padded with
// zeros to the whole and added.
std::vector<at::Tensor> pieces(const at::Tensor& x, std::int64_t dimension, const std::vector<Span>& sides,
                               std::int64_t scale) {
  if (sides.size() == 1) return {x};
  std::vector<std::int64_t> sizes;
  sizes.reserve(sides.size());
  for (const Span& s : sides) sizes.push_back((s.to - s.from) / scale);
  return at::split_with_sizes(x, sizes, dimension);
}

// [B,H,W,5 N] -> 5 views [B,H,W,N]
std::array<at::Tensor, kFan> split(const at::Tensor& all) {
  std::array<at::Tensor, kFan> out;
  const std::int64_t n = all.size(3) / kFan;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = all.narrow(3, static_cast<std::int64_t>(i) * n, n);
  return out;
}

at::Tensor bicubic_weights(const at::Tensor& unit, std::int64_t n) {
  return at::upsample_bicubic2d(unit, {n, 1}, /*align_corners=*/false);
}

// A resize as two matrix products: PyTorch's own kernels add their gradients in no fixed order on a GPU. The
// matrix is what the resize makes of unit vectors, `weights` of [in,1,in,1] at [out,1].
template <class Weights>
at::Tensor resize_by_products(const at::Tensor& x, std::int64_t height, std::int64_t width,
                              const Weights& weights) {  // [B,C,h,w] -> [B,C,H,W]
  const auto matrix = [&](std::int64_t in, std::int64_t out) {
    const at::Tensor unit = at::eye(in, x.options().dtype(at::kFloat).requires_grad(false));
    return weights(unit.reshape({in, 1, in, 1}).to(x.scalar_type()), out).reshape({in, out});
  };
  return at::matmul(matrix(x.size(2), height).t(), at::matmul(x, matrix(x.size(3), width)));
}

}  // namespace

// In x's type. What does not learn is cast once, and again only if it was written since.
at::Tensor TorchOps::as(const Tensor& parameter, const Tensor& x) {
  if (parameter.scalar_type() == x.scalar_type()) return parameter;
  if (parameter.requires_grad() || !parameter.is_leaf() || parameter.is_inference()) {
    return parameter.to(x.scalar_type());
  }
  const auto version = static_cast<std::int64_t>(parameter._version());
  Cast& c = casts_[parameter.unsafeGetTensorImpl()];
  if (!c.value.defined() || c.value.scalar_type() != x.scalar_type() || c.version != version) {
    c = {parameter.to(x.scalar_type()), version};
  }
  return c.value;
}

at::Tensor TorchOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  return picture(at::conv2d(planes(image), as(w.weight, image), as(w.bias, image), 4, 3));
}

at::Tensor TorchOps::add_position(const Tensor& x, const Weights::Position& w) {
  const Extent e = extent(x);
  const std::int64_t side = w.window.size(2);
  const Tensor background = deterministic
                                ? resize_by_products(w.background, e.h, e.w, bicubic_weights)
                                : at::upsample_bicubic2d(w.background, {e.h, e.w}, /*align_corners=*/false);
  // Cut where the picture is no multiple of the window; the reference cannot run such sizes.
  const Tensor tiled = w.window.repeat({1, 1, (e.h + side - 1) / side, (e.w + side - 1) / side})
                           .slice(2, 0, e.h)
                           .slice(3, 0, e.w);
  return x + picture(background + tiled).to(x.scalar_type());
}

at::Tensor TorchOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  return at::layer_norm(x, {x.size(3)}, as(w.weight, x), as(w.bias, x), 1e-6);
}

at::Tensor TorchOps::linear(const Tensor& x, const Weights::Linear& w) {
  return at::linear(x, as(w.weight, x).reshape({w.weight.size(0), w.weight.size(1)}), as(w.bias, x));
}

at::Tensor TorchOps::gelu(const Tensor& x) {
  return at::gelu(x);
}

at::Tensor TorchOps::relu(const Tensor& x) {
  return at::relu(x);
}

at::Tensor TorchOps::add(const Tensor& a, const Tensor& b) {
  return a + b;
}

at::Tensor TorchOps::window_attention(const Tensor& qkv, const Weights::Linear& w,
                                      const AttentionGeometry& g) {
  const Extent e = extent(qkv);
  const std::int64_t dim = e.c / 3, p = g.q_pool;
  const bool is_pooled = p > 1;
  // Windows and pictures have even sides where queries are pooled, so no 2x2 reaches over a border.
  Tensor pooled, rest = qkv;  // rest: all three, or keys and values
  if (is_pooled) {
    const auto parts = at::split_with_sizes(qkv, {dim, 2 * dim}, 3);
    pooled = max_pool_2x2(parts[0]);
    rest = parts[1];
  }
  const Tensor bias = as(w.bias, qkv);
  const std::int64_t win_h = g.window > 0 ? g.window : e.h, win_w = g.window > 0 ? g.window : e.w;
  const auto attend = [&](const Tensor& q, const Tensor& x, const Region& r) {
    const auto parts = to_windows(x, is_pooled ? 2 : 3, r.window_h, r.window_w, g.heads);
    const Tensor queries =
        is_pooled ? to_windows(q, 1, r.window_h / p, r.window_w / p, g.heads)[0] : parts[0];
    const Tensor y =
        attend_windows(queries, parts[parts.size() - 2], parts[parts.size() - 1], bias, r.padding);
    return from_windows(y, e.b, x.size(1) / r.window_h, x.size(2) / r.window_w, r.window_h / p,
                        r.window_w / p);
  };
  const auto ys = spans(e.h, win_h), xs = spans(e.w, win_w);
  const auto rest_rows = pieces(rest, 1, ys, 1);
  const auto pooled_rows = is_pooled ? pieces(pooled, 1, ys, p) : rest_rows;
  std::vector<Tensor> rows;
  for (std::size_t y = 0; y < ys.size(); ++y) {
    const auto parts = pieces(rest_rows[y], 2, xs, 1);
    const auto queries = is_pooled ? pieces(pooled_rows[y], 2, xs, p) : parts;
    std::vector<Tensor> row;
    for (std::size_t x = 0; x < xs.size(); ++x) {
      row.push_back(attend(queries[x], parts[x],
                           {ys[y].window, xs[x].window, win_h * win_w - ys[y].window * xs[x].window}));
    }
    rows.push_back(row.size() == 1 ? row[0] : at::cat(row, 2));
  }
  return rows.size() == 1 ? rows[0] : at::cat(rows, 1);  // [B,H/p,W/p,D]
}

at::Tensor TorchOps::max_pool_2x2(const Tensor& x) {
  return picture(at::max_pool2d(planes(x), {2, 2}));
}

// Batch statistics in training; the running ones move by 0.1 towards mean and unbiased variance.
at::Tensor TorchOps::batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                                const Tensor& variance) {
  if (!training || !gather) {
    const bool moves = !is_again_;
    // On the CPU, LibTorch's kernel for channels-last tensors adds its gradients up in float32: they were off
    // by 8e-3 of their norm at 352x352, where those of the kernel for planes are off by 2e-5.
    return at::batch_norm(x.is_cpu() ? x.contiguous() : x, weight, bias, moves ? mean : Tensor(),
                          moves ? variance : Tensor(), training, kMomentum, kBatchEps,
                          /*cudnn_enabled=*/true);
  }
  const Tensor wide = x.to(weight.scalar_type());
  const BatchMoments m = batch_moments(wide, gather);
  if (!is_again_) {
    Tensor(mean).mul_(1 - kMomentum).add_(m.mean, kMomentum);
    Tensor(variance).mul_(1 - kMomentum).add_(m.variance * m.count / (m.count - 1), kMomentum);
  }
  return sync_batch_norm(wide, weight, bias, m, kBatchEps, gather).to(x.scalar_type());
}

bool TorchOps::gradients_wanted() {
  return c10::GradMode::is_enabled();
}

at::Tensor TorchOps::conv_bn(const Tensor& x, const Weights::ConvBn& w) {
  const Kernel& k = w.kernel;
  const Tensor y =
      at::conv2d(planes(x), as(w.weight, x), w.bias, {1, 1}, at::IntArrayRef({k.pad_h(), k.pad_w()}),
                 at::IntArrayRef({k.dilation, k.dilation}));
  if (w.bias.defined()) return picture(y);
  return picture(batch_norm(y, w.norm.weight, w.norm.bias, w.norm.mean, w.norm.variance));
}

std::array<at::Tensor, kFan> TorchOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  if (w.folded.bias.defined()) return split(conv_bn(x, w.folded));
  std::vector<Tensor> weight, gamma, beta;
  for (const auto& part : w.parts) {
    weight.push_back(part.weight);
    gamma.push_back(part.norm.weight);
    beta.push_back(part.norm.bias);
  }
  const Tensor y = at::conv2d(planes(x), at::cat(weight).to(x.scalar_type()));
  return split(picture(batch_norm(y, at::cat(gamma), at::cat(beta), w.mean, w.variance)));
}

at::Tensor TorchOps::concat_all(const std::vector<Tensor>& parts) {
  return at::cat(parts, 3);
}

at::Tensor TorchOps::upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners) {
  if (!deterministic)
    return picture(at::upsample_bilinear2d(planes(x), {height, width}, corners == Corners::aligned));
  return picture(resize_by_products(planes(x), height, width, [corners](const Tensor& unit, std::int64_t n) {
    return at::upsample_bilinear2d(unit, {n, 1}, corners == Corners::aligned);
  }));
}

}  // namespace sam2unet::ops
