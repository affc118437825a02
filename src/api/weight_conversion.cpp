#include "api/weight_conversion.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "formats/text.h"
#include "model/checkpoint.h"
#include "model/finite.h"
#include "model/int8.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

using formats::PendingTensor;

bool is_floating(DType d) {
  return d == DType::f64 || d == DType::f32 || d == DType::f16 || d == DType::bf16;
}

// Type of what is not stored as int8.
DType float_type(WeightsPrecision p) {
  switch (p) {
    case WeightsPrecision::f16:
      return DType::f16;
    case WeightsPrecision::bf16:
      return DType::bf16;
    default:
      return DType::f32;
  }
}

// The tensor as float32, int8 scaled back; its pages leave memory.
std::vector<float> floats_of(const SourceTensor& s) {
  std::vector<float> values;
  model::read_tensor(*s.file, s.stored_name, values);
  return values;
}

template <typename T>
std::span<const std::byte> encode(const std::vector<float>& values, std::vector<std::byte>& buffer,
                                  T (*one)(float)) {
  buffer.resize(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T bits = one(values[i]);
    std::memcpy(buffer.data() + i * sizeof(T), &bits, sizeof(T));
  }
  return buffer;
}

std::uint16_t checked_f16(float value) {
  const std::uint16_t bits = f32_to_f16(value);
  const bool became_infinite = (bits & 0x7FFFU) == 0x7C00U && std::isfinite(value);
  if (became_infinite) throw WeightsError(fmt::format("{} does not fit into f16", value));
  return bits;
}

std::span<const std::byte> encode_as(DType type, const SourceTensor& s, std::vector<std::byte>& buffer) {
  const auto values = floats_of(s);
  if (type == DType::bf16) return encode<std::uint16_t>(values, buffer, f32_to_bf16);
  if (type == DType::f32) return encode<float>(values, buffer, [](float v) { return v; });
  try {
    return encode<std::uint16_t>(values, buffer, checked_f16);
  } catch (const WeightsError& e) {
    throw WeightsError(fmt::format("{}: tensor {}: {}; use bf16 or f32", s.file->path().string(),
                                   formats::printable(s.name), e.what()));
  }
}

// weight = int8 * scale, scale = max |row| / 127, rounded to nearest even.
void append_int8(const SourceTensor& s, const Shape& shape, std::vector<PendingTensor>& out) {
  const auto rows = static_cast<std::size_t>(shape[0]);
  out.push_back({s.name, DType::i8, shape, [s, rows](std::vector<std::byte>& buffer) {
                   const auto values = floats_of(s);
                   const auto scales = model::row_scales(values, rows, s.name);
                   buffer.resize(values.size());
                   for (std::size_t row = 0, i = 0; row < rows; ++row) {
                     for (const std::size_t end = values.size() / rows * (row + 1); i < end; ++i)
                       buffer[i] = static_cast<std::byte>(model::quantised(values[i], scales[row]));
                   }
                   return std::span<const std::byte>(buffer);
                 }});
  out.push_back({s.name + std::string(model::kScaleSuffix),
                 DType::f32,
                 {shape[0]},
                 [s, rows](std::vector<std::byte>& buffer) {
                   return encode<float>(model::row_scales(floats_of(s), rows, s.name), buffer,
                                        [](float v) { return v; });
                 }});
}

// Refuses a tensor with a number that is none when it is written.
PendingTensor checked(const SourceTensor& s, PendingTensor tensor, const TensorView& view) {
  tensor.bytes = [s, view, plain = std::move(tensor.bytes)](std::vector<std::byte>& buffer) {
    if (const auto wrong = model::find_wrong_number(s.stored_name, view)) {
      throw WeightsError(
          fmt::format("{}: {}", s.file->path().string(), model::describe(s.stored_name, *wrong)));
    }
    return plain(buffer);
  };
  return tensor;
}

}  // namespace

void append_converted(const SourceTensor& s, WeightsPrecision precision, std::vector<PendingTensor>& out) {
  const TensorView view = *s.file->find(s.stored_name);
  const std::string suffix(model::kScaleSuffix);
  const TensorView* scale = view.dtype == DType::i8 ? s.file->find(s.stored_name + suffix) : nullptr;
  const auto as_it_is = [&] { out.push_back(checked(s, formats::pending({s.name, view}), view)); };
  if (precision == WeightsPrecision::keep || (scale != nullptr && precision == WeightsPrecision::int8)) {
    as_it_is();
    if (scale != nullptr) out.push_back(checked(s, formats::pending({s.name + suffix, *scale}), *scale));
    return;
  }
  const bool is_counter = scale == nullptr && !is_floating(view.dtype);
  const DType type = float_type(precision);
  if (precision == WeightsPrecision::int8 && s.is_weight && !is_counter) {
    append_int8(s, view.shape, out);
  } else if (is_counter || view.dtype == type) {
    as_it_is();
  } else {
    out.push_back({s.name, type, view.shape,
                   [s, type](std::vector<std::byte>& buffer) { return encode_as(type, s, buffer); }});
  }
}

}  // namespace sam2unet::api
