// Pictures: decoding, writing, resizing.
#include "sam2unet/image.h"

#include <cstring>

#include "api/c/handles.h"
#include "api/c/values.h"
#include "capi/planes.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_decode_options {
  DecodeOptions value;
};

struct s2u_image {
  Image value;
};

namespace sam2unet::capi {

PillowVersion pillow_of(int32_t version) {
  return chosen(version, {PillowVersion::v12, PillowVersion::v13}, "Pillow's version");
}

}  // namespace sam2unet::capi

namespace {

void hand_out_image(Image image, s2u_image** out) {
  auto object = std::make_unique<s2u_image>();
  object->value = std::move(image);
  hand_out(std::move(object), out);
}

}  // namespace

extern "C" {

s2u_status* s2u_decode_options_new(s2u_decode_options** out) {
  return make(out, "where the options go");
}

void s2u_decode_options_free(s2u_decode_options* options) {
  destroy(options);
}

s2u_status* s2u_decode_options_set_color(s2u_decode_options* options, int32_t color) {
  return guarded([&] {
    live(options, "the options").value.mode =
        chosen(color, {ColorMode::rgb, ColorMode::gray, ColorMode::ids, ColorMode::rgba}, "colour mode");
  });
}

s2u_status* s2u_decode_options_set_orientation(s2u_decode_options* options, int32_t apply) {
  return guarded([&] {
    live(options, "the options").value.apply_exif_orientation = flag(apply, "whether to turn pictures");
  });
}

s2u_status* s2u_decode_options_set_max_pixels(s2u_decode_options* options, int64_t pixels) {
  return guarded([&] {
    s2u_decode_options& o = live(options, "the options");
    if (pixels < 1) throw UsageError("the largest number of pixels must be 1 or more");
    o.value.max_pixels = pixels;
  });
}

s2u_status* s2u_image_read(const char* path, const s2u_decode_options* options, s2u_image** out) {
  return guarded([&] {
    need(out, "where the picture goes");
    hand_out_image(read_image(text_of(path, "the path"), value_of(options, "the options")), out);
  });
}

s2u_status* s2u_image_decode(const void* bytes, size_t size, const char* name,
                             const s2u_decode_options* options, s2u_image** out) {
  return guarded([&] {
    need(bytes, "the picture's bytes");
    need(out, "where the picture goes");
    hand_out_image(decode_image({static_cast<const std::byte*>(bytes), size},
                                value_of(options, "the options"), name == nullptr ? "picture" : name),
                   out);
  });
}

void s2u_image_free(s2u_image* image) {
  destroy(image);
}

s2u_status* s2u_image_plane(const s2u_image* image, s2u_plane* plane) {
  return guarded([&] {
    const Image& i = live(image, "the picture").value;
    need(plane, "the plane");
    check_struct(plane->struct_size, sizeof(s2u_plane), "the plane");
    plane->data = i.pixels.data();
    plane->type = S2U_U8;
    plane->width = i.width;
    plane->height = i.height;
    plane->channels = i.channels;
    plane->stride = static_cast<ptrdiff_t>(i.width) * i.channels;
  });
}

s2u_status* s2u_png_write(const char* path, const s2u_plane* picture) {
  return guarded([&] {
    Image room;
    write_png(text_of(path, "the path"), picture_of(picture, "the picture", room));
  });
}

s2u_status* s2u_resize_pillow(const s2u_plane* picture, int32_t width, int32_t height, int32_t filter,
                              int32_t version, uint8_t* pixels, size_t* count) {
  return guarded([&] {
    Image room;
    const ImageView view = picture_of(picture, "the picture", room);
    const ResizeFilter f = chosen(filter, {ResizeFilter::bilinear, ResizeFilter::bicubic}, "filter");
    const PillowVersion v = pillow_of(version);
    constexpr int kMaxSide = 1 << 24;
    constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;
    if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
        std::int64_t{width} * height > kMaxPixels) {
      throw UsageError("a size of " + std::to_string(width) + "x" + std::to_string(height) +
                       ": at least 1x1, at most 2^28 pixels and 2^24 a side");
    }
    const std::size_t size = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                             static_cast<std::size_t>(view.channels);
    if (!is_wanted(size, pixels, count)) return;
    const Image resized = resize_pillow(view, width, height, f, v);
    std::memcpy(pixels, resized.pixels.data(), size);
  });
}
}
