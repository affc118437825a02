// Views of tensors in memory that somebody else owns (a mapped file, a buffer). Sizes come from hostile
// files, so everything that multiplies is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sam2unet {

enum class DType : std::uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

/// Bytes of one element.
std::size_t size_of(DType dtype);
/// "f32", "bf16", ... as the command line spells them.
std::string_view name_of(DType dtype);

/// a * b, or FormatError naming `what` if it does not fit.
std::int64_t checked_mul(std::int64_t a, std::int64_t b, std::string_view what);
/// a + b, or FormatError naming `what` if it does not fit.
std::int64_t checked_add(std::int64_t a, std::int64_t b, std::string_view what);

/// Dimensions of a tensor; at most 8 of them, kept in place.
class Shape {
 public:
  static constexpr std::size_t kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  std::size_t rank() const { return rank_; }
  std::int64_t operator[](std::size_t i) const { return dims_[i]; }
  std::int64_t& operator[](std::size_t i) { return dims_[i]; }
  const std::int64_t* begin() const { return dims_; }
  const std::int64_t* end() const { return dims_ + rank_; }
  /// Product of all dimensions (1 for a scalar); FormatError on overflow or a negative dimension.
  std::int64_t numel() const;
  /// Strides, in elements, of a dense row-major tensor of this shape.
  Shape dense_strides() const;
  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::int64_t dims_[kMaxRank] = {};
  std::size_t rank_ = 0;
};

/// "[2, 3, 352, 352]"
std::string to_string(const Shape& shape);

/// A read-only view: `data` points at element 0; strides are in elements.
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  Shape strides;

  std::int64_t numel() const { return shape.numel(); }
  bool is_dense() const;
};

float f16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_f16(float value);  // round to nearest even
float bf16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_bf16(float value);  // round to nearest even

/// Elements of `view` in row-major order, converted. `out.size()` must be `view.numel()`.
void copy_to(const TensorView& view, std::span<float> out);
void copy_to(const TensorView& view, std::span<double> out);
/// Elements in row-major order, unconverted. `out.size()` must be `view.numel() * size_of(view.dtype)`.
void copy_bytes(const TensorView& view, std::span<std::byte> out);

}  // namespace sam2unet
