// numpy's summation of floating-point arrays, to the last bit: pairwise inside blocks of at most 128 with
// eight running sums, over pieces of 8,192 elements (numpy's buffer), the pieces added one after the other.
// Seen in numpy 1.26 to 2.3; where a sum decides a comparison, its last bit belongs to the definition.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sam2unet::metrics {

namespace detail {

template <typename T, typename At>
T pairwise(const At& at, std::int64_t first, std::int64_t count) {
  if (count < 8) {
    T sum = T(-0.0);
    for (std::int64_t i = 0; i < count; ++i) sum += at(first + i);
    return sum;
  }
  if (count <= 128) {
    T r[8];
    for (int k = 0; k < 8; ++k) r[k] = at(first + k);
    std::int64_t i = 8;
    for (; i < count - count % 8; i += 8) {
      for (int k = 0; k < 8; ++k) r[k] += at(first + i + k);
    }
    T sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < count; ++i) sum += at(first + i);
    return sum;
  }
  std::int64_t half = count / 2;
  half -= half % 8;
  const T left = pairwise<T>(at, first, half);
  return left + pairwise<T>(at, first + half, count - half);
}

}  // namespace detail

/// numpy.sum of an array whose element i (row-major) is `at(i)`.
template <typename T, typename At>
T numpy_sum(const At& at, std::int64_t count) {
  constexpr std::int64_t kBuffer = 8192;
  T sum = 0;
  for (std::int64_t i = 0; i < count; i += kBuffer) {
    sum += detail::pairwise<T>(at, i, count - i < kBuffer ? count - i : kBuffer);
  }
  return sum;
}

/// The same of elements that are written when they are needed, so that the array itself is never in memory:
/// `write(i, n, to)` writes the n elements from i on.
template <typename T, typename Write>
T numpy_sum_in_pieces(const Write& write, std::int64_t count) {
  constexpr std::int64_t kBuffer = 8192;
  T piece[kBuffer];
  T sum = 0;
  for (std::int64_t i = 0; i < count; i += kBuffer) {
    const std::int64_t n = count - i < kBuffer ? count - i : kBuffer;
    write(i, n, piece);
    sum += detail::pairwise<T>([&piece](std::int64_t k) { return piece[k]; }, 0, n);
  }
  return sum;
}

}  // namespace sam2unet::metrics
