// Attention: the head widths there are, and how a window's size chooses a kernel.
#include "ops/cuda/kernels_attention.h"
#include "ops/cuda/kernels_plain.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    attention_kernel(const __grid_constant__ AttentionTask task, int windows) {
  attention_block<Shape>(task, windows);
}

template <Element E>
__global__ void __launch_bounds__(PlainAttention<E>::kThreads)
    plain_attention_kernel(const __grid_constant__ AttentionTask task) {
  plain_attention_block<E>(task);
}

template <class Shape>
void launch(const Launcher& l, const AttentionTask& t) {
  const long long windows = static_cast<long long>(t.batch) *
                            ((t.width + t.window_width - 1) / t.window_width) *
                            ((t.height + t.window_height - 1) / t.window_height);
  const int queries = (t.window_height / t.pool) * (t.window_width / t.pool);
  const void* function = reinterpret_cast<const void*>(&attention_kernel<Shape>);
  if (Shape::kSharedBytes > 48 * 1024) {
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::kSharedBytes),
          "attention's shared memory");
  }
  start(l, function,
        dim3(blocks_for(windows, Shape::kGroups), static_cast<unsigned>(t.heads),
             blocks_for(queries, Shape::kQueries)),
        Shape::kThreads, Shape::kSharedBytes, t, static_cast<int>(windows));
}

template <Element E, int HeadWidth>
void launch_width(const Launcher& l, const AttentionTask& t) {
  const int queries = (t.window_height / t.pool) * (t.window_width / t.pool);
  if (queries <= 16) {
    launch<AttentionShape<E, HeadWidth, 1, 16>>(l, t);
  } else {
    launch<AttentionShape<E, HeadWidth, 4, 64>>(l, t);
  }
}

template <Element E>
void launch_plain(const Launcher& l, const AttentionTask& t) {
  const long long queries = static_cast<long long>(t.batch) * (t.height / t.pool) * (t.width / t.pool);
  start(l, reinterpret_cast<const void*>(&plain_attention_kernel<E>),
        dim3(blocks_for(queries, PlainAttention<E>::kWarps), static_cast<unsigned>(t.heads)),
        PlainAttention<E>::kThreads, PlainAttention<E>::kSharedBytes, t);
}

template <Element E>
void launch_element(const Launcher& l, const AttentionTask& t) {
  if (E == Element::f16 || l.device.major >= 8) {
    switch (t.head_width) {
      case 16: return launch_width<E, 16>(l, t);
      case 32: return launch_width<E, 32>(l, t);
      case 56: return launch_width<E, 56>(l, t);
      case 72: return launch_width<E, 72>(l, t);
      case 96: return launch_width<E, 96>(l, t);
      default: break;
    }
  }
  launch_plain<E>(l, t);
}

}  // namespace

void launch_attention(const Launcher& l, Element e, const AttentionTask& t) {
  if (t.head_width > kMaxHeadWidth) {
    throw UnavailableError("attention heads wider than 256 channels are not supported on the device cuda");
  }
  switch (e) {
    case Element::f32: return launch_plain<Element::f32>(l, t);
    case Element::bf16: return launch_element<Element::bf16>(l, t);
    case Element::f16: return launch_element<Element::f16>(l, t);
  }
}

}  // namespace sam2unet::ops::cuda
