#include "ops/onnx/onnx_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/tensor.h"
#include "model/folding.h"
#include "model/int8.h"
#include "ops/plain/plain_ops.h"
#include "sam2unet/errors.h"

namespace sam2unet::ops {
namespace {

template <typename T, typename F>
void encode(const std::vector<float>& values, std::vector<std::byte>& buffer, F&& one) {
  buffer.resize(values.size() * sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const T v = one(values[i]);
    std::memcpy(buffer.data() + i * sizeof(T), &v, sizeof(T));
  }
}

std::uint16_t to_f16(float value, const std::string& name) {
  const std::uint16_t bits = f32_to_f16(value);
  if ((bits & 0x7FFFU) == 0x7C00U)
    throw WeightsError(
        fmt::format("tensor {} holds {}, which does not fit into f16; use f32 or int8", name, value));
  return bits;
}

std::vector<float> folded(model::WeightSource& source, const OnnxWeights::ConvBn& w,
                          std::vector<float>* bias) {
  auto weight = source.read(w.conv + ".weight", {w.out, w.in, w.kernel.h, w.kernel.w});
  auto shift = model::fold_batch_norm(source, w.bn, w.out, weight);
  if (bias != nullptr) *bias = std::move(shift);
  return weight;
}

}  // namespace

OnnxWeights::ConvBnFan OnnxWeights::conv_bn_fan(const std::array<std::string, kFan>& names, int in, int out) {
  ConvBnFan fan;
  for (std::size_t i = 0; i < fan.size(); ++i)
    fan[i] = conv_bn(names[i] + ".conv", names[i] + ".bn", in, out, {});
  return fan;
}

OnnxInitializers::Make OnnxInitializers::reading(const std::string& name, const sam2unet::Shape& shape) {
  return [&source = source_, name, shape] { return source.read(name, shape); };
}

onnx::Value OnnxInitializers::stored(const std::string& name, const Shape& shape, const Make& make) {
  if (precision_ == OnnxPrecision::f16) {
    return graph_.initializer(
        {name, onnx::ElementType::f16, shape, [name, make](std::vector<std::byte>& buffer) {
           encode<std::uint16_t>(make(), buffer, [&](float v) { return to_f16(v, name); });
         }});
  }
  return graph_.initializer({name, onnx::ElementType::f32, shape, [make](std::vector<std::byte>& buffer) {
                               encode<float>(make(), buffer, [](float v) { return v; });
                             }});
}

onnx::Value OnnxInitializers::quantised(const std::string& name, const Shape& shape, const Make& make) {
  const auto rows = static_cast<std::size_t>(shape[0]);
  const auto integers = graph_.initializer(
      {name, onnx::ElementType::i8, shape, [name, make, rows](std::vector<std::byte>& buffer) {
         const auto values = make();
         const auto scales = model::row_scales(values, rows, name);
         const std::size_t n = values.size() / rows;
         buffer.resize(values.size());
         for (std::size_t i = 0; i < values.size(); ++i)
           buffer[i] = static_cast<std::byte>(model::quantised(values[i], scales[i / n]));
       }});
  const auto scales = graph_.initializer({name + ".scale",
                                          onnx::ElementType::f32,
                                          {shape[0]},
                                          [name, make, rows](std::vector<std::byte>& buffer) {
                                            encode<float>(model::row_scales(make(), rows, name), buffer,
                                                          [](float v) { return v; });
                                          }});
  return graph_.node("DequantizeLinear", {integers, scales}, {{"axis", std::int64_t{0}}});
}

onnx::Value OnnxInitializers::weight(const std::string& name, const Shape& shape, const Make& make) {
  const std::string key = fmt::format("{} {}", name, fmt::join(shape, ","));
  if (const auto it = made_.find(key); it != made_.end()) return it->second;
  const auto v = precision_ == OnnxPrecision::int8 ? quantised(name, shape, make) : stored(name, shape, make);
  return made_.emplace(key, v).first->second;
}

onnx::Value OnnxInitializers::matrix(const OnnxWeights::Linear& w) {
  return weight(w.name + ".weight", {w.out, w.in}, reading(w.name + ".weight", w.stored));
}

onnx::Value OnnxInitializers::kernel(const OnnxWeights::Linear& w) {
  return weight(w.name + ".weight", {w.out, w.in, 1, 1}, reading(w.name + ".weight", w.stored));
}

onnx::Value OnnxInitializers::kernel(const OnnxWeights::PatchEmbed& w) {
  return weight(w.name + ".weight", {w.out, w.in, 7, 7}, reading(w.name + ".weight", {w.out, w.in, 7, 7}));
}

onnx::Value OnnxInitializers::kernel(const OnnxWeights::ConvBn& w) {
  return weight(w.conv + ".weight", {w.out, w.in, w.kernel.h, w.kernel.w},
                [source = &source_, w] { return folded(*source, w, nullptr); });
}

onnx::Value OnnxInitializers::bias(const OnnxWeights::ConvBn& w) {
  const std::string name = w.conv + ".bias";
  if (const auto it = made_.find(name); it != made_.end()) return it->second;
  const auto v = stored(name, {w.out}, [source = &source_, w] {
    std::vector<float> bias;
    folded(*source, w, &bias);
    return bias;
  });
  return made_.emplace(name, v).first->second;
}

onnx::Value OnnxInitializers::vector(const std::string& name, int n) {
  if (const auto it = made_.find(name); it != made_.end()) return it->second;
  return made_.emplace(name, stored(name, {n}, reading(name, {n}))).first->second;
}

// As the plain backend defines it, added to nothing.
onnx::Value OnnxInitializers::position(const OnnxWeights::Position& w, std::int64_t height,
                                       std::int64_t width) {
  return stored(w.prefix + ".position", {1, w.dim, height, width}, [source = &source_, w, height, width] {
    const auto values = PlainWeights(*source).position(w.prefix, w.dim, w.background, w.window);
    const PlainTensor table = PlainOps().add_position(PlainTensor({1, height, width, w.dim}), values);
    std::vector<float> planes(table.data.size());
    const std::int64_t pixels = height * width;
    for (std::int64_t i = 0; i < pixels; ++i)
      for (std::int64_t c = 0; c < w.dim; ++c)
        planes[static_cast<std::size_t>(c * pixels + i)] =
            static_cast<float>(table.data[static_cast<std::size_t>(i * w.dim + c)]);
    return planes;
  });
}

onnx::Value OnnxInitializers::number(float value) {
  return precision_ == OnnxPrecision::f16 ? graph_.half(value) : graph_.number(value);
}

}  // namespace sam2unet::ops
