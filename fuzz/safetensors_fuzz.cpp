// Any bytes as a safetensors file.
#include <cstdint>

#include "read_tensors.h"
#include "sam2unet/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sam2unet::formats::TensorFile;
  // What begins otherwise is the other target's business.
  if (size < 9 || data[8] != '{') return 0;
  try {
    sam2unet::fuzz::read_tensors(TensorFile::view(std::as_bytes(std::span(data, size)), "fuzz"));
  } catch (const sam2unet::FormatError&) {  // the only way to refuse
  }
  return 0;
}
