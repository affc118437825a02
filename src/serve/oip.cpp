#include "serve/oip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace sam2unet::serve::oip {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian, and copied");

constexpr std::size_t kMaxInputs = 16, kMaxRank = 8;
constexpr int kMaxDepth = 16;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 34;

// Everything of a request but the elements of tensors goes into a small tree; those go straight into arrays,
// because a tree of millions of numbers takes many times their memory. What `data` of an input lists becomes
// an empty binary value, which no JSON has, of a subtype that is an index into `arrays`.
class RequestReader : public nlohmann::json_sax<Json> {
 public:
  struct Array {
    std::vector<float> numbers;
    std::vector<Bytes> texts;
    bool has_other = false;  ///< something that is no element: null, a name
  };

  Json root;
  std::vector<Array> arrays;
  std::string problem;

  bool null() override { return value(Json(nullptr)); }
  bool boolean(bool v) override { return value(Json(v)); }
  bool number_integer(number_integer_t v) override {
    return in_data() ? number(static_cast<double>(v)) : value(Json(v));
  }
  bool number_unsigned(number_unsigned_t v) override {
    return in_data() ? number(static_cast<double>(v)) : value(Json(v));
  }
  bool number_float(number_float_t v, const string_t&) override {
    return in_data() ? number(v) : value(Json(v));
  }
  bool string(string_t& v) override {
    if (!in_data()) return value(Json(v));
    const ByteView bytes = view_of(std::string_view(v));
    arrays.back().texts.emplace_back(bytes.begin(), bytes.end());
    return true;
  }
  bool binary(binary_t&) override { return fail("binary values are no JSON"); }
  bool start_object(std::size_t) override {
    if (in_data()) return fail("'data' holds an object");
    return enter(Json::object());
  }
  bool key(string_t& v) override {
    if (++keys_ > kMaxKeys) return fail("too many names");
    keys_of_level_.back() = v;
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override {
    if (in_data()) return ++data_depth_ <= kMaxDepth ? true : fail("'data' is nested too deep");
    if (is_data_of_input()) {
      if (arrays.size() == kMaxInputs) return fail("too many inputs");
      value(Json::binary({}, static_cast<Json::binary_t::subtype_type>(arrays.size())));
      arrays.emplace_back();
      data_depth_ = 1;
      return true;
    }
    return enter(Json::array());
  }
  bool end_array() override {
    if (!in_data()) return leave();
    --data_depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("the JSON is malformed at byte {}", position));
  }

 private:
  static constexpr std::size_t kMaxKeys = 4096, kMaxValues = 16384;

  bool in_data() const { return data_depth_ > 0; }
  // inputs[...].data
  bool is_data_of_input() const {
    return levels_.size() == 3 && keys_of_level_.size() == 3 && keys_of_level_[0] == "inputs" &&
           keys_of_level_[2] == "data" && levels_[1]->is_array();
  }
  bool fail(std::string text) {
    if (problem.empty()) problem = std::move(text);
    return false;
  }
  bool number(double v) {
    arrays.back().numbers.push_back(static_cast<float>(v));
    return true;
  }
  Json* put(Json v) {
    if (levels_.empty()) {
      root = std::move(v);
      return &root;
    }
    Json& parent = *levels_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[keys_of_level_.back()] = std::move(v));
  }
  bool value(Json v) {
    if (in_data()) {
      arrays.back().has_other = true;
      return true;
    }
    if (++values_ > kMaxValues) return fail("too many values");
    put(std::move(v));
    return true;
  }
  bool enter(Json v) {
    if (levels_.size() == kMaxDepth) return fail("it is nested too deep");
    if (++values_ > kMaxValues) return fail("too many values");
    levels_.push_back(put(std::move(v)));
    keys_of_level_.emplace_back();
    return true;
  }
  bool leave() {
    levels_.pop_back();
    keys_of_level_.pop_back();
    return true;
  }

  // Pointers stay valid: what is open is the last element of its parent, which grows only after it is left.
  std::vector<Json*> levels_;
  std::vector<std::string> keys_of_level_;
  int data_depth_ = 0;
  std::size_t keys_ = 0, values_ = 0;
};

std::string text_at(const Json& object, const char* key, const char* what) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string())
    throw bad_request(fmt::format("{}: '{}' must be a string", what, key));
  return it->get<std::string>();
}

// A parameter that is given and true.
bool flag_at(const Json& object, const char* key) {
  const auto parameters = object.find("parameters");
  if (parameters == object.end()) return false;
  if (!parameters->is_object()) throw bad_request("'parameters' must be an object");
  const auto it = parameters->find(key);
  return it != parameters->end() && it->is_boolean() && it->get<bool>();
}

std::optional<std::size_t> size_at(const Json& object, const char* key) {
  const auto parameters = object.find("parameters");
  if (parameters == object.end()) return std::nullopt;
  if (!parameters->is_object()) throw bad_request("'parameters' must be an object");
  const auto it = parameters->find(key);
  if (it == parameters->end()) return std::nullopt;
  if (!it->is_number_unsigned()) throw bad_request(fmt::format("'{}' must be a number of bytes", key));
  return it->get<std::size_t>();
}

std::vector<std::int64_t> read_shape(const Json& input, const std::string& name) {
  const auto it = input.find("shape");
  if (it == input.end() || !it->is_array() || it->empty() || it->size() > kMaxRank)
    throw bad_request(fmt::format("input '{}': 'shape' must be a list of 1 to {} sizes", name, kMaxRank));
  std::vector<std::int64_t> shape;
  std::int64_t product = 1;
  for (const Json& side : *it) {
    if (!side.is_number_unsigned() || side.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxElements))
      throw bad_request(fmt::format("input '{}': a size in 'shape' is no whole number of 0 or more", name));
    shape.push_back(side.get<std::int64_t>());
    if (shape.back() != 0 && product > kMaxElements / shape.back())
      throw bad_request(fmt::format("input '{}': 'shape' is too large", name));
    product *= shape.back();
  }
  return shape;
}

std::size_t count_of(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t side : shape) n *= side;
  return static_cast<std::size_t>(n);
}

// Little-endian u32 length and as many bytes, for each element.
std::vector<Bytes> split_elements(ByteView bytes, const std::string& name) {
  std::vector<Bytes> out;
  while (!bytes.empty()) {
    std::uint32_t length = 0;
    if (bytes.size() < sizeof length) throw bad_request(fmt::format("input '{}': a length is cut off", name));
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes = bytes.subspan(sizeof length);
    if (length > bytes.size()) throw bad_request(fmt::format("input '{}': an element is cut off", name));
    out.emplace_back(bytes.begin(), bytes.begin() + length);
    bytes = bytes.subspan(length);
  }
  return out;
}

void fill_binary(Input& input, ByteView bytes) {
  if (input.type == DataType::bytes) {
    input.elements = split_elements(bytes, input.name);
    return;
  }
  if (bytes.size() % sizeof(float) != 0)
    throw bad_request(fmt::format("input '{}': {} bytes are no whole FP32 values", input.name, bytes.size()));
  input.values.resize(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(input.values.data(), bytes.data(), bytes.size());
}

void fill_json(Input& input, RequestReader::Array& array) {
  const bool wants_numbers = input.type == DataType::fp32;
  if (array.has_other || (wants_numbers ? !array.texts.empty() : !array.numbers.empty()))
    throw bad_request(fmt::format("input '{}': 'data' holds what is no {}", input.name, name_of(input.type)));
  input.values = std::move(array.numbers);
  input.elements = std::move(array.texts);
}

Input read_input(const Json& json, RequestReader& reader, ByteView& tail) {
  if (!json.is_object()) throw bad_request("an input must be an object");
  Input input;
  input.name = text_at(json, "name", "an input");
  const std::string type = text_at(json, "datatype", "an input");
  if (type != name_of(DataType::fp32) && type != name_of(DataType::bytes))
    throw bad_request(
        fmt::format("input '{}': datatype {} is not taken; FP32 and BYTES are", input.name, type));
  input.type = type == name_of(DataType::fp32) ? DataType::fp32 : DataType::bytes;
  input.shape = read_shape(json, input.name);
  const auto data = json.find("data");
  const auto size = size_at(json, "binary_data_size");
  if (size && data != json.end())
    throw bad_request(fmt::format("input '{}': it has 'data' and binary_data_size", input.name));
  if (size) {
    if (*size > tail.size()) {
      throw bad_request(fmt::format("input '{}': binary_data_size is {}, but {} bytes are left of the body",
                                    input.name, *size, tail.size()));
    }
    fill_binary(input, tail.first(*size));
    tail = tail.subspan(*size);
  } else if (data != json.end() && data->is_binary()) {
    fill_json(input, reader.arrays[static_cast<std::size_t>(data->get_binary().subtype())]);
  } else {
    throw bad_request(
        fmt::format("input '{}': it has neither 'data', a list, nor binary_data_size", input.name));
  }
  const std::size_t have = input.type == DataType::fp32 ? input.values.size() : input.elements.size();
  if (have != count_of(input.shape)) {
    throw bad_request(fmt::format("input '{}': its shape has {} elements, its data {}", input.name,
                                  count_of(input.shape), have));
  }
  return input;
}

}  // namespace

std::string_view name_of(DataType type) {
  return type == DataType::fp32 ? "FP32" : "BYTES";
}

InferRequest parse_infer_request(ByteView body, std::optional<std::size_t> json_length) {
  if (json_length && *json_length > body.size()) {
    throw bad_request(fmt::format("Inference-Header-Content-Length is {}, but the body has {} bytes",
                                  *json_length, body.size()));
  }
  const ByteView head = body.first(json_length.value_or(body.size()));
  ByteView tail = body.subspan(head.size());
  const auto* text = reinterpret_cast<const char*>(head.data());
  RequestReader reader;
  if (!Json::sax_parse(text, text + head.size(), &reader))
    throw bad_request(reader.problem.empty() ? "the JSON is malformed" : "the request: " + reader.problem);
  const Json& root = reader.root;
  if (!root.is_object()) throw bad_request("the request must be a JSON object");
  InferRequest out;
  if (const auto id = root.find("id"); id != root.end()) {
    if (!id->is_string()) throw bad_request("'id' must be a string");
    out.id = id->get<std::string>();
  }
  const auto inputs = root.find("inputs");
  if (inputs == root.end() || !inputs->is_array() || inputs->empty() || inputs->size() > kMaxInputs)
    throw bad_request(fmt::format("'inputs' must be a list of 1 to {} tensors", kMaxInputs));
  for (const Json& input : *inputs) out.inputs.push_back(read_input(input, reader, tail));
  if (!tail.empty()) throw bad_request(fmt::format("{} bytes follow the last binary tensor", tail.size()));
  out.encoding = flag_at(root, "binary_data_output") ? Encoding::binary : Encoding::json;
  const auto outputs = root.find("outputs");
  if (outputs == root.end()) return out;
  if (!outputs->is_array() || outputs->size() > kMaxInputs) throw bad_request("'outputs' must be a list");
  for (const Json& output : *outputs) {
    if (!output.is_object()) throw bad_request("an output must be an object");
    const bool binary = flag_at(output, "binary_data") || out.encoding == Encoding::binary;
    out.outputs.push_back({text_at(output, "name", "an output"), binary ? Encoding::binary : Encoding::json});
  }
  return out;
}

namespace {

void append(Bytes& out, std::string_view text) {
  const ByteView bytes = view_of(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

EncodedResponse encode(const InferResponse& response) {
  fmt::memory_buffer json;
  auto to = std::back_inserter(json);
  fmt::format_to(to, "{{\"model_name\":{},\"model_version\":{}", json_string(response.model),
                 json_string(response.version));
  if (response.id) fmt::format_to(to, ",\"id\":{}", json_string(*response.id));
  fmt::format_to(to, ",\"outputs\":[");
  bool has_binary = false;
  for (std::size_t i = 0; i < response.outputs.size(); ++i) {
    const Output& o = response.outputs[i];
    fmt::format_to(to, "{}{{\"name\":{},\"datatype\":\"FP32\",\"shape\":[{}]", i == 0 ? "" : ",",
                   json_string(o.name), fmt::join(o.shape, ","));
    if (o.encoding == Encoding::binary) {
      has_binary = true;
      fmt::format_to(to, ",\"parameters\":{{\"binary_data_size\":{}}}}}", o.values.size() * sizeof(float));
    } else {
      // Values are finite (the library checks); {} is the shortest text that reads back as the same float.
      fmt::format_to(to, ",\"data\":[{}]}}", fmt::join(o.values, ","));
    }
  }
  fmt::format_to(to, "]}}");
  EncodedResponse out;
  std::size_t tail = 0;
  for (const Output& o : response.outputs)
    tail += o.encoding == Encoding::binary ? o.values.size() * sizeof(float) : 0;
  out.body.reserve(json.size() + tail);
  append(out.body, {json.data(), json.size()});
  if (!has_binary) return out;
  out.json_length = json.size();
  for (const Output& o : response.outputs) {
    if (o.encoding != Encoding::binary) continue;
    const ByteView bytes = std::as_bytes(std::span(o.values));
    out.body.insert(out.body.end(), bytes.begin(), bytes.end());
  }
  return out;
}

}  // namespace sam2unet::serve::oip
