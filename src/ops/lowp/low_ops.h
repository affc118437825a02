// The low-precision session: implements the vocabulary in bfloat16 or int8 on our own kernels. The residual
// stream, sums, norms and the softmax are float32; what goes into a product is bfloat16 (or float32 where the
// processor multiplies nothing smaller faster), or bytes quantised by the token. One session serves one
// picture at a time, so concurrent callers each take their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "ops/compositions.h"
#include "ops/concept.h"
#include "ops/cpu/kernels.h"
#include "ops/lowp/instructions.h"
#include "ops/lowp/low_tensor.h"
#include "ops/lowp/low_weights.h"

namespace sam2unet::ops::lowp {

/// The left side of a product, as the kernel wants it: where a pixel's channels lie for each source.
struct Left {
  struct Source {
    const std::byte* data = nullptr;
    std::int64_t stride = 0;  ///< bytes from pixel to pixel
  };
  std::array<Source, LowTensor::kParts> sources;
  const std::byte* nothing = nullptr;  ///< what lies outside the picture
  SharedBlock owned;                   ///< the memory, where it had to be converted
  const float* scale = nullptr;        ///< of quantised pixels, one each
  const float* low = nullptr;
};

/// Memory of one thread for a block of rows; the pointers are into `base`.
struct BlockScratch {
  std::byte* left = nullptr;    ///< rows converted for a product
  std::byte* hidden = nullptr;  ///< rows between two products
  std::byte* sums = nullptr;
  std::byte* widened = nullptr;
  float *scale = nullptr, *low = nullptr;
  const std::byte** rows = nullptr;
  std::byte** out = nullptr;
  const std::byte** added = nullptr;
};
struct BlockSizes {
  std::int64_t count = 0;  ///< rows
  std::int64_t left = 0, hidden = 0, widened = 0;
  std::int64_t taps = 1;
  std::int64_t bytes() const;
};

class LowOps : public Compositions<LowOps> {
 public:
  using Tensor = LowTensor;
  using Weights = LowWeights;

  /// 0 threads means all cores; see CpuOps. `numerics` are those of the weights that it will see.
  explicit LowOps(const Numerics& numerics, int threads = 0);

  int threads() const { return threads_; }
  std::size_t arena_bytes() const { return arena_.bytes(); }
  /// An uninitialised float32 activation of this session.
  Tensor make(const Extent& extent) { return {arena_, extent, Element::f32}; }
  /// The same values, dense float32.
  Tensor to_f32(const Tensor& x);
  /// Forgets memory of earlier picture sizes. Only while no tensor of this session lives.
  void forget();

  static Extent extent(const Tensor& x) { return x.extent(); }
  Tensor patch_embed(const Tensor& image, const Weights::PatchEmbed& w);
  Tensor add_position(Tensor x, const Weights::Position& w);
  Tensor layer_norm(const Tensor& x, const Weights::Norm& w);
  Tensor linear(const Tensor& x, const Weights::Linear& w) { return product(x, w, Finish::none, {}); }
  Tensor gelu(Tensor x);
  Tensor relu(Tensor x);
  Tensor add(Tensor a, const Tensor& b);
  Tensor window_attention(const Tensor& qkv, const Weights::Linear& w, const AttentionGeometry& g);
  Tensor max_pool_2x2(const Tensor& x);
  Tensor conv_bn(const Tensor& x, const Weights::ConvBn& w) { return convolve(x, w, Finish::none, {}); }
  std::array<Tensor, kFan> conv_bn_fan(const Tensor& x, const Weights::ConvBnFan& w);
  template <class... More>
  Tensor concat(const Tensor& first, const More&... more) {
    return concat_all({&first, &more...});
  }
  Tensor upsample(const Tensor& x, std::int64_t height, std::int64_t width, Corners corners);

  Tensor linear_gelu(const Tensor& x, const Weights::Linear& w) { return product(x, w, Finish::gelu, {}); }
  Tensor linear_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return product(x, w, Finish::add, std::move(residual));
  }
  Tensor linear_gelu_add(const Tensor& x, const Weights::Linear& w, Tensor residual) {
    return product(x, w, Finish::gelu_add, std::move(residual));
  }
  Tensor adapt(Tensor x, const Weights::Linear& down, const Weights::Linear& up);
  Tensor feed_forward(Tensor x, const Weights::Norm& norm, const Weights::Linear& fc1,
                      const Weights::Linear& fc2);
  Tensor conv_bn_relu(const Tensor& x, const Weights::ConvBn& w) { return convolve(x, w, Finish::relu, {}); }
  Tensor conv_bn_add_relu(const Tensor& x, const Weights::ConvBn& w, Tensor residual) {
    return convolve(x, w, Finish::add_relu, std::move(residual));
  }

 private:
  using TapsKey = std::array<std::int64_t, 3>;  // in, out, align_corners

  Tensor make(const Extent& extent, Element type) { return {arena_, extent, type}; }
  Tensor converted(const Tensor& x, Element type);
  /// `x`, or a copy that may be written over, in float32.
  Tensor writable(Tensor x);
  Tensor concat_all(std::initializer_list<const Tensor*> parts);
  const std::vector<kernels::BilinearTap>& taps(std::int64_t in, std::int64_t out, Corners corners);

  Tensor product(const Tensor& x, const Matrix& w, Finish finish, Tensor added);
  Tensor convolve(const Tensor& x, const Matrix& w, Finish finish, Tensor added);
  bool fits(const Tensor& x, const Matrix& w) const;
  Left left_of(const Tensor& x, const Matrix& w);
  Left split(const Tensor& x, const Matrix& w);
  Left quantised_by_pixel(const Tensor& x, const Matrix& w);
  Left quantised_as_one(const Tensor& x, const Matrix& w);
  struct Task;
  void run_blocks(const Task& task);
  /// That much memory for each thread, in whole cache lines.
  SharedBlock shares(std::int64_t each);

  Numerics numerics_;
  int threads_;
  Arena arena_;
  std::map<TapsKey, std::vector<kernels::BilinearTap>> taps_;
  std::map<std::array<std::int64_t, 3>, std::vector<float>> positions_;
};
static_assert(Ops<LowOps>);

}  // namespace sam2unet::ops::lowp
