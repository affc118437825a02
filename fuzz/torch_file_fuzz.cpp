// Any bytes as a PyTorch file: a zip or a stream if they begin as one, else the pickle of a zip, since no
// mutation of a whole zip would keep the pickle's checksum.
#include <cstdint>
#include <string>

#include "formats/zip_writer.h"
#include "read_tensors.h"
#include "sam2unet/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::byte> zip_around(std::span<const std::byte> pickle) {
  std::vector<std::byte> out;
  sam2unet::formats::ZipWriter zip(
      [&](std::span<const std::byte> b) { out.insert(out.end(), b.begin(), b.end()); });
  zip.add("archive/data.pkl", pickle);
  zip.add("archive/data/0", std::string(96, '\x3f'));
  zip.add("archive/data/1", std::string(8, '\x01'));
  zip.add("archive/data/2", "");
  zip.finish();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sam2unet::formats::TensorFile;
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::string_view start(reinterpret_cast<const char*>(data), size < 64 ? size : 64);
  const bool whole =
      start.starts_with("PK") || start.find("\x8a\x0a\x6c\xfc\x9c\x46") != std::string_view::npos;
  try {
    if (whole) {
      sam2unet::fuzz::read_tensors(TensorFile::view(bytes, "fuzz"));
    } else {
      const auto zip = zip_around(bytes);
      sam2unet::fuzz::read_tensors(TensorFile::view(zip, "fuzz"));
    }
  } catch (const sam2unet::FormatError&) {  // the only way to refuse
  }
  return 0;
}
