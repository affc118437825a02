// What the CPU backend needs of oneDNN: one engine, and a primitive with its arguments bound once, so that
// running it only sets pointers.
#pragma once

#include <cstdint>
#include <dnnl.hpp>
#include <memory>
#include <vector>

#include "ops/concept.h"
#include "ops/cpu/pack_queue.h"

namespace sam2unet::ops {

/// The process's CPU engine.
const dnnl::engine& cpu_engine();

/// What happens to a product before it is stored.
enum class Epilogue {
  none,
  gelu,
  add,       ///< dst += result
  gelu_add,  ///< dst += gelu(result)
  relu,
  add_relu,  ///< dst = relu(dst + result)
};

dnnl::primitive_attr attributes_of(Epilogue epilogue);
/// Whether this processor has more than oneDNN's plain loops for a linear layer with it: those for AVX2 take
/// no sum behind an activation (adapters ran at a hundredth of their speed).
bool has_product(Epilogue epilogue);

/// [rows,K] x [K,N] + bias; weights in the layout oneDNN likes best.
dnnl::matmul::primitive_desc linear_desc(std::int64_t rows, int in, int out, Epilogue epilogue);
/// Stride-1, same-size convolution of [B,H,W,K], dense in channels.
dnnl::convolution_forward::primitive_desc conv_desc(const Extent& in, int out, Kernel kernel,
                                                    Epilogue epilogue);
/// 7x7, stride 4, padding 3.
dnnl::convolution_forward::primitive_desc patch_desc(const Extent& in, int out);
/// `n` numbers, in place.
dnnl::eltwise_forward::primitive_desc eltwise_desc(std::int64_t n, dnnl::algorithm algorithm);

/// A number that no other weights of this process have: plans are kept by it, so that weights loaded later at
/// the same address are never mistaken for these.
std::uint64_t new_weights_id();

/// oneDNN's view of weights, and what it looks at.
struct WeightMemory {
  dnnl::memory memory;
  std::shared_ptr<std::byte> storage;
};

/// Weights as oneDNN wants them, and a float32 bias that kernels may read a few vectors past its end.
struct PackedWeights {
  int in = 0, out = 0;
  Kernel kernel;
  WeightMemory weights;
  std::vector<float> bias;  // [N], then slack
  OnlyMoved only_moved{};
  std::uint64_t id = new_weights_id();
};

/// A primitive for one shape.
class PreparedPrimitive {
 public:
  template <class Desc>
  PreparedPrimitive(const Desc& desc, const dnnl::primitive& primitive, const PackedWeights& w)
      : PreparedPrimitive(primitive, desc.src_desc(), desc.weights_desc(), desc.bias_desc(), desc.dst_desc(),
                          desc.scratchpad_desc(), w) {}

  std::size_t scratch_bytes() const { return scratch_.get_desc().get_size(); }
  void run(const dnnl::stream& stream, const float* src, float* dst, void* scratch) const;

 private:
  PreparedPrimitive(const dnnl::primitive& primitive, const dnnl::memory::desc& src,
                    const dnnl::memory::desc& weights, const dnnl::memory::desc& bias,
                    const dnnl::memory::desc& dst, const dnnl::memory::desc& scratch, const PackedWeights& w);
  dnnl::primitive primitive_;
  mutable dnnl::memory src_, weights_, bias_, dst_, scratch_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

/// What is in one becomes what is in the other, whose layout may be another.
void copy_to(const dnnl::memory& from, dnnl::memory& to);
/// `memory` in another layout (a copy), or itself if it has that one already.
dnnl::memory in_layout(const dnnl::memory& memory, const dnnl::memory::desc& layout);

}  // namespace sam2unet::ops
