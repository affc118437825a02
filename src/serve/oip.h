// The Open Inference Protocol's messages (version 2, REST): requests as JSON or JSON with binary tensors
// behind it, responses as either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace sam2unet::serve::oip {

enum class DataType { fp32, bytes };
std::string_view name_of(DataType type);

/// A tensor that a request brings.
struct Input {
  std::string name;
  DataType type = DataType::fp32;
  std::vector<std::int64_t> shape;
  std::vector<float> values;    ///< of FP32, row-major
  std::vector<Bytes> elements;  ///< of BYTES
};

enum class Encoding { json, binary };

struct WantedOutput {
  std::string name;
  Encoding encoding = Encoding::json;
};

struct InferRequest {
  std::optional<std::string> id;
  std::vector<Input> inputs;
  /// Empty: all, in `encoding`.
  std::vector<WantedOutput> outputs;
  Encoding encoding = Encoding::json;
};

/// `json_length` is what Inference-Header-Content-Length says; without it the whole body is JSON. Refused 400
/// with what is wrong.
InferRequest parse_infer_request(ByteView body, std::optional<std::size_t> json_length);

/// A tensor that a response carries; FP32 alone.
struct Output {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  Encoding encoding = Encoding::json;
};

struct InferResponse {
  std::string model;
  std::string version;
  std::optional<std::string> id;
  std::vector<Output> outputs;
};

struct EncodedResponse {
  Bytes body;
  std::optional<std::size_t> json_length;  ///< where binary tensors follow
};
EncodedResponse encode(const InferResponse& response);

}  // namespace sam2unet::serve::oip
