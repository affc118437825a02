// Adapters, products without matrix units, and everything that is read once and written once.
#include "ops/cuda/kernels_adapter.h"
#include "ops/cuda/kernels_plain.h"
#include "ops/cuda/kernels_rows.h"
#include "ops/cuda/start.h"

namespace sam2unet::ops::cuda {
namespace {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads) adapter_kernel(const __grid_constant__ AdapterTask task) {
  adapter_block<Shape>(task);
}
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    plain_product_kernel(const __grid_constant__ ProductTask task) {
  plain_product_block<Shape>(task);
}
template <Element E>
__global__ void __launch_bounds__(kHeadThreads) head_kernel(const __grid_constant__ ProductTask task) {
  head_block<E>(task);
}
template <Element E>
__global__ void __launch_bounds__(kRowThreads) unfold_kernel(const __grid_constant__ UnfoldTask task) {
  unfold_block<E>(task);
}
template <Element E>
__global__ void __launch_bounds__(kRowThreads) norm_kernel(const __grid_constant__ RowsTask task) {
  norm_block<E>(task);
}
template <Element E, int kEach>
__global__ void __launch_bounds__(kRowThreads) resize_kernel(const __grid_constant__ ResizeTask task) {
  resize_block<E, kEach>(task);
}
template <Element E>
__global__ void __launch_bounds__(kRowThreads) pool_kernel(const __grid_constant__ PoolTask task) {
  pool_block<E>(task);
}
template <Element In, Element Out>
__global__ void __launch_bounds__(kRowThreads)
    elementwise_kernel(const __grid_constant__ ElementwiseTask task, Elementwise what) {
  elementwise_block<In, Out>(task, what);
}

template <Element E>
__global__ void __launch_bounds__(kRowThreads) add_rows_kernel(const __grid_constant__ ElementwiseTask task) {
  add_rows_block<E>(task);
}

// Calls use(an Element as a constant).
template <Element E>
struct Constant {
  static constexpr Element value = E;
};
template <class Use>
void with_element(Element e, const Use& use) {
  switch (e) {
    case Element::f32: return use(Constant<Element::f32>{});
    case Element::bf16: return use(Constant<Element::bf16>{});
    case Element::f16: return use(Constant<Element::f16>{});
  }
}

template <class T>
const void* address(T* function) {
  return reinterpret_cast<const void*>(function);
}

template <Element E, int RowWarps>
void launch_adapter_shape(const Launcher& l, const AdapterTask& t) {
  using Shape = AdapterShape<E, RowWarps>;
  const void* function = address(&adapter_kernel<Shape>);
  const int shared = Shape::shared_bytes(t.width);
  if (shared > 48 * 1024) {
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
          "the adapter's shared memory");
  }
  start(l, function, dim3(blocks_for(t.rows, Shape::kRows)), Shape::kThreads, shared, t);
}

}  // namespace

bool fits_adapter(const DeviceLimits& device, int width) {
  return width % 16 == 0 && AdapterShape<Element::f16, 1>::shared_bytes(width) <= device.shared_bytes;
}

void launch_adapter(const Launcher& l, Element e, const AdapterTask& t) {
  // Many rows are made faster by blocks of 64, as long as two such blocks fit a multiprocessor.
  const bool is_tall = t.rows >= 64 * l.device.multiprocessors &&
                       2 * AdapterShape<Element::f16, 4>::shared_bytes(t.width) <= l.device.shared_bytes;
  with_element(e, [&](auto element) {
    if constexpr (element.value != Element::f32) {
      is_tall ? launch_adapter_shape<element.value, 4>(l, t) : launch_adapter_shape<element.value, 1>(l, t);
    }
  });
}

void launch_plain_product(const Launcher& l, Element in, Element out, const ProductTask& t) {
  constexpr int kFewColumns = 8;
  const bool is_head = in != Element::f32 && out == Element::f32 && t.columns <= kFewColumns &&
                       t.tap_rows * t.tap_columns == 1 && t.part_width == t.depth && t.depth % 8 == 0 &&
                       t.pitches[0] % 8 == 0 && t.epilogue == Epilogue::none;
  with_element(in, [&](auto element) {
    constexpr Element E = element.value;
    if constexpr (E != Element::f32) {
      if (is_head) {
        return start(l, address(&head_kernel<E>),
                     dim3(blocks_for(static_cast<long long>(t.rows) * t.columns, kHeadThreads)), kHeadThreads, 0,
                     t);
      }
    }
    const auto go = [&]<Element Out>() {
      using Shape = PlainProductShape<E, Out>;
      start(l, address(&plain_product_kernel<Shape>),
            dim3(blocks_for(t.columns, Shape::kTile), blocks_for(t.rows, Shape::kTile)), Shape::kThreads,
            Shape::kSharedBytes, t);
    };
    if (out == Element::f32) return go.template operator()<Element::f32>();
    if constexpr (E != Element::f32) go.template operator()<E>();
  });
}

void launch_unfold(const Launcher& l, Element e, const UnfoldTask& t) {
  const long long items =
      static_cast<long long>(t.batch) * (t.height / 4) * (t.width / 4) * (t.pitch / 8);
  with_element(e, [&](auto element) {
    start(l, address(&unfold_kernel<element.value>), dim3(blocks_for(items, kRowThreads)), kRowThreads, 0, t);
  });
}

void launch_norm(const Launcher& l, Element e, const RowsTask& t) {
  with_element(e, [&](auto element) {
    start(l, address(&norm_kernel<element.value>), dim3(blocks_for(t.rows, kRowThreads / 32)), kRowThreads, 0,
          t);
  });
}

void launch_resize(const Launcher& l, Element e, const ResizeTask& t) {
  const long long items = static_cast<long long>(t.batch) * t.out_height * t.out_width * t.channels;
  with_element(e, [&](auto element) {
    if (t.channels % 8 == 0) {
      start(l, address(&resize_kernel<element.value, 8>), dim3(blocks_for(items / 8, kRowThreads)),
            kRowThreads, 0, t);
    } else {
      start(l, address(&resize_kernel<element.value, 1>), dim3(blocks_for(items, kRowThreads)), kRowThreads,
            0, t);
    }
  });
}

void launch_pool(const Launcher& l, Element e, const PoolTask& t) {
  const long long items = static_cast<long long>(t.batch) * (t.height / 2) * (t.width / 2) * t.channels;
  with_element(e, [&](auto element) {
    start(l, address(&pool_kernel<element.value>), dim3(blocks_for(items, kRowThreads)), kRowThreads, 0, t);
  });
}

void launch_elementwise(const Launcher& l, Element in, Element out, Elementwise what,
                        const ElementwiseTask& t) {
  const long long items = static_cast<long long>(t.rows) * t.width;
  const auto go = [&]<Element In, Element Out>() {
    start(l, address(&elementwise_kernel<In, Out>), dim3(blocks_for(items, kRowThreads)), kRowThreads, 0, t,
          what);
  };
  const bool is_even = (t.width | t.a_pitch | t.b_pitch | t.out_pitch) % 8 == 0;
  with_element(in, [&](auto element) {
    constexpr Element E = element.value;
    if constexpr (E != Element::f32) {
      if (what == Elementwise::add && is_even) {
        return start(l, address(&add_rows_kernel<E>), dim3(blocks_for(items / 8, kRowThreads)), kRowThreads, 0, t);
      }
    }
    if (out == E) return go.template operator()<E, E>();
    if constexpr (E == Element::f32) {
      if (out == Element::bf16) return go.template operator()<E, Element::bf16>();
      return go.template operator()<E, Element::f16>();
    } else {
      go.template operator()<E, Element::f32>();
    }
  });
}

}  // namespace sam2unet::ops::cuda
