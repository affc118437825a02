// WebP through libwebp.
#include <webp/decode.h>
#include <webp/demux.h>

#include <fmt/format.h>

#include <memory>

#include "image/decoders.h"
#include "image/orientation.h"

namespace sam2unet::image {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* d) const { WebPDemuxDelete(d); }
};
struct DeleteAnimation {
  void operator()(WebPAnimDecoder* d) const { WebPAnimDecoderDelete(d); }
};
using Demuxer = std::unique_ptr<WebPDemuxer, DeleteDemuxer>;

Bytes chunk(const WebPDemuxer* demuxer, const char* fourcc, WebPChunkIterator& it) {
  if (WebPDemuxGetChunk(demuxer, fourcc, 1, &it) == 0) return {};
  return {it.chunk.bytes, it.chunk.size};
}

int orientation(const WebPDemuxer* demuxer) {
  WebPChunkIterator exif = {};
  WebPChunkIterator xmp = {};
  const Bytes e = chunk(demuxer, "EXIF", exif);
  const Bytes x = chunk(demuxer, "XMP ", xmp);
  const int o = orientation_of(e, {reinterpret_cast<const char*>(x.data()), x.size()});
  WebPDemuxReleaseChunkIterator(&exif);
  WebPDemuxReleaseChunkIterator(&xmp);
  return o;
}

std::vector<std::uint8_t> color_profile(const WebPDemuxer* demuxer) {
  WebPChunkIterator it = {};
  const Bytes bytes = chunk(demuxer, "ICCP", it);
  std::vector<std::uint8_t> out(bytes.begin(), bytes.end());
  WebPDemuxReleaseChunkIterator(&it);
  return out;
}

// The first frame on its canvas, which it need not fill.
void decode_first_frame(const Source& source, Image& image) {
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const WebPData data = {source.bytes.data(), source.bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> decoder(WebPAnimDecoderNew(&data, &options));
  std::uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (!decoder || WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp) == 0) {
    fail(source, "the first frame of the WebP is damaged");
  }
  const auto channels = static_cast<std::size_t>(image.channels);
  std::uint8_t* to = image.pixels.data();
  for (std::size_t i = 0; i < image.pixels.size(); i += channels, rgba += 4, to += channels) {
    for (std::size_t c = 0; c < channels; ++c) to[c] = rgba[c];
  }
}

}  // namespace

Decoded decode_webp(const Source& source) {
  const WebPData data = {source.bytes.data(), source.bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const Demuxer demuxer(WebPDemuxPartial(&data, &state));
  if (!demuxer || state != WEBP_DEMUX_DONE) {
    fail(source, state == WEBP_DEMUX_PARSE_ERROR ? "the WebP is damaged"
                                                 : "the WebP ends early; get a whole copy of it");
  }
  const std::int64_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const std::int64_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  check_size(source, width, height);
  const std::uint32_t flags = WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS);
  const bool alpha = (flags & ALPHA_FLAG) != 0;
  const int channels = alpha && source.wants_alpha ? 4 : 3;
  Decoded out{Image(static_cast<int>(width), static_cast<int>(height), channels), orientation(demuxer.get())};
  out.alpha = alpha;
  if (source.wants_profile) out.profile = color_profile(demuxer.get());
  if ((flags & ANIMATION_FLAG) != 0) {
    decode_first_frame(source, out.image);
    return out;
  }
  // The pixels may be of another size than the canvas claims; libwebp refuses to write more than fits.
  WebPBitstreamFeatures features = {};
  if (WebPGetFeatures(source.bytes.data(), source.bytes.size(), &features) != VP8_STATUS_OK ||
      features.width != width || features.height != height ||
      (channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto)(
          source.bytes.data(), source.bytes.size(), out.image.pixels.data(), out.image.pixels.size(),
          static_cast<int>(width) * channels) == nullptr) {
    fail(source, "the WebP is damaged");
  }
  return out;
}

}  // namespace sam2unet::image
