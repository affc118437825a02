// What the kernels are written in: nvcc's intrinsics under the names used here, or, where a C++ compiler
// reads the kernels, the same operations computed on the host (tests/ops/cuda/emulator.h), so that every
// index, layout and tail is tested on machines without a GPU.
//
// Fragments of a warp's matrix product, per lane l (PTX ISA, "Matrix fragments for mma.m16n8k16"):
//   a[0] row l/4,   columns 2 (l%4), +1      a[2] row l/4,   columns 8 + 2 (l%4), +1
//   a[1] row l/4+8, the same columns         a[3] row l/4+8, the same columns
//   b[0] column l/4 of B, rows 2 (l%4), +1   b[1] the same column, rows 8 + 2 (l%4), +1
//   c[0], c[1] row l/4, columns 2 (l%4), +1  c[2], c[3] row l/4+8, the same columns
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/cuda/elements.h"

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define S2U_DEVICE __device__ __forceinline__
#define S2U_UNROLL _Pragma("unroll")
#define S2U_NO_UNROLL _Pragma("unroll 1")

namespace sam2unet::ops::cuda::device {

S2U_DEVICE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
S2U_DEVICE int block_x() {
  return static_cast<int>(blockIdx.x);
}
S2U_DEVICE int block_y() {
  return static_cast<int>(blockIdx.y);
}
S2U_DEVICE int block_z() {
  return static_cast<int>(blockIdx.z);
}

/// The block's dynamic shared memory, aligned to 1024 bytes.
S2U_DEVICE unsigned char* shared_memory() {
  extern __shared__ __align__(1024) unsigned char s2u_shared[];
  return s2u_shared;
}
S2U_DEVICE void sync_threads() {
  __syncthreads();
}
S2U_DEVICE void sync_warp() {
  __syncwarp();
}

/// Everything before may run while the kernel before this one ends; nothing it wrote may be read before.
S2U_DEVICE void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// The next kernel's blocks may start, up to their wait.
S2U_DEVICE void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

/// Blocks of a cluster (compute capability 9.0): which one this is, a barrier of all their threads, and a
/// number in the shared memory of block `rank` at this block's address `p`.
S2U_DEVICE int rank_in_cluster() {
  std::uint32_t rank = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
  return static_cast<int>(rank);
}
S2U_DEVICE void sync_cluster() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}
S2U_DEVICE float load_from_cluster(const float* p, int rank) {
  float v = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %1, %2;\nld.shared::cluster.f32 %0, [there];\n}"
      : "=f"(v)
      : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(p))), "r"(rank)
      : "memory");
#endif
  return v;
}

S2U_DEVICE std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

/// 16 bytes to shared memory, zeros where not `valid`; both addresses are multiples of 16. There after
/// commit_async, wait_async and a barrier. `global` is not read where not valid.
S2U_DEVICE void copy_async_16(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(bytes)
               : "memory");
#else
  *static_cast<uint4*>(shared) = valid ? *static_cast<const uint4*>(global) : make_uint4(0, 0, 0, 0);
#endif
}
S2U_DEVICE void commit_async() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Until at most `N` of the groups committed last are under way.
template <int N>
S2U_DEVICE void wait_async() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

/// 8x8 matrices of 16-bit numbers from shared memory, whose rows of 16 bytes lanes 8 i .. 8 i + 7 point to
/// for matrix i: r[i] of lane l is row l/4, columns 2 (l%4), +1. x2 reads the addresses of the first 16
/// lanes.
S2U_DEVICE void load_matrix_x4(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
S2U_DEVICE void load_matrix_x2(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
/// Each matrix transposed: r[i] of lane l is column l/4, rows 2 (l%4), +1.
S2U_DEVICE void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
S2U_DEVICE void load_matrix_x2_transposed(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

/// c += a b of a warp: [16,16] by [16,8]. E is bf16 (not on sm_75) or f16.
template <Element E>
S2U_DEVICE void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  if constexpr (E == Element::bf16) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
  } else {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
  }
}
/// The same with 8 columns of a and 8 rows of b: a[0] row l/4, columns 2 (l%4), +1; a[1] row l/4+8.
template <Element E>
S2U_DEVICE void multiply_add_k8(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  if constexpr (E == Element::bf16) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(b0));
#endif
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(b0));
  }
}

/// The value of lane `l ^ mask`.
S2U_DEVICE float shuffle_xor(float v, int mask) {
  return __shfl_xor_sync(0xffffffffU, v, mask);
}

/// Two numbers in one register, `low` in the lower half; rounded to the nearest.
template <Element E>
S2U_DEVICE std::uint32_t pack2(float low, float high) {
  if constexpr (E == Element::bf16) {
    const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&v);
  } else {
    const __half2 v = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&v);
  }
}
template <Element E>
S2U_DEVICE float low_of(std::uint32_t v) {
  if constexpr (E == Element::bf16) return __uint_as_float(v << 16);
  return __low2float(*reinterpret_cast<const __half2*>(&v));
}
template <Element E>
S2U_DEVICE float high_of(std::uint32_t v) {
  if constexpr (E == Element::bf16) return __uint_as_float(v & 0xffff0000U);
  return __high2float(*reinterpret_cast<const __half2*>(&v));
}
/// The larger of each half.
template <Element E>
S2U_DEVICE std::uint32_t max2(std::uint32_t a, std::uint32_t b) {
  return pack2<E>(fmaxf(low_of<E>(a), low_of<E>(b)), fmaxf(high_of<E>(a), high_of<E>(b)));
}

/// 2^x, about 2 units in the last place; exp2_of(-inf) is 0.
S2U_DEVICE float exp2_of(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// tanh x, off by at most 5e-4 of it, in one operation.
S2U_DEVICE float rough_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
S2U_DEVICE float log2_of(float x) {
  return __log2f(x);
}
S2U_DEVICE float divide(float a, float b) {
  return __fdividef(a, b);
}
/// Rounded to the nearest, as IEEE says.
S2U_DEVICE float divide_exactly(float a, float b) {
  return __fdiv_rn(a, b);
}
S2U_DEVICE float reciprocal_root(float x) {
  return rsqrtf(x);
}
S2U_DEVICE float error_function(float x) {
  return erff(x);
}
S2U_DEVICE float larger(float a, float b) {
  return fmaxf(a, b);
}
S2U_DEVICE float smaller(float a, float b) {
  return fminf(a, b);
}
S2U_DEVICE float multiply_then_add(float a, float b, float c) {
  return fmaf(a, b, c);
}

S2U_DEVICE Floats2 load_floats_2(const float* p) {
  const float2 v = *reinterpret_cast<const float2*>(p);
  return {v.x, v.y};
}
S2U_DEVICE Bytes16 load_16(const void* p) {
  const uint4 v = *static_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
S2U_DEVICE void store_16(void* p, const Bytes16& b) {
  *static_cast<uint4*>(p) = make_uint4(b.v[0], b.v[1], b.v[2], b.v[3]);
}

}  // namespace sam2unet::ops::cuda::device

#else
#include "emulator.h"  // tests/ops/cuda
#endif
