#include "onnx/model_reader.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

#include "core/tensor.h"

namespace sam2unet::test {
namespace {

// One field of a message: a number, or bytes.
struct Field {
  int number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

std::uint64_t varint(std::string_view& in) {
  std::uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (in.empty()) throw std::runtime_error("a number ends early");
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    v |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80U) return v;
  }
  throw std::runtime_error("a number is too long");
}

std::string_view take(std::string_view& in, std::size_t n) {
  if (n > in.size()) throw std::runtime_error("a field is longer than what holds it");
  const auto out = in.substr(0, n);
  in.remove_prefix(n);
  return out;
}

std::vector<Field> fields(std::string_view in) {
  std::vector<Field> out;
  while (!in.empty()) {
    const std::uint64_t key = varint(in);
    Field f{static_cast<int>(key >> 3U), 0, {}};
    switch (key & 7U) {
      case 0:
        f.value = varint(in);
        break;
      case 2:
        f.bytes = take(in, static_cast<std::size_t>(varint(in)));
        break;
      case 5:
        f.bytes = take(in, 4);
        break;
      default:
        throw std::runtime_error("a wire type that ONNX does not use here");
    }
    out.push_back(f);
  }
  return out;
}

[[noreturn]] void unknown(const char* where, const Field& f) {
  throw std::runtime_error(std::string(where) + " has field " + std::to_string(f.number));
}

template <typename Stored, typename Convert>
std::vector<double> elements(std::string_view raw, Convert&& convert) {
  std::vector<double> out(raw.size() / sizeof(Stored));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored s;
    std::memcpy(&s, raw.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<double>(convert(s));
  }
  return out;
}

std::vector<double> elements_of(int type, std::string_view raw) {
  const auto same = [](auto v) { return v; };
  switch (type) {
    case 1:
      return elements<float>(raw, same);
    case 2:
      return elements<std::uint8_t>(raw, same);
    case 3:
      return elements<std::int8_t>(raw, same);
    case 6:
      return elements<std::int32_t>(raw, same);
    case 7:
      return elements<std::int64_t>(raw, same);
    case 10:
      return elements<std::uint16_t>(raw, f16_to_f32);
    default:
      throw std::runtime_error("element type " + std::to_string(type));
  }
}

std::pair<std::string, OnnxTensor> tensor_of(std::string_view in) {
  OnnxTensor t;
  std::string name;
  std::string_view raw;
  for (const Field& f : fields(in)) {
    if (f.number == 1)
      t.shape.push_back(static_cast<std::int64_t>(f.value));
    else if (f.number == 2)
      t.type = static_cast<int>(f.value);
    else if (f.number == 8)
      name = f.bytes;
    else if (f.number == 9)
      raw = f.bytes;
    else
      unknown("TensorProto", f);
  }
  t.data = elements_of(t.type, raw);
  std::int64_t numel = 1;
  for (const auto d : t.shape) numel *= d;
  if (static_cast<std::int64_t>(t.data.size()) != numel)
    throw std::runtime_error(name + ": size and shape differ");
  return {name, t};
}

std::pair<std::string, OnnxAttribute> attribute_of(std::string_view in) {
  OnnxAttribute a;
  std::string name;
  std::uint64_t type = 0, held = 0;  // FLOAT 1, INT 2, STRING 3, INTS 7
  for (const Field& f : fields(in)) {
    if (f.number == 1)
      name = f.bytes;
    else if (f.number == 20)
      type = f.value;
    else
      held = f.number == 8 ? 7 : static_cast<std::uint64_t>(f.number) - 1;
    if (f.number == 2)
      std::memcpy(&a.real, f.bytes.data(), 4);
    else if (f.number == 3)
      a.integer = static_cast<std::int64_t>(f.value);
    else if (f.number == 4)
      a.text = f.bytes;
    else if (f.number == 8)
      a.integers.push_back(static_cast<std::int64_t>(f.value));
    else if (f.number != 1 && f.number != 20)
      unknown("AttributeProto", f);
  }
  if (type != held && !(type == 7 && held == 0))  // a list may be empty
    throw std::runtime_error("attribute " + name + " is of another type than it says");
  return {name, a};
}

OnnxNode node_of(std::string_view in) {
  OnnxNode n;
  for (const Field& f : fields(in)) {
    if (f.number == 1)
      n.inputs.emplace_back(f.bytes);
    else if (f.number == 2)
      n.outputs.emplace_back(f.bytes);
    else if (f.number == 3)
      n.name = f.bytes;
    else if (f.number == 4)
      n.op = f.bytes;
    else if (f.number == 5)
      n.attributes.insert(attribute_of(f.bytes));
    else
      unknown("NodeProto", f);
  }
  return n;
}

OnnxValueInfo value_of(std::string_view in) {
  OnnxValueInfo v;
  const auto only = [](std::string_view message, int number) {
    const auto all = fields(message);
    if (all.size() != 1 || all[0].number != number) throw std::runtime_error("TypeProto is no tensor's");
    return all[0];
  };
  for (const Field& f : fields(in)) {
    if (f.number == 1) {
      v.name = f.bytes;
      continue;
    }
    for (const Field& part : fields(only(f.bytes, 1).bytes)) {
      if (part.number == 1) {
        v.type = static_cast<int>(part.value);
        continue;
      }
      for (const Field& dimension : fields(part.bytes)) {
        const auto d = fields(dimension.bytes).at(0);
        v.shape.push_back(d.number == 1 ? std::to_string(d.value) : std::string(d.bytes));
      }
    }
  }
  return v;
}

void read_graph(std::string_view in, OnnxModel& m) {
  for (const Field& f : fields(in)) {
    if (f.number == 1)
      m.nodes.push_back(node_of(f.bytes));
    else if (f.number == 5 && !m.initializers.insert(tensor_of(f.bytes)).second)
      throw std::runtime_error("an initializer comes twice");
    else if (f.number == 11)
      m.inputs.push_back(value_of(f.bytes));
    else if (f.number == 12)
      m.outputs.push_back(value_of(f.bytes));
    else if (f.number != 2 && f.number != 5)
      unknown("GraphProto", f);
  }
}

}  // namespace

OnnxModel read_onnx(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  OnnxModel m;
  for (const Field& f : fields(bytes)) {
    if (f.number == 1) {
      m.ir_version = static_cast<std::int64_t>(f.value);
    } else if (f.number == 2) {
      m.producer = f.bytes;
    } else if (f.number == 7) {
      read_graph(f.bytes, m);
    } else if (f.number == 8) {
      m.opset = static_cast<std::int64_t>(fields(f.bytes).back().value);
    } else if (f.number == 14) {
      const auto entry = fields(f.bytes);
      m.metadata.emplace(entry.at(0).bytes, entry.at(1).bytes);
    } else if (f.number != 3) {
      unknown("ModelProto", f);
    }
  }
  return m;
}

}  // namespace sam2unet::test
