// Any bytes as a request's own parts: the first line is a target or a header's value, the rest a body of
// several parts.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "serve/http.h"
#include "serve/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sam2unet::serve;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto end = all.find('\n');
  const std::string_view line = all.substr(0, end);
  const std::string_view body = end == std::string_view::npos ? std::string_view() : all.substr(end + 1);
  if (const auto target = parse_target(line)) {
    if (target->path.empty() || target->path[0] != '/' || target->path.find("/../") != std::string::npos)
      __builtin_trap();
  }
  (void)parse_parameters(line);
  (void)accepts(line, "application/zip");
  const std::string name = safe_file_name(line);
  if (name.empty() || name.size() > 200 || name.find('/') != std::string::npos) __builtin_trap();
  (void)json_string(line);
  try {
    const auto parts = parse_multipart(view_of(body), boundary_of(line), {.parts = 20});
    std::size_t sum = 0;
    for (const Part& p : parts) {
      sum += p.bytes.size();
      for (const std::byte b : p.bytes) sum += b == std::byte{255} ? 0 : 0;  // read each
    }
    if (sum > body.size()) __builtin_trap();
  } catch (const Refused&) {  // the only way to refuse
  }
  return 0;
}
