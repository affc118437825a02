#include "core/tensor.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "sam2unet/errors.h"

namespace sam2unet {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 1;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "f64";
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i64:
      return "i64";
    case DType::i32:
      return "i32";
    case DType::i16:
      return "i16";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "u8";
    case DType::boolean:
      return "bool";
  }
  return "?";
}

std::int64_t checked_mul(std::int64_t a, std::int64_t b, std::string_view what) {
  std::int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) throw FormatError(fmt::format("{}: {} x {} overflows", what, a, b));
  return r;
}

std::int64_t checked_add(std::int64_t a, std::int64_t b, std::string_view what) {
  std::int64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) throw FormatError(fmt::format("{}: {} + {} overflows", what, a, b));
  return r;
}

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(dims.size()) {
  if (dims.size() > kMaxRank) {
    throw FormatError(
        fmt::format("a tensor of {} dimensions; at most {} are supported", dims.size(), kMaxRank));
  }
  for (std::size_t i = 0; i < dims.size(); ++i) dims_[i] = dims[i];
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (const auto d : *this) {
    if (d < 0) throw FormatError(fmt::format("negative dimension in shape {}", to_string(*this)));
    n = checked_mul(n, d, "tensor shape");
  }
  return n;
}

Shape Shape::dense_strides() const {
  Shape s = *this;
  std::int64_t step = 1;
  for (std::size_t i = rank_; i-- > 0;) {
    s.dims_[i] = step;
    step = checked_mul(step, dims_[i], "tensor strides");
  }
  return s;
}

bool operator==(const Shape& a, const Shape& b) {
  if (a.rank_ != b.rank_) return false;
  for (std::size_t i = 0; i < a.rank_; ++i) {
    if (a.dims_[i] != b.dims_[i]) return false;
  }
  return true;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool TensorView::is_dense() const {
  std::int64_t step = 1;
  for (std::size_t i = shape.rank(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f32_to_bf16(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  if ((u & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((u >> 16) | 0x40u);  // quiet NaN
  return static_cast<std::uint16_t>((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in float
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

std::uint16_t f32_to_f16(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000u);
  const std::uint32_t a = u & 0x7FFFFFFFu;
  if (a > 0x7F800000u) return sign | 0x7E00u;   // NaN
  if (a >= 0x477FF000u) return sign | 0x7C00u;  // rounds to 65536 or more: infinity
  if (a < 0x38800000u) {                        // below 2^-14: subnormal; adding 0.5 rounds at 2^-24
    const float r = std::bit_cast<float>(a) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(r) - 0x3F000000u));
  }
  return static_cast<std::uint16_t>(sign | ((a + 0xFFFu + ((a >> 13) & 1u) - 0x38000000u) >> 13));
}

namespace {

// Calls f(const std::byte* element) for every element in row-major order.
template <typename F>
void for_each_element(const TensorView& v, F&& f) {
  const std::size_t rank = v.shape.rank();
  const auto item = static_cast<std::int64_t>(size_of(v.dtype));
  if (v.numel() == 0) return;
  std::int64_t index[Shape::kMaxRank] = {};
  std::int64_t offset = 0;
  while (true) {
    f(v.data + offset * item);
    std::size_t d = rank;
    while (d-- > 0) {
      offset += v.strides[d];
      if (++index[d] < v.shape[d]) break;
      offset -= v.strides[d] * v.shape[d];
      index[d] = 0;
    }
    if (d == static_cast<std::size_t>(-1)) return;
  }
}

template <typename Stored, typename Out, typename Convert>
void convert_all(const TensorView& v, std::span<Out> out, Convert&& convert) {
  if (v.is_dense()) {  // the common case: one pass without index arithmetic; memcpy because files do not
                       // align
    for (std::size_t i = 0; i < out.size(); ++i) {
      Stored s;
      std::memcpy(&s, v.data + i * sizeof(Stored), sizeof(Stored));
      out[i] = static_cast<Out>(convert(s));
    }
    return;
  }
  std::size_t i = 0;
  for_each_element(v, [&](const std::byte* p) {
    Stored s;
    std::memcpy(&s, p, sizeof(Stored));
    out[i++] = static_cast<Out>(convert(s));
  });
}

template <typename Out>
void copy_converted(const TensorView& v, std::span<Out> out) {
  if (static_cast<std::int64_t>(out.size()) != v.numel()) {
    throw Error(fmt::format("copy of {} elements into {}", v.numel(), out.size()));
  }
  const auto same = [](auto x) { return x; };
  switch (v.dtype) {
    case DType::f64:
      return convert_all<double>(v, out, same);
    case DType::f32:
      return convert_all<float>(v, out, same);
    case DType::f16:
      return convert_all<std::uint16_t>(v, out, f16_to_f32);
    case DType::bf16:
      return convert_all<std::uint16_t>(v, out, bf16_to_f32);
    case DType::i64:
      return convert_all<std::int64_t>(v, out, same);
    case DType::i32:
      return convert_all<std::int32_t>(v, out, same);
    case DType::i16:
      return convert_all<std::int16_t>(v, out, same);
    case DType::i8:
      return convert_all<std::int8_t>(v, out, same);
    case DType::u8:
      return convert_all<std::uint8_t>(v, out, same);
    case DType::boolean:
      return convert_all<std::uint8_t>(v, out, [](std::uint8_t x) { return x != 0 ? 1 : 0; });
  }
}

}  // namespace

void copy_to(const TensorView& view, std::span<float> out) {
  copy_converted(view, out);
}
void copy_to(const TensorView& view, std::span<double> out) {
  copy_converted(view, out);
}

void copy_bytes(const TensorView& view, std::span<std::byte> out) {
  const std::size_t item = size_of(view.dtype);
  if (out.size() != static_cast<std::size_t>(view.numel()) * item) {
    throw Error(fmt::format("copy of {} elements into {} bytes", view.numel(), out.size()));
  }
  if (out.empty()) return;
  if (view.is_dense()) {
    std::memcpy(out.data(), view.data, out.size());
    return;
  }
  std::byte* to = out.data();
  for_each_element(view, [&](const std::byte* p) {
    std::memcpy(to, p, item);
    to += item;
  });
}

}  // namespace sam2unet
