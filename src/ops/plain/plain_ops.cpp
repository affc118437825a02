#include "ops/plain/plain_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sam2unet::ops {
namespace {

using Index = std::int64_t;
std::size_t z(Index i) {
  return static_cast<std::size_t>(i);
}

// Keys' cubic with A = -0.75 (PyTorch's bicubic), for the four taps around a point `t` past the second.
std::array<double, 4> cubic_weights(double t) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };       // |x| <= 1
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };  // 1 < |x| < 2
  return {far(t + 1), near(t), near(1 - t), far(2 - t)};
}

struct Tap {
  Index first, second;
  double weight;  // of the second
};

// torch.nn.functional.interpolate(mode="bilinear"): the two source positions of an output position.
Tap bilinear_tap(Index out, Index in_size, Index out_size, Corners corners) {
  double source = 0.0;
  if (corners == Corners::aligned) {
    if (out_size > 1)
      source =
          static_cast<double>(out) * static_cast<double>(in_size - 1) / static_cast<double>(out_size - 1);
  } else {
    source =
        (static_cast<double>(out) + 0.5) * static_cast<double>(in_size) / static_cast<double>(out_size) - 0.5;
    source = std::max(source, 0.0);
  }
  const Index first = std::min(static_cast<Index>(source), in_size - 1);
  return {first, std::min(first + 1, in_size - 1), source - static_cast<double>(first)};
}

// Convolution of [B,H,W,K] with weight [N,K,kh,kw] and zero padding, without bias.
PlainTensor convolve(const PlainTensor& x, const std::vector<double>& weight, const Extent& out, int kh,
                     int kw, int stride, int pad_h, int pad_w, int dilation) {
  PlainTensor y(out);
  const Extent in = x.extent;
  for (Index b = 0; b < out.b; ++b)
    for (Index oy = 0; oy < out.h; ++oy)
      for (Index ox = 0; ox < out.w; ++ox)
        for (Index n = 0; n < out.c; ++n) {
          double sum = 0.0;
          for (int ky = 0; ky < kh; ++ky) {
            const Index iy = oy * stride - pad_h + ky * dilation;
            if (iy < 0 || iy >= in.h) continue;
            for (int kx = 0; kx < kw; ++kx) {
              const Index ix = ox * stride - pad_w + kx * dilation;
              if (ix < 0 || ix >= in.w) continue;
              for (Index k = 0; k < in.c; ++k) {
                sum += x.at(b, iy, ix, k) * weight[z(((n * in.c + k) * kh + ky) * kw + kx)];
              }
            }
          }
          y.at(b, oy, ox, n) = sum;
        }
  return y;
}

}  // namespace

PlainTensor PlainOps::patch_embed(const Tensor& image, const Weights::PatchEmbed& w) {
  const Extent e = image.extent;
  Tensor y = convolve(image, w.weight, {e.b, (e.h - 1) / 4 + 1, (e.w - 1) / 4 + 1, w.out}, 7, 7, 4, 3, 3, 1);
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] += w.bias[i % w.bias.size()];
  return y;
}

PlainTensor PlainOps::add_position(Tensor x, const Weights::Position& w) {
  const Extent e = x.extent;
  const Index bh = w.size[0], bw = w.size[1];
  for (Index y = 0; y < e.h; ++y) {
    const double sy =
        (static_cast<double>(y) + 0.5) * static_cast<double>(bh) / static_cast<double>(e.h) - 0.5;
    const auto iy = static_cast<Index>(std::floor(sy));
    const auto wy = cubic_weights(sy - static_cast<double>(iy));
    for (Index xx = 0; xx < e.w; ++xx) {
      const double sx =
          (static_cast<double>(xx) + 0.5) * static_cast<double>(bw) / static_cast<double>(e.w) - 0.5;
      const auto ix = static_cast<Index>(std::floor(sx));
      const auto wx = cubic_weights(sx - static_cast<double>(ix));
      for (Index c = 0; c < e.c; ++c) {
        double v = w.window_part[z((c * w.window + y % w.window) * w.window + xx % w.window)];
        for (Index j = 0; j < 4; ++j)
          for (Index i = 0; i < 4; ++i) {
            const Index py = std::clamp<Index>(iy - 1 + j, 0, bh - 1),
                        px = std::clamp<Index>(ix - 1 + i, 0, bw - 1);
            v += wy[z(j)] * wx[z(i)] * w.background[z((c * bh + py) * bw + px)];
          }
        for (Index b = 0; b < e.b; ++b) x.at(b, y, xx, c) += v;
      }
    }
  }
  return x;
}

PlainTensor PlainOps::layer_norm(const Tensor& x, const Weights::Norm& w) {
  Tensor y(x.extent);
  const std::size_t c = w.weight.size();
  for (std::size_t at = 0; at < x.data.size(); at += c) {
    double mean = 0.0, variance = 0.0;
    for (std::size_t i = 0; i < c; ++i) mean += x.data[at + i];
    mean /= static_cast<double>(c);
    for (std::size_t i = 0; i < c; ++i) variance += (x.data[at + i] - mean) * (x.data[at + i] - mean);
    variance /= static_cast<double>(c);
    for (std::size_t i = 0; i < c; ++i) {
      y.data[at + i] = (x.data[at + i] - mean) / std::sqrt(variance + 1e-6) * w.weight[i] + w.bias[i];
    }
  }
  return y;
}

PlainTensor PlainOps::linear(const Tensor& x, const Weights::Linear& w) {
  Tensor y({x.extent.b, x.extent.h, x.extent.w, w.out});
  for (Index m = 0; m < x.extent.pixels(); ++m)
    for (Index n = 0; n < w.out; ++n) {
      double sum = w.bias[z(n)];
      for (Index k = 0; k < w.in; ++k) sum += x.data[z(m * w.in + k)] * w.weight[z(n * w.in + k)];
      y.data[z(m * w.out + n)] = sum;
    }
  return y;
}

PlainTensor PlainOps::gelu(Tensor x) {
  for (double& v : x.data) v = 0.5 * v * (1.0 + std::erf(v / std::sqrt(2.0)));
  return x;
}

PlainTensor PlainOps::relu(Tensor x) {
  for (double& v : x.data) v = std::max(v, 0.0);
  return x;
}

PlainTensor PlainOps::add(Tensor a, const Tensor& b) {
  for (std::size_t i = 0; i < a.data.size(); ++i) a.data[i] += b.data[i];
  return a;
}

// hieradet.py:38-78 and sam2/modeling/backbones/utils.py:14-36, literally: zero tokens are padded after the
// norm, so behind the linear layer a padded token is its bias.
PlainTensor PlainOps::window_attention(const Tensor& qkv, const Weights::Linear& w,
                                       const AttentionGeometry& g) {
  const Extent e = qkv.extent;
  const Index dim = e.c / 3, d = dim / g.heads, p = g.q_pool;
  const Index win_h = g.window > 0 ? g.window : e.h, win_w = g.window > 0 ? g.window : e.w;
  Tensor out({e.b, e.h / p, e.w / p, dim});
  const auto token = [&](Index b, Index y, Index x, Index c) {
    return y < e.h && x < e.w ? qkv.at(b, y, x, c) : w.bias[z(c)];
  };
  std::vector<double> score(z(win_h * win_w));
  for (Index b = 0; b < e.b; ++b)
    for (Index head = 0; head < g.heads; ++head)
      for (Index oy = 0; oy < e.h / p; ++oy)
        for (Index ox = 0; ox < e.w / p; ++ox) {
          const Index y0 = oy * p / win_h * win_h, x0 = ox * p / win_w * win_w;
          double largest = -std::numeric_limits<double>::infinity();
          for (Index k = 0; k < win_h * win_w; ++k) {
            double s = 0.0;
            for (Index c = head * d; c < (head + 1) * d; ++c) {
              double q = -std::numeric_limits<double>::infinity();
              for (Index j = 0; j < p; ++j)
                for (Index i = 0; i < p; ++i) q = std::max(q, token(b, oy * p + j, ox * p + i, c));
              s += q * token(b, y0 + k / win_w, x0 + k % win_w, dim + c);
            }
            score[z(k)] = s / std::sqrt(static_cast<double>(d));
            largest = std::max(largest, score[z(k)]);
          }
          double sum = 0.0;
          for (double& s : score) sum += s = std::exp(s - largest);
          for (Index c = head * d; c < (head + 1) * d; ++c) {
            double v = 0.0;
            for (Index k = 0; k < win_h * win_w; ++k) {
              v += score[z(k)] * token(b, y0 + k / win_w, x0 + k % win_w, 2 * dim + c);
            }
            out.at(b, oy, ox, c) = v / sum;
          }
        }
  return out;
}

PlainTensor PlainOps::max_pool_2x2(const Tensor& x) {
  const Extent e = x.extent;
  Tensor y({e.b, e.h / 2, e.w / 2, e.c});
  for (Index b = 0; b < e.b; ++b)
    for (Index oy = 0; oy < e.h / 2; ++oy)
      for (Index ox = 0; ox < e.w / 2; ++ox)
        for (Index c = 0; c < e.c; ++c) {
          y.at(b, oy, ox, c) = std::max({x.at(b, 2 * oy, 2 * ox, c), x.at(b, 2 * oy, 2 * ox + 1, c),
                                         x.at(b, 2 * oy + 1, 2 * ox, c), x.at(b, 2 * oy + 1, 2 * ox + 1, c)});
        }
  return y;
}

PlainTensor PlainOps::conv_bn(const Tensor& x, const Weights::ConvBn& w) {
  const Extent e = x.extent;
  Tensor y = convolve(x, w.weight, {e.b, e.h, e.w, w.out}, w.kernel.h, w.kernel.w, 1, w.kernel.pad_h(),
                      w.kernel.pad_w(), w.kernel.dilation);
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    const std::size_t c = i % z(w.out);
    y.data[i] = (y.data[i] - w.mean[c]) / std::sqrt(w.variance[c] + 1e-5) * w.gamma[c] + w.beta[c];
  }
  return y;
}

std::array<PlainTensor, kFan> PlainOps::conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w) {
  return {conv_bn(x, w[0]), conv_bn(x, w[1]), conv_bn(x, w[2]), conv_bn(x, w[3]), conv_bn(x, w[4])};
}

PlainTensor PlainOps::concat_all(const std::vector<const Tensor*>& parts) {
  Extent e = parts[0]->extent;
  e.c = 0;
  for (const auto* p : parts) e.c += p->extent.c;
  Tensor y(e);
  for (Index m = 0; m < e.pixels(); ++m) {
    Index at = 0;
    for (const auto* p : parts) {
      for (Index c = 0; c < p->extent.c; ++c) y.data[z(m * e.c + at + c)] = p->data[z(m * p->extent.c + c)];
      at += p->extent.c;
    }
  }
  return y;
}

PlainTensor PlainOps::upsample(const Tensor& x, Index height, Index width, Corners corners) {
  const Extent e = x.extent;
  Tensor y({e.b, height, width, e.c});
  for (Index oy = 0; oy < height; ++oy) {
    const Tap v = bilinear_tap(oy, e.h, height, corners);
    for (Index ox = 0; ox < width; ++ox) {
      const Tap h = bilinear_tap(ox, e.w, width, corners);
      for (Index b = 0; b < e.b; ++b)
        for (Index c = 0; c < e.c; ++c) {
          const double top =
              x.at(b, v.first, h.first, c) * (1 - h.weight) + x.at(b, v.first, h.second, c) * h.weight;
          const double bottom =
              x.at(b, v.second, h.first, c) * (1 - h.weight) + x.at(b, v.second, h.second, c) * h.weight;
          y.at(b, oy, ox, c) = top * (1 - v.weight) + bottom * v.weight;
        }
    }
  }
  return y;
}

}  // namespace sam2unet::ops
