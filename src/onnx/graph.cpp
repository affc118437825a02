#include "onnx/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/tensor.h"

namespace sam2unet::onnx {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie in memory");

std::size_t size_of(ElementType type) {
  switch (type) {
    case ElementType::u8:
    case ElementType::i8:
      return 1;
    case ElementType::f16:
      return 2;
    case ElementType::f32:
    case ElementType::i32:
      return 4;
    case ElementType::i64:
      break;
  }
  return 8;
}

std::int64_t Initializer::bytes() const {
  auto n = static_cast<std::int64_t>(size_of(type));
  for (const std::int64_t d : shape) n = checked_mul(n, d, name);
  return n;
}

std::string Graph::unique(const std::string& name) {
  std::string tried = name;
  while (!names_.insert(tried).second) tried = fmt::format("{}_{}", name, ++counts_[name]);
  return tried;
}

Value Graph::input(ValueInfo info) {
  info.name = unique(info.name);
  inputs_.push_back(std::move(info));
  return {inputs_.back().name};
}

void Graph::output(const Value& value, ValueInfo info) {
  info.name = unique(info.name);
  for (Node& n : nodes_) {
    std::replace(n.inputs.begin(), n.inputs.end(), value.name, info.name);
    std::replace(n.outputs.begin(), n.outputs.end(), value.name, info.name);
  }
  outputs_.push_back(std::move(info));
}

Value Graph::node(const std::string& op, const std::vector<Value>& inputs,
                  std::vector<Attribute> attributes) {
  return node(op, inputs, std::move(attributes), 1).front();
}

std::vector<Value> Graph::node(const std::string& op, const std::vector<Value>& inputs,
                               std::vector<Attribute> attributes, std::size_t results) {
  Node n{op, {}, {}, std::move(attributes)};
  for (const Value& v : inputs) n.inputs.push_back(v.name);
  std::vector<Value> out;
  for (std::size_t i = 0; i < results; ++i) {
    out.push_back({unique(op)});
    n.outputs.push_back(out.back().name);
  }
  nodes_.push_back(std::move(n));
  return out;
}

Value Graph::initializer(Initializer made) {
  made.name = unique(made.name);
  initializers_.push_back(std::move(made));
  return {initializers_.back().name};
}

Value Graph::constant(ElementType type, std::span<const std::byte> bytes, std::vector<std::int64_t> shape) {
  std::string key = fmt::format("{} {}:", static_cast<int>(type), fmt::join(shape, ","));
  key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto it = constants_.find(key); it != constants_.end()) return {it->second};
  Value v = initializer({"constant", type, std::move(shape),
                         [kept = std::vector<std::byte>(bytes.begin(), bytes.end())](
                             std::vector<std::byte>& buffer) { buffer = kept; }});
  constants_.emplace(std::move(key), v.name);
  return v;
}

Value Graph::ints(const std::vector<std::int64_t>& values) {
  return constant(ElementType::i64, std::as_bytes(std::span(values)),
                  {static_cast<std::int64_t>(values.size())});
}

Value Graph::int32s(const std::vector<std::int32_t>& values, std::vector<std::int64_t> shape) {
  return constant(ElementType::i32, std::as_bytes(std::span(values)), std::move(shape));
}

Value Graph::floats(const std::vector<float>& values, std::vector<std::int64_t> shape) {
  return constant(ElementType::f32, std::as_bytes(std::span(values)), std::move(shape));
}

Value Graph::half(float value) {
  const std::uint16_t bits = f32_to_f16(value);
  return constant(ElementType::f16, std::as_bytes(std::span(&bits, 1)), {});
}

}  // namespace sam2unet::onnx
