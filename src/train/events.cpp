#include "train/events.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "sam2unet/errors.h"

namespace sam2unet::train {
namespace {

// CRC-32C (Castagnoli), reflected polynomial 0x82F63B78
std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82F63B78u : 0u);
      t[i] = c;
    }
    return t;
  }();
  std::uint32_t c = ~0u;
  for (const char b : bytes) c = (c >> 8) ^ table[(c ^ static_cast<unsigned char>(b)) & 0xFF];
  return ~c;
}

// TFRecord: ((crc >> 15) | (crc << 17)) + 0xa282ead8
std::string masked(std::string_view bytes) {
  const std::uint32_t c = crc32c(bytes), m = ((c >> 15) | (c << 17)) + 0xA282EAD8u;
  return {static_cast<char>(m), static_cast<char>(m >> 8), static_cast<char>(m >> 16),
          static_cast<char>(m >> 24)};
}

template <class T>
std::string little_endian(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  static_assert(std::endian::native == std::endian::little);
  return out;
}

std::string varint(std::uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
  return out;
}

// A length-delimited protobuf field.
std::string field(int number, const std::string& bytes) {
  std::string out = varint(static_cast<std::uint64_t>(number) << 3 | 2);
  return out.append(varint(bytes.size())).append(bytes);
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; ... }
std::string event(std::int64_t step, const std::string& content) {
  std::string out = "\x09";
  out.append(little_endian(now())).append("\x10").append(varint(static_cast<std::uint64_t>(step)));
  return out.append(content);
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder, std::int64_t steps)
    : path_(folder / fmt::format("events.out.tfevents.{:.0f}.sam2unet", now() * 1e6)) {
  file_.reset(std::fopen(path_.c_str(), "wb"));  // NOLINT(cppcoreguidelines-owning-memory)
  if (!file_) throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
  record(event(0, field(3, "brain.Event:2")));
  // Event { SessionLog session_log = 7; }  SessionLog { SessionStatus status = 1; }  START = 1
  if (steps > 0) record(event(steps + 1, field(7, "\x08\x01")));
}

// Summary { repeated Value value = 1; }  Value { string tag = 1; float simple_value = 2; }
void EventWriter::scalar(const std::string& tag, std::int64_t step, double value) {
  std::string v = field(1, tag);
  v.append("\x15").append(little_endian(static_cast<float>(value)));
  record(event(step, field(5, field(1, v))));
}

// Value { string tag = 1; Image image = 4; }
// Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
void EventWriter::picture(const std::string& tag, std::int64_t step, int width, int height,
                          std::span<const std::byte> png) {
  std::string image("\x08");
  image.append(varint(static_cast<std::uint64_t>(height)))
      .append("\x10")
      .append(varint(static_cast<std::uint64_t>(width)))
      .append("\x18\x03");  // RGB
  image.append(field(4, {reinterpret_cast<const char*>(png.data()), png.size()}));
  std::string v = field(1, tag);
  v.append(field(4, image));
  record(event(step, field(5, field(1, v))));
}

void EventWriter::record(const std::string& data) {
  const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
  std::string bytes = length;
  bytes.append(masked(length)).append(data).append(masked(data));
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size() ||
      std::fflush(file_.get()) != 0) {
    throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
  }
}

}  // namespace sam2unet::train
