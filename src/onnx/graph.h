// An ONNX graph while it is made: nodes in the order of computation, initializers whose elements are made
// when they are written, inputs and outputs. Names are the graph's own and never come twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

namespace sam2unet::onnx {

/// Numbers of TensorProto.DataType.
enum class ElementType : std::int32_t { f32 = 1, u8 = 2, i8 = 3, i32 = 6, i64 = 7, f16 = 10 };
std::size_t size_of(ElementType type);

/// An input, an initializer or a result of a node.
struct Value {
  std::string name;
};

/// A size, or the name of one that is known only when the graph runs.
using Dimension = std::variant<std::int64_t, std::string>;

struct ValueInfo {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<Dimension> shape;
};

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

struct Node {
  std::string op;
  std::vector<std::string> inputs, outputs;
  std::vector<Attribute> attributes;
};

struct Initializer {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;
  /// Puts the elements, row-major and little-endian, into a buffer that may hold others. Called once, in the
  /// order of the file.
  std::function<void(std::vector<std::byte>& buffer)> fill;

  std::int64_t bytes() const;
};

class Graph {
 public:
  Value input(ValueInfo info);
  /// Makes `value` an output of the graph under the name of `info`.
  void output(const Value& value, ValueInfo info);

  /// Adds a node of one result, or of several.
  Value node(const std::string& op, const std::vector<Value>& inputs, std::vector<Attribute> attributes = {});
  std::vector<Value> node(const std::string& op, const std::vector<Value>& inputs,
                          std::vector<Attribute> attributes, std::size_t results);
  Value initializer(Initializer made);

  /// Constants; each is there once.
  Value ints(const std::vector<std::int64_t>& values);  // i64 [n]
  Value int32s(const std::vector<std::int32_t>& values, std::vector<std::int64_t> shape);
  Value floats(const std::vector<float>& values, std::vector<std::int64_t> shape);
  Value number(float value) { return floats({value}, {}); }
  Value half(float value);  // f16 []

  /// What is said most often.
  Value reshape(const Value& x, const std::vector<std::int64_t>& shape) {
    return node("Reshape", {x, ints(shape)});
  }
  Value transpose(const Value& x, const std::vector<std::int64_t>& order) {
    return node("Transpose", {x}, {{"perm", order}});
  }
  Value cast(const Value& x, ElementType to) {
    return node("Cast", {x}, {{"to", static_cast<std::int64_t>(to)}});
  }

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Initializer>& initializers() const { return initializers_; }
  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  const std::vector<ValueInfo>& outputs() const { return outputs_; }

 private:
  std::string unique(const std::string& name);
  Value constant(ElementType type, std::span<const std::byte> bytes, std::vector<std::int64_t> shape);

  std::vector<Node> nodes_;
  std::vector<Initializer> initializers_;
  std::vector<ValueInfo> inputs_, outputs_;
  std::unordered_set<std::string> names_;
  std::map<std::string, int> counts_;
  std::map<std::string, std::string> constants_;  // by type, shape and bytes
};

}  // namespace sam2unet::onnx
