#include "capi/planes.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "capi/status.h"
#include "sam2unet/errors.h"

namespace sam2unet::capi {

namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;
constexpr int kMaxSide = 1 << 24;

std::size_t size_of(s2u_type type) {
  return type == S2U_F64 ? 8 : type == S2U_F32 ? 4 : 1;
}

void check(const s2u_plane* plane, const char* what) {
  need(plane, what);
  const std::string name(what);
  if (plane->struct_size < sizeof(s2u_plane)) {
    throw UsageError(name + ": struct_size is " + std::to_string(plane->struct_size) +
                     " and must be sizeof(s2u_plane), " + std::to_string(sizeof(s2u_plane)));
  }
  need(plane->data, (name + "'s data").c_str());
  if (plane->width < 1 || plane->height < 1 || plane->width > kMaxSide || plane->height > kMaxSide ||
      std::int64_t{plane->width} * plane->height > kMaxPixels) {
    throw UsageError(name + " has " + std::to_string(plane->width) + "x" + std::to_string(plane->height) +
                     " pixels: at least 1x1, at most 2^28 pixels and 2^24 a side");
  }
  if (plane->channels != 1 && plane->channels != 3 && plane->channels != 4) {
    throw UsageError(name + " has " + std::to_string(plane->channels) +
                     " channels: 1, 3 for RGB, 4 for RGBA");
  }
  const std::size_t row = static_cast<std::size_t>(plane->width) * static_cast<std::size_t>(plane->channels) *
                          size_of(plane->type);
  const std::size_t stride = plane->stride < 0 ? std::size_t{0} - static_cast<std::size_t>(plane->stride)
                                               : static_cast<std::size_t>(plane->stride);
  if (plane->height > 1 && stride < row) {
    throw UsageError(name + "'s stride of " + std::to_string(plane->stride) +
                     " bytes is less than a row of " + std::to_string(row));
  }
}

void check_channels(const s2u_plane& plane, const char* what, int channels) {
  if (plane.channels == channels) return;
  throw UsageError(std::string(what) + " has " + std::to_string(plane.channels) + " channels and must have " +
                   std::to_string(channels));
}

ImageView bytes_view(const s2u_plane& plane, const char* what) {
  if (plane.type != S2U_U8 && plane.type != S2U_BOOL)
    throw UsageError(std::string(what) + " must be of bytes");
  return {static_cast<const std::uint8_t*>(plane.data), plane.width, plane.height, plane.channels,
          plane.height == 1 ? 0 : plane.stride};  // of one row no stride counts
}

template <typename T>
std::vector<double> copied(const s2u_plane& plane) {
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(plane.width) * static_cast<std::size_t>(plane.height));
  for (int y = 0; y < plane.height; ++y) {
    const char* row = static_cast<const char*>(plane.data) + y * plane.stride;
    for (int x = 0; x < plane.width; ++x) {
      T value;
      std::memcpy(&value, row + static_cast<std::ptrdiff_t>(x) * static_cast<std::ptrdiff_t>(sizeof(T)),
                  sizeof(T));
      out.push_back(static_cast<double>(value));
    }
  }
  return out;
}

}  // namespace

ImageView bytes_of(const s2u_plane* plane, const char* what, int channels) {
  check(plane, what);
  check_channels(*plane, what, channels);
  return bytes_view(*plane, what);
}

ImageView picture_of(const s2u_plane* plane, const char* what, Image& room) {
  check(plane, what);
  const ImageView view = bytes_view(*plane, what);
  if (view.stride > 0) return view;
  room = Image(view.width, view.height, view.channels);
  const std::size_t row = static_cast<std::size_t>(view.width) * static_cast<std::size_t>(view.channels);
  for (int y = 0; y < view.height; ++y)
    std::memcpy(room.pixels.data() + static_cast<std::size_t>(y) * row, view.row(y), row);
  return room;
}

ImageView mask_of(const s2u_plane* plane, const char* what, Image& room) {
  need(plane, what);
  check_channels(*plane, what, 1);
  return picture_of(plane, what, room);
}

std::vector<double> values_of(const s2u_plane* plane, const char* what) {
  check(plane, what);
  check_channels(*plane, what, 1);
  if (plane->type == S2U_F32) return copied<float>(*plane);
  if (plane->type == S2U_F64) return copied<double>(*plane);
  throw UsageError(std::string(what) + " must be of floats or doubles");
}

}  // namespace sam2unet::capi
