// The primitives of ops/cuda/device.h computed on the host, so that kernels run where there is no GPU, and
// what a GPU would do wrong without a word is a Fault that says who, where and what.
//
// The lanes of a block are fibers. A lane runs up to the next operation that its warp does together; when all
// 32 stand at the same one it is computed for the whole warp. Checked: lanes of a warp that meet at different
// operations or end before the others, addresses (alignment, inside the block's shared memory), bytes of
// cp.async used before they arrived, and, for what goes through the functions below, shared memory written
// and read, or written twice, by different threads without a barrier between (__syncwarp is enough within a
// warp). Shared memory begins as 0xFF bytes, NaN in every format, and so do the bytes that a cp.async under
// way will fill. Accesses by plain pointers are not seen: for them there are the NaN, the marks behind the
// shared memory, and Launch::reversed, another order of lanes under which a right kernel gives the same bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "ops/cuda/elements.h"

#define S2U_DEVICE inline
#define S2U_UNROLL
#define S2U_NO_UNROLL

namespace sam2unet::ops::cuda::device {

/// What a GPU would not have noticed.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Grid {
  int x = 1, y = 1, z = 1;
};

struct Launch {
  Grid grid;
  int threads = 32;
  std::size_t shared_bytes = 0;
  /// Neighbours in x that are a cluster.
  int cluster = 1;
  /// Lanes and warps run in descending order: shows what depends on their order unseen.
  bool reversed = false;
  /// Threads of this machine, 0 for all its cores.
  int workers = 0;
};

/// What a launch did, all blocks together.
struct Counters {
  std::int64_t blocks = 0;
  std::int64_t products = 0;       ///< multiply_add, by warps
  std::int64_t products_k8 = 0;    ///< multiply_add_k8
  std::int64_t matrix_phases = 0;  ///< 8x8 matrices read by load_matrix
  /// Reads of shared memory beyond one per matrix, since rows lay in the same banks.
  std::int64_t extra_wavefronts = 0;
  std::int64_t copies = 0;  ///< copy_async_16, by lanes
  std::int64_t barriers = 0;

  Counters& operator+=(const Counters& o);
};

/// Runs `kernel` for every thread of every block; throws Fault, or what the kernel threw.
Counters launch(const Launch& launch, const std::function<void()>& kernel);
inline Counters launch(Grid grid, int threads, std::size_t shared_bytes,
                       const std::function<void()>& kernel) {
  return launch({.grid = grid, .threads = threads, .shared_bytes = shared_bytes}, kernel);
}

// ---- device.h's names

int thread_index();
int block_x();
int block_y();
int block_z();
unsigned char* shared_memory();
void sync_threads();
void sync_warp();
inline void wait_for_previous() {}
inline void let_next_start() {}

int rank_in_cluster();
void sync_cluster();
/// The number at this block's address `p` in the shared memory of block `rank`: written before a
/// sync_cluster, and not written again before the next.
float load_from_cluster(const float* p, int rank);

/// The offset in the block's shared memory.
std::uint32_t shared_address(const void* p);
void copy_async_16(void* shared, const void* global, bool valid);
void commit_async();
namespace detail {
void wait_async(int groups);
/// `count` matrices to r[0..count).
void load_matrix(std::uint32_t* r, int count, const void* row, bool transposed);
void multiply_add(float* c, const std::uint32_t* a, const std::uint32_t* b, int k, Element e);
/// An access of `bytes` by the current lane, at an address that is a multiple of `alignment`; global memory's
/// alignment is checked, shared memory's order too.
void read(const void* p, int bytes, int alignment);
void write(void* p, int bytes, int alignment);
}  // namespace detail
template <int N>
void wait_async() {
  detail::wait_async(N);
}

inline void load_matrix_x4(std::uint32_t (&r)[4], const void* row) {
  detail::load_matrix(r, 4, row, false);
}
inline void load_matrix_x2(std::uint32_t (&r)[2], const void* row) {
  detail::load_matrix(r, 2, row, false);
}
inline void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* row) {
  detail::load_matrix(r, 4, row, true);
}
inline void load_matrix_x2_transposed(std::uint32_t (&r)[2], const void* row) {
  detail::load_matrix(r, 2, row, true);
}

/// Sums in ascending order of k, each product added to c in float32.
template <Element E>
void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  const std::uint32_t b[2] = {b0, b1};
  detail::multiply_add(c, a, b, 16, E);
}
template <Element E>
void multiply_add_k8(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  const std::uint32_t a[2] = {a0, a1};
  detail::multiply_add(c, a, &b0, 8, E);
}

float shuffle_xor(float v, int mask);

template <Element E>
std::uint32_t pack2(float low, float high) {
  return to_bits(low, E) | (static_cast<std::uint32_t>(to_bits(high, E)) << 16);
}
template <Element E>
float low_of(std::uint32_t v) {
  return from_bits(static_cast<std::uint16_t>(v), E);
}
template <Element E>
float high_of(std::uint32_t v) {
  return from_bits(static_cast<std::uint16_t>(v >> 16), E);
}
inline float larger(float a, float b) {
  return std::fmax(a, b);
}
inline float smaller(float a, float b) {
  return std::fmin(a, b);
}
template <Element E>
std::uint32_t max2(std::uint32_t a, std::uint32_t b) {
  return pack2<E>(larger(low_of<E>(a), low_of<E>(b)), larger(high_of<E>(a), high_of<E>(b)));
}

inline float exp2_of(float x) {
  return std::exp2(x);
}
inline float rough_tanh(float x) {
  return std::tanh(x);
}
inline float log2_of(float x) {
  return std::log2(x);
}
inline float divide(float a, float b) {
  return a / b;
}
inline float divide_exactly(float a, float b) {
  return a / b;
}
inline float reciprocal_root(float x) {
  return 1.0F / std::sqrt(x);
}
inline float error_function(float x) {
  return std::erf(x);
}
inline float multiply_then_add(float a, float b, float c) {
  return std::fma(a, b, c);
}

inline Floats2 load_floats_2(const float* p) {
  detail::read(p, 8, 8);
  return {p[0], p[1]};
}
inline Bytes16 load_16(const void* p) {
  detail::read(p, 16, 16);
  Bytes16 b;
  std::memcpy(&b, p, 16);
  return b;
}
inline void store_16(void* p, const Bytes16& b) {
  detail::write(p, 16, 16);
  std::memcpy(p, &b, 16);
}

}  // namespace sam2unet::ops::cuda::device
