// Bodies of several parts (RFC 2046, RFC 7578): taken apart, and put together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace sam2unet::serve {

struct MultipartLimits {
  std::size_t parts = 1000;
  std::size_t header = 8 << 10;  ///< bytes before each part's own
};

/// One part; refers to the body it came from.
struct Part {
  std::string name;
  std::string file_name;  ///< without folders; empty where the part says none
  bool is_file = false;   ///< it says a file name, if an empty one
  std::string content_type;
  ByteView bytes;

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// The boundary that a Content-Type of multipart/form-data names. Refused 400 if it names none or none that
/// RFC 2046 allows, 415 if it is another type.
std::string boundary_of(std::string_view content_type);

/// The parts of a body. Refused: 400 for a body that is not what its boundary says, 413 for more than the
/// limits.
std::vector<Part> parse_multipart(ByteView body, std::string_view boundary, const MultipartLimits& limits);

/// Builds a multipart/mixed body.
class MultipartWriter {
 public:
  /// A boundary of 128 random bits does not occur in what is written.
  explicit MultipartWriter(std::string boundary) : boundary_(std::move(boundary)) {}

  void add(const Headers& headers, ByteView bytes);
  Bytes finish();
  std::string content_type() const { return "multipart/mixed; boundary=" + boundary_; }

 private:
  void append(std::string_view text);

  std::string boundary_;
  Bytes out_;
};

}  // namespace sam2unet::serve
