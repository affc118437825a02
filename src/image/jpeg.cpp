// JPEG through libjpeg-turbo, with the settings Pillow uses: accurate integer DCT, smooth chroma upsampling.
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "image/decoders.h"
#include "image/guarded.h"
#include "image/orientation.h"
#include "image/pixels.h"
#include "image/row_writer.h"

namespace sam2unet::image {
namespace {

// A small file can ask for any number of passes over a large picture. Encoders write about ten.
constexpr int kMaxScans = 500;

struct Reader {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_source_mgr input = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf on_error = {};
  char message[JMSG_LENGTH_MAX] = {};

  Reader(Bytes bytes, bool wants_profile);
  ~Reader() { jpeg_destroy_decompress(&info); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

Reader& reader_of(void* client_data) {
  return *static_cast<Reader*>(client_data);
}

[[noreturn]] void jump_on_error(j_common_ptr info) {
  Reader& reader = reader_of(info->client_data);
  reader.errors.format_message(info, reader.message);
  std::longjmp(reader.on_error, 1);  // NOLINT(modernize-avoid-setjmp-longjmp,cert-err52-cpp)
}

// "No more data for now": the library then returns, and the caller knows that the file ended early.
boolean no_more_input(j_decompress_ptr) {
  return FALSE;
}

void skip_input(j_decompress_ptr info, long count) {
  jpeg_source_mgr& in = *info->src;
  const auto n = std::min(static_cast<std::size_t>(std::max(count, 0L)), in.bytes_in_buffer);
  in.next_input_byte += n;
  in.bytes_in_buffer -= n;
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  Reader& reader = reader_of(info->client_data);
  std::snprintf(reader.message, sizeof reader.message, "it has more than %d scans", kMaxScans);
  std::longjmp(reader.on_error, 1);  // NOLINT(modernize-avoid-setjmp-longjmp,cert-err52-cpp)
}

Reader::Reader(Bytes bytes, bool wants_profile) {
  info.err = jpeg_std_error(&errors);
  errors.error_exit = jump_on_error;
  errors.output_message = [](j_common_ptr) {};
  info.client_data = this;
  if (!guarded(on_error, [this] { jpeg_create_decompress(&info); })) return;
  info.client_data = this;
  input.init_source = [](j_decompress_ptr) {};
  input.fill_input_buffer = no_more_input;
  input.skip_input_data = skip_input;
  input.resync_to_restart = jpeg_resync_to_restart;
  input.term_source = [](j_decompress_ptr) {};
  input.next_input_byte = bytes.data();
  input.bytes_in_buffer = bytes.size();
  info.src = &input;
  progress.progress_monitor = on_progress;
  info.progress = &progress;
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);  // EXIF and XMP
  if (wants_profile) jpeg_save_markers(&info, JPEG_APP0 + 2, 0xFFFF);
}

int orientation(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr std::string_view kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::vector<std::uint8_t> exif;
  std::string_view xmp;
  for (const jpeg_marker_struct* m = info.marker_list; m != nullptr; m = m->next) {
    if (m->marker != JPEG_APP0 + 1) continue;
    const std::string_view data(reinterpret_cast<const char*>(m->data), m->data_length);
    if (data.starts_with(kExif)) {  // long blocks come in several segments
      exif.insert(exif.end(), data.begin() + kExif.size(), data.end());
    } else if (data.starts_with(kXmp)) {
      xmp = data.substr(kXmp.size());
    }
  }
  return orientation_of(exif, xmp);
}

std::vector<std::uint8_t> color_profile(Reader& reader) {
  JOCTET* data = nullptr;
  unsigned size = 0;
  const bool read =
      guarded(reader.on_error, [&] { jpeg_read_icc_profile(&reader.info, &data, &size); }) && data != nullptr;
  std::vector<std::uint8_t> out;
  if (read) out.assign(data, data + size);
  std::free(data);  // NOLINT(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory): its way
  return out;
}

}  // namespace

Decoded decode_jpeg(const Source& source) {
  Reader reader(source.bytes, source.wants_profile);
  jpeg_decompress_struct& info = reader.info;
  const auto damaged = [&] { fail(source, fmt::format("the JPEG is damaged ({})", reader.message)); };

  int status = JPEG_SUSPENDED;
  const bool header_read = guarded(reader.on_error, [&] {
    do status = jpeg_read_header(&info, FALSE);
    while (status == JPEG_HEADER_TABLES_ONLY);
  });
  if (!header_read) damaged();
  if (status != JPEG_HEADER_OK)
    fail(source, "the JPEG ends before the picture begins; get a whole copy of it");
  check_size(source, info.image_width, info.image_height);
  switch (info.num_components) {
    case 1:
      info.out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      info.out_color_space = JCS_RGB;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      break;
    default:
      fail(source, fmt::format("it has {} colour components; 1, 3 and 4 are known", info.num_components));
  }
  const int width = static_cast<int>(info.image_width);
  const int height = static_cast<int>(info.image_height);

  bool started = false;
  if (!guarded(reader.on_error, [&] { started = jpeg_start_decompress(&info) != FALSE; })) damaged();
  if (!started) fail_truncated(source, 0, height);

  const int channels = info.num_components == 1 ? 1 : 3;
  Decoded out{{}, orientation(info)};
  if (source.wants_profile && info.num_components == 3) out.profile = color_profile(reader);
  RowWriter writer(source, width, height, channels, out.orientation);
  std::vector<std::uint8_t> cmyk(info.num_components == 4 ? static_cast<std::size_t>(width) * 4 : 0);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = cmyk.empty() ? writer.row(y) : cmyk.data();
    JDIMENSION rows = 0;
    if (!guarded(reader.on_error, [&] { rows = jpeg_read_scanlines(&info, &row, 1); })) damaged();
    if (rows != 1) fail_truncated(source, y, height);
    if (source.behind != nullptr) source.behind->reach(info.src->next_input_byte);
    // Pillow's "CMYK;I": four components are taken to be inverted, as Adobe's programs write them.
    for (int x = 0; x < width && !cmyk.empty(); ++x) {
      std::uint8_t* p = cmyk.data() + static_cast<std::ptrdiff_t>(x) * 4;
      for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(~p[i]);
      cmyk_to_rgb(p, writer.row(y) + static_cast<std::ptrdiff_t>(x) * 3);
    }
    writer.done(y);
  }
  out.image = writer.take();
  out.placed = channels;
  return out;
}

}  // namespace sam2unet::image
