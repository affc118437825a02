#include "ops/cpu/onednn.h"

#include <array>
#include <atomic>
#include <string>

#include "ops/cpu/threads.h"

namespace sam2unet::ops {
namespace {

using md = dnnl::memory::desc;
using tag = dnnl::memory::format_tag;
constexpr auto f32 = dnnl::memory::data_type::f32;

// What oneDNN 2 and 3 spell differently stands in the next three functions and nowhere else: 3 has no
// operation descriptors, no scale of an element-wise post-op, and eltwise's destination is named.

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attributes,
                                            const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu_engine(), arguments..., attributes};
#else
  return {typename Primitive::desc(arguments...), attributes, cpu_engine()};
#endif
}

dnnl::eltwise_forward::primitive_desc describe_eltwise(dnnl::algorithm algorithm, const md& values) {
  constexpr auto inference = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {cpu_engine(), inference, algorithm, values, values, 0.0F, 0.0F};
#else
  return {{inference, algorithm, values, 0.0F, 0.0F}, cpu_engine()};
#endif
}

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, 0.0F, 0.0F);
#else
  ops.append_eltwise(1.0F, algorithm, 0.0F, 0.0F);
#endif
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

std::uint64_t new_weights_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

dnnl::primitive_attr attributes_of(Epilogue epilogue) {
  dnnl::post_ops ops;
  if (epilogue == Epilogue::gelu || epilogue == Epilogue::gelu_add) {
    append_eltwise(ops, dnnl::algorithm::eltwise_gelu_erf);
  }
  if (epilogue == Epilogue::add || epilogue == Epilogue::gelu_add || epilogue == Epilogue::add_relu)
    ops.append_sum(1.0F);
  if (epilogue == Epilogue::relu || epilogue == Epilogue::add_relu) {
    append_eltwise(ops, dnnl::algorithm::eltwise_relu);
  }
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(ops);
  // Scratch comes from the session's arena: a primitive may then run on any thread, and allocates nothing.
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::matmul::primitive_desc linear_desc(std::int64_t rows, int in, int out, Epilogue epilogue) {
  return describe<dnnl::matmul>(attributes_of(epilogue), md({rows, in}, f32, tag::ab),
                                md({in, out}, f32, tag::any), md({1, out}, f32, tag::ab),
                                md({rows, out}, f32, tag::ab));
}

dnnl::convolution_forward::primitive_desc conv_desc(const Extent& in, int out, Kernel kernel,
                                                    Epilogue epilogue) {
  using dims = dnnl::memory::dims;
  const dims pad{kernel.pad_h(), kernel.pad_w()};
  return describe<dnnl::convolution_forward>(
      attributes_of(epilogue), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      md({in.b, in.c, in.h, in.w}, f32, tag::nhwc), md({out, in.c, kernel.h, kernel.w}, f32, tag::any),
      md({out}, f32, tag::a), md({in.b, out, in.h, in.w}, f32, tag::nhwc), dims{1, 1},
      dims{kernel.dilation - 1, kernel.dilation - 1}, pad, pad);
}

dnnl::convolution_forward::primitive_desc patch_desc(const Extent& in, int out) {
  using dims = dnnl::memory::dims;
  // Output sides (H + 2*3 - 7) / 4 + 1 = H / 4; the padding behind is what that leaves.
  const std::int64_t oh = (in.h - 1) / 4 + 1, ow = (in.w - 1) / 4 + 1;
  return describe<dnnl::convolution_forward>(
      attributes_of(Epilogue::none), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      md({in.b, in.c, in.h, in.w}, f32, tag::nhwc), md({out, in.c, 7, 7}, f32, tag::any),
      md({out}, f32, tag::a), md({in.b, out, oh, ow}, f32, tag::nhwc), dims{4, 4}, dims{3, 3},
      dims{(oh - 1) * 4 + 7 - in.h - 3, (ow - 1) * 4 + 7 - in.w - 3});
}

dnnl::eltwise_forward::primitive_desc eltwise_desc(std::int64_t n, dnnl::algorithm algorithm) {
  return describe_eltwise(algorithm, md({n}, f32, tag::a));
}

void copy_to(const dnnl::memory& from, dnnl::memory& to) {
  const ThreadScope scope(available_threads(0));
  dnnl::stream stream(cpu_engine());
  dnnl::memory source = from;
  dnnl::reorder(source, to).execute(stream, source, to);
  stream.wait();
}

dnnl::memory in_layout(const dnnl::memory& memory, const dnnl::memory::desc& layout) {
  if (memory.get_desc() == layout) return memory;
  dnnl::memory out(layout, cpu_engine());
  copy_to(memory, out);
  return out;
}

PreparedPrimitive::PreparedPrimitive(const dnnl::primitive& primitive, const md& src, const md& weights,
                                     const md& bias, const md& dst, const md& scratch, const PackedWeights& w)
    : primitive_(primitive),
      src_(src, cpu_engine(), nullptr),
      // oneDNN may want another layout for an unusual shape; then this one has its own copy.
      weights_(in_layout(w.weights.memory, weights)),
      bias_(bias, cpu_engine(), const_cast<float*>(w.bias.data())),
      dst_(dst, cpu_engine(), nullptr),
      scratch_(scratch, cpu_engine(), nullptr),
      arguments_{{DNNL_ARG_SRC, src_.get()},
                 {DNNL_ARG_WEIGHTS, weights_.get()},
                 {DNNL_ARG_BIAS, bias_.get()},
                 {DNNL_ARG_DST, dst_.get()},
                 {DNNL_ARG_SCRATCHPAD, scratch_.get()}} {}

void PreparedPrimitive::run(const dnnl::stream& stream, const float* src, float* dst, void* scratch) const {
  src_.set_data_handle(const_cast<float*>(src));
  dst_.set_data_handle(dst);
  scratch_.set_data_handle(scratch);
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), stream.get(),
                                                 static_cast<int>(arguments_.size()), arguments_.data()),
                          "a oneDNN primitive failed");
}

bool has_product(Epilogue epilogue) {
  static const std::array<bool, 6> has = [] {
    std::array<bool, 6> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::string name = linear_desc(484, 32, 96, static_cast<Epilogue>(i)).impl_info_str();
      all[i] = !name.starts_with("ref");
    }
    return all;
  }();
  return has[static_cast<std::size_t>(epilogue)];
}

}  // namespace sam2unet::ops
