#include "onnx/write.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "core/file.h"
#include "core/tensor.h"
#include "onnx/protobuf.h"
#include "sam2unet/errors.h"

namespace sam2unet::onnx {
namespace {

// Numbers of the fields, from onnx.proto (IR version 8).
namespace field {
enum Model : std::uint32_t {
  kIr = 1,
  kProducer = 2,
  kProducerVersion = 3,
  kGraph = 7,
  kOpsetImport = 8,
  kMetadata = 14
};
enum Opset : std::uint32_t { kDomain = 1, kOpsetVersion = 2 };
enum Entry : std::uint32_t { kKey = 1, kValue = 2 };
enum GraphFields : std::uint32_t { kNode = 1, kGraphName = 2, kInitializer = 5, kInput = 11, kOutput = 12 };
enum NodeFields : std::uint32_t {
  kNodeInput = 1,
  kNodeOutput = 2,
  kNodeName = 3,
  kOpType = 4,
  kAttribute = 5
};
enum AttributeFields : std::uint32_t { kName = 1, kFloat = 2, kInt = 3, kString = 4, kInts = 8, kType = 20 };
enum TensorFields : std::uint32_t { kDims = 1, kDataType = 2, kTensorName = 8, kRawData = 9 };
enum ValueFields : std::uint32_t { kValueName = 1, kValueType = 2 };
enum TypeFields : std::uint32_t { kTensorType = 1 };
enum TensorTypeFields : std::uint32_t { kElementType = 1, kShape = 2 };
enum ShapeFields : std::uint32_t { kDimension = 1 };
enum DimensionFields : std::uint32_t { kSize = 1, kSymbol = 2 };
}  // namespace field

Message message_of(const Attribute& a) {
  enum Type { kFloat = 1, kInt = 2, kString = 3, kInts = 7 };
  Message m;
  m.text(field::kName, a.name);
  if (const auto* n = std::get_if<std::int64_t>(&a.value)) {
    m.number(field::kInt, *n).number(field::kType, kInt);
  } else if (const auto* f = std::get_if<float>(&a.value)) {
    m.real(field::kFloat, *f).number(field::kType, kFloat);
  } else if (const auto* s = std::get_if<std::string>(&a.value)) {
    m.text(field::kString, *s).number(field::kType, kString);
  } else {
    // Not packed: proto2, in which ONNX is written, does not pack what does not say so.
    for (const std::int64_t v : std::get<std::vector<std::int64_t>>(a.value)) m.number(field::kInts, v);
    m.number(field::kType, kInts);
  }
  return m;
}

Message message_of(const Node& n) {
  Message m;
  for (const auto& i : n.inputs) m.text(field::kNodeInput, i);
  for (const auto& o : n.outputs) m.text(field::kNodeOutput, o);
  m.text(field::kNodeName, n.outputs.front()).text(field::kOpType, n.op);
  for (const auto& a : n.attributes) m.message(field::kAttribute, message_of(a));
  return m;
}

Message message_of(const ValueInfo& v) {
  Message shape;
  for (const Dimension& d : v.shape) {
    Message dimension;
    if (const auto* size = std::get_if<std::int64_t>(&d))
      dimension.number(field::kSize, *size);
    else
      dimension.text(field::kSymbol, std::get<std::string>(d));
    shape.message(field::kDimension, dimension);
  }
  Message tensor, type, m;
  tensor.number(field::kElementType, static_cast<std::int64_t>(v.type)).message(field::kShape, shape);
  type.message(field::kTensorType, tensor);
  m.text(field::kValueName, v.name).message(field::kValueType, type);
  return m;
}

// An initializer up to its elements, whose bytes follow.
std::string head_of(const Initializer& i) {
  Message m, announced;
  for (const std::int64_t d : i.shape) m.number(field::kDims, d);
  m.number(field::kDataType, static_cast<std::int64_t>(i.type)).text(field::kTensorName, i.name);
  m.begin(field::kRawData, i.bytes());
  announced.begin(field::kInitializer, checked_add(m.size(), i.bytes(), i.name));
  return announced.bytes() + m.bytes();
}

Message head_of_model(const ModelInfo& info) {
  Message m, opset;
  opset.text(field::kDomain, "").number(field::kOpsetVersion, kOpset);
  m.number(field::kIr, kIrVersion)
      .text(field::kProducer, "sam2unet")
      .text(field::kProducerVersion, info.version);
  m.message(field::kOpsetImport, opset);
  for (const auto& [key, value] : info.metadata)
    m.message(field::kMetadata, Message().text(field::kKey, key).text(field::kValue, value));
  return m;
}

}  // namespace

void write_model(const std::filesystem::path& path, const Graph& graph, const ModelInfo& info) {
  // Lengths come before what they measure, so they are added up first.
  Message nodes, ends;
  for (const Node& n : graph.nodes()) nodes.message(field::kNode, message_of(n));
  nodes.text(field::kGraphName, "sam2unet");
  for (const ValueInfo& v : graph.inputs()) ends.message(field::kInput, message_of(v));
  for (const ValueInfo& v : graph.outputs()) ends.message(field::kOutput, message_of(v));
  std::vector<std::string> heads;
  std::int64_t size = nodes.size() + ends.size();
  for (const Initializer& i : graph.initializers()) {
    heads.push_back(head_of(i));
    size = checked_add(size, checked_add(static_cast<std::int64_t>(heads.back().size()), i.bytes(), i.name),
                       i.name);
  }
  Message model = head_of_model(info);
  model.begin(field::kGraph, size);
  constexpr std::int64_t kLimit = (std::int64_t{1} << 31) - 1;
  if (model.size() + size > kLimit) {
    throw UsageError(
        fmt::format("{}: {} bytes are more than an ONNX file can hold (2 GiB); a smaller size, f16 or int8 "
                    "take less",
                    path.string(), model.size() + size));
  }

  AtomicFile file(path);
  file.write(model.bytes());
  file.write(nodes.bytes());
  std::vector<std::byte> buffer;
  for (std::size_t k = 0; k < heads.size(); ++k) {
    const Initializer& i = graph.initializers()[k];
    buffer.clear();
    i.fill(buffer);
    if (static_cast<std::int64_t>(buffer.size()) != i.bytes()) {
      throw Error(fmt::format("initializer {} has {} bytes instead of {}", i.name, buffer.size(), i.bytes()));
    }
    file.write(heads[k]);
    file.write(buffer);
  }
  file.write(ends.bytes());
  file.commit();
}

}  // namespace sam2unet::onnx
