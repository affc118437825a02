// The network: a Segmenter and its options.
#include "sam2unet/segmenter.h"

#include <algorithm>
#include <utility>

#include "api/c/handles.h"
#include "api/c/results.h"
#include "api/c/values.h"
#include "api/tiles.h"
#include "capi/planes.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_segmenter_options {
  SegmenterOptions value;
};

struct s2u_segmenter {
  Segmenter value;
};

struct s2u_segment_options {
  SegmentOptions value;
};

namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxBatch = 256;

std::int32_t to_c(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return S2U_PRECISION_AUTOMATIC;
    case Precision::f32:
      return S2U_PRECISION_F32;
    case Precision::bf16:
      return S2U_PRECISION_BF16;
    case Precision::int8:
      return S2U_PRECISION_INT8;
    case Precision::tf32:
      return S2U_PRECISION_TF32;
    case Precision::f16:
      return S2U_PRECISION_F16;
    case Precision::standard:
      return S2U_PRECISION_STANDARD;
  }
  return S2U_PRECISION_STANDARD;
}

void hand_out_segmenter(Segmenter segmenter, s2u_segmenter** out) {
  hand_out(std::make_unique<s2u_segmenter>(s2u_segmenter{std::move(segmenter)}), out);
}

const ClassInfo* class_of(const s2u_segmenter* segmenter, std::size_t id) {
  if (!is_live(segmenter)) return nullptr;
  const auto table = segmenter->value.classes();  // the segmenter keeps it too
  return table != nullptr && id < table->classes.size() ? &table->classes[id] : nullptr;
}

}  // namespace

extern "C" {

s2u_status* s2u_segmenter_options_new(s2u_segmenter_options** out) {
  return make(out, "where the options go");
}

void s2u_segmenter_options_free(s2u_segmenter_options* options) {
  destroy(options);
}

s2u_status* s2u_segmenter_options_set_threads(s2u_segmenter_options* options, int32_t threads) {
  return guarded([&] {
    s2u_segmenter_options& o = live(options, "the options");
    if (threads < 0 || threads > kMaxThreads)
      throw UsageError(std::to_string(threads) + " threads: must be 0 (all cores) to 1024");
    o.value.threads = threads;
  });
}

s2u_status* s2u_segmenter_options_set_device(s2u_segmenter_options* options, const char* device) {
  return guarded([&] { live(options, "the options").value.device = text_of(device, "the device"); });
}

s2u_status* s2u_segmenter_options_set_precision(s2u_segmenter_options* options, int32_t precision) {
  return guarded([&] {
    live(options, "the options").value.precision =
        chosen(precision,
               {Precision::automatic, Precision::f32, Precision::bf16, Precision::int8, Precision::tf32,
                Precision::f16, Precision::standard},
               "precision");
  });
}

s2u_status* s2u_segmenter_new(const char* weights, const s2u_segmenter_options* options,
                              s2u_segmenter** out) {
  return guarded([&] {
    need(out, "where the segmenter goes");
    const SegmenterOptions o = value_of(options, "the options");
    hand_out_segmenter(
        Segmenter(weights == nullptr ? default_model_path() : std::filesystem::path(weights), o), out);
  });
}

s2u_status* s2u_segmenter_new_from_bytes(const void* bytes, size_t size, const char* name,
                                         const s2u_segmenter_options* options, s2u_segmenter** out) {
  return guarded([&] {
    need(bytes, "the weights' bytes");
    need(out, "where the segmenter goes");
    hand_out_segmenter(Segmenter(std::span(static_cast<const std::byte*>(bytes), size),
                                 name == nullptr ? "weights" : name, value_of(options, "the options")),
                       out);
  });
}

void s2u_segmenter_free(s2u_segmenter* segmenter) {
  destroy(segmenter);
}

s2u_status* s2u_default_model(s2u_text** path) {
  return guarded([&] {
    need(path, "where the path goes");
    give_text(default_model_path().string(), path);
  });
}

s2u_status* s2u_segmenter_get_info(const s2u_segmenter* segmenter, s2u_segmenter_info* out) {
  return guarded([&] {
    const SegmenterInfo& i = live(segmenter, "the segmenter").value.info();
    need(out, "the information");
    check_struct(out->struct_size, sizeof(s2u_segmenter_info), "the information");
    out->channels = i.channels;
    out->width = i.size.width;
    out->height = i.size.height;
    out->batch = i.batch;
    out->fit = to_c(i.fit);
    out->precision = to_c(i.precision);
  });
}

const char* s2u_segmenter_variant(const s2u_segmenter* segmenter) {
  return is_live(segmenter) ? segmenter->value.info().variant.c_str() : "";
}

const char* s2u_segmenter_device(const s2u_segmenter* segmenter) {
  return is_live(segmenter) ? segmenter->value.info().device.c_str() : "";
}

const char* s2u_segmenter_config(const s2u_segmenter* segmenter) {
  return is_live(segmenter) ? segmenter->value.info().config.c_str() : "";
}

size_t s2u_segmenter_note_count(const s2u_segmenter* segmenter) {
  return is_live(segmenter) ? segmenter->value.notes().size() : 0;
}

const char* s2u_segmenter_note(const s2u_segmenter* segmenter, size_t index) {
  return index < s2u_segmenter_note_count(segmenter) ? segmenter->value.notes()[index].c_str() : "";
}

size_t s2u_segmenter_class_count(const s2u_segmenter* segmenter) {
  if (!is_live(segmenter)) return 0;
  const auto table = segmenter->value.classes();
  return table == nullptr ? 0 : table->classes.size();
}

const char* s2u_segmenter_class_name(const s2u_segmenter* segmenter, size_t id) {
  const ClassInfo* c = class_of(segmenter, id);
  return c == nullptr ? "" : c->name.c_str();
}

s2u_status* s2u_segmenter_class_color(const s2u_segmenter* segmenter, size_t id, uint8_t* rgb) {
  return guarded([&] {
    live(segmenter, "the segmenter");
    need(rgb, "where the colour goes");
    const ClassInfo* c = class_of(segmenter, id);
    if (c == nullptr) throw UsageError("there is no class " + std::to_string(id));
    rgb[0] = c->color.red;
    rgb[1] = c->color.green;
    rgb[2] = c->color.blue;
  });
}

int32_t s2u_segmenter_ignored_id(const s2u_segmenter* segmenter) {
  if (!is_live(segmenter)) return -1;
  const auto table = segmenter->value.classes();
  return table == nullptr ? -1 : table->ignore;
}

s2u_status* s2u_segment_options_new(s2u_segment_options** out) {
  return make(out, "where the options go");
}

void s2u_segment_options_free(s2u_segment_options* options) {
  destroy(options);
}

s2u_status* s2u_segment_options_set_size(s2u_segment_options* options, int32_t width, int32_t height) {
  return guarded([&] {
    s2u_segment_options& o = live(options, "the options");
    if (width < 0 || height < 0 || width % 32 != 0 || height % 32 != 0) {
      throw UsageError("a size of " + std::to_string(width) + "x" + std::to_string(height) +
                       ": both sides must be multiples of 32, or 0 for the trained size");
    }
    o.value.size = InputSize::of(width, height);
  });
}

s2u_status* s2u_segment_options_set_official(s2u_segment_options* options, int32_t official) {
  return guarded([&] { live(options, "the options").value.official = flag(official, "official"); });
}

s2u_status* s2u_segment_options_set_pillow(s2u_segment_options* options, int32_t version) {
  return guarded([&] { live(options, "the options").value.pillow = pillow_of(version); });
}

s2u_status* s2u_segment_options_set_fit(s2u_segment_options* options, int32_t fit) {
  return guarded([&] {
    live(options, "the options").value.fit =
        chosen<std::optional<Fit>>(fit, {std::nullopt, Fit::squash, Fit::letterbox}, "fit");
  });
}

s2u_status* s2u_segment_options_set_batch(s2u_segment_options* options, int32_t batch) {
  return guarded([&] {
    s2u_segment_options& o = live(options, "the options");
    if (batch < 0 || batch > kMaxBatch)
      throw UsageError("a batch of " + std::to_string(batch) + ": must be 0 (as is fastest) to 256");
    o.value.batch = batch;
  });
}

s2u_status* s2u_segment_options_set_output(s2u_segment_options* options, int32_t output) {
  return guarded([&] {
    live(options, "the options").value.output =
        chosen(output, {SegmentOutput::probabilities, SegmentOutput::ids}, "output");
  });
}

s2u_status* s2u_segment_options_set_tiles(s2u_segment_options* options, int32_t side, double overlap,
                                          double context) {
  return guarded([&] {
    s2u_segment_options& o = live(options, "the options");
    TileOptions tiles;
    tiles.side = side;
    tiles.overlap = overlap;
    tiles.context = context;
    api::check_tiles(tiles);
    o.value.tiles = std::move(tiles);
  });
}

s2u_status* s2u_segment_options_set_augmentation(s2u_segment_options* options, const char* text) {
  return guarded([&] {
    need(text, "the augmentation");
    live(options, "the options").value.augmentation = parse_augmentation(text);
  });
}

s2u_status* s2u_segment(const s2u_segmenter* segmenter, const s2u_plane* const* pictures, size_t count,
                        const s2u_segment_options* options, s2u_segmentation** out) {
  return guarded([&] {
    const Segmenter& s = live(segmenter, "the segmenter").value;
    const SegmentOptions o = value_of(options, "the options");
    if (count == 0) return;
    need(pictures, "the pictures");
    need(out, "where the results go");
    std::vector<ImageView> views;
    std::vector<Image> rooms(count);
    for (std::size_t i = 0; i < count; ++i)
      views.push_back(picture_of(pictures[i], ("picture " + std::to_string(i)).c_str(), rooms[i]));
    hand_out_results(s.segment(views, o), out);
  });
}
}
