// The vocabulary on an NVIDIA GPU, by kernels of our own. One session: a stream, its memory, and what is made
// once for a size. Everything is started in order on that stream and nothing waits, so a forward pass can be
// recorded as a graph; the first pass of a size allocates, later ones do not.
#pragma once

#include <array>
#include <initializer_list>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "ops/compositions.h"
#include "ops/cuda/cuda_tensor.h"
#include "ops/cuda/cuda_weights.h"

namespace sam2unet::ops::cuda {

class CudaOps : public Compositions<CudaOps> {
 public:
  using Tensor = CudaTensor;
  using Weights = CudaWeights;

  CudaOps(const DeviceInfo& device, Element element);

  Stream& stream() { return stream_; }
  /// Waits for what was started.
  void finish() { stream_.wait(); }
  Element element() const { return element_; }
  std::size_t arena_bytes() const { return arena_.bytes(); }
  /// Forgets memory and tables of earlier sizes. Only while no tensor and no recorded graph lives.
  void forget();

  /// Uninitialised, dense.
  Tensor make(const Extent& extent, Element element);
  Tensor make(const Extent& extent) { return make(extent, element_); }
  /// Dense, without parts, norm or pitch: as it is, or a copy.
  Tensor dense(const Tensor& x);
  /// Dense and in float32.
  Tensor to_float(const Tensor& x);
  /// In the session's elements.
  Tensor converted(const Tensor& x) { return x.element == element_ ? x : copy(x, element_); }
  /// 8-bit RGB pictures [B,H,W,3] in the device's memory, to be normalised by patch_embed.
  Tensor pictures(const std::uint8_t* bytes, const Extent& extent) const;

  static Extent extent(const Tensor& x) { return x.shape; }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(Tensor x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w) { return product(x, w, Epilogue::none); }
  Tensor gelu(const Tensor& x) { return elementwise(x, Elementwise::gelu, nullptr); }
  Tensor relu(const Tensor& x) { return elementwise(x, Elementwise::relu, nullptr); }
  Tensor add(const Tensor& a, const Tensor& b) { return elementwise(a, Elementwise::add, &b); }
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w) { return product(x, w, Epilogue::none); }
  std::array<Tensor, kBranches> conv_bn_each(const std::array<const Tensor*, kBranches>& x,
                                             const std::array<const Weights::ConvBn*, kBranches>& w);
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({&first, &more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

  // Done better than composed.
  Tensor linear_gelu(const Tensor& x, const Weights::Linear& w) { return product(x, w, Epilogue::gelu); }
  Tensor linear_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return product(x, w, Epilogue::add, std::move(residual), Shares::wanted);
  }
  Tensor linear_gelu_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return product(x, w, Epilogue::gelu_add, std::move(residual));
  }
  Tensor conv_bn_relu(const Tensor& x, const Weights::ConvBn& w) { return product(x, w, Epilogue::relu); }
  Tensor conv_bn_add_relu(const Tensor& x, const Weights::ConvBn& w, Tensor residual) {
    return product(x, w, Epilogue::add_relu, std::move(residual));
  }
  Tensor adapt(Tensor x, const Weights::Linear& down, const Weights::Linear& up);
  Tensor feed_forward(Tensor x, const Weights::Norm& norm, const Weights::Linear& fc1,
                      const Weights::Linear& fc2);

 private:
  enum class Shares { none, wanted };

  // A product about to start, and what has to live until it has.
  struct Prepared {
    ProductTask task;
    const ProductKernel* kernel = nullptr;  // none: without matrix units
    Tensor left, residual, out;
  };
  Prepared prepare(const Tensor& x, const Weights::Product& w, Epilogue epilogue, Tensor residual,
                   Shares shares);
  Tensor product(const Tensor& x, const Weights::Product& w, Epilogue epilogue, Tensor residual = {},
                 Shares shares = Shares::none);
  /// The left side of a product as the task wants it; returns what has to live until it has started.
  Tensor set_left(const Tensor& x, const Weights::Product& w, bool on_matrix_units, ProductTask& task);
  /// Without parts or norm; it may be some channels of another.
  Tensor in_one_place(const Tensor& x);
  Tensor with_shares(Tensor x);
  Tensor norm_rows(const Tensor& x, const Weights::Norm& w);
  Tensor copy(const Tensor& x, Element element);
  Tensor elementwise(const Tensor& a, Elementwise what, const Tensor* b);
  Tensor concat_all(std::initializer_list<const Tensor*> parts);
  RowShares make_shares(std::int64_t rows, int count, int width, DeviceArena::Handle& memory);
  const void* position_table(const Weights::Position& w, std::int64_t height, std::int64_t width);

  DeviceInfo device_;
  Element element_;
  Stream stream_;
  Launcher launcher_;
  DeviceArena arena_;
  // By the weights' address and the size.
  std::map<std::tuple<const void*, std::int64_t, std::int64_t>, Memory> positions_;
};
static_assert(Ops<CudaOps>);

}  // namespace sam2unet::ops::cuda
