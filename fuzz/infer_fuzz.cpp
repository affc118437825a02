// Any bytes as an inference request: the first two say how long its JSON is; odd ones come compressed.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "serve/compression.h"
#include "serve/oip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sam2unet::serve;
  if (size < 2) return 0;
  const std::size_t length = data[0] + 256U * data[1];
  Bytes body;
  const auto rest = std::as_bytes(std::span(data, size)).subspan(2);
  try {
    if (length % 2 == 1 && length > 60000)
      body = decompress(rest, length % 4 == 1 ? Coding::gzip : Coding::deflate, 1 << 16);
    else
      body.assign(rest.begin(), rest.end());
    const auto r = oip::parse_infer_request(body, length < 60000 ? std::optional(length) : std::nullopt);
    for (const auto& input : r.inputs) {
      std::size_t n = 1;
      for (const auto side : input.shape) n *= static_cast<std::size_t>(side);
      if (n != (input.type == oip::DataType::fp32 ? input.values.size() : input.elements.size()))
        __builtin_trap();
    }
  } catch (const Refused&) {  // the only way to refuse
  }
  return 0;
}
