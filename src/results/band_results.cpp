#include "results/band_results.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "results/json_text.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/draw.h"
#include "sam2unet/overlay_stream.h"
#include "sam2unet/region_stream.h"

namespace sam2unet::results {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

struct BandResults::Impl {
  Impl(const BandedPicture& p, const ResultOptions& o, const OpenSink& open)
      : picture(p), options(o), width(p.pixels.width), height(p.pixels.height), several(p.channels > 1) {
    for (const int id : o.shown) is_shown.at(static_cast<std::size_t>(id)) = true;
    for (const Save save : o.saves) begin(save, open(save));
  }

  void begin(Save save, ByteSink sink) {
    const std::vector<Color> palette = several ? class_palette(*options.table) : std::vector<Color>();
    switch (save) {
      case Save::map:
        map.emplace(width, height, 1, PngStreamOptions{palette, {}, std::move(sink)});
        break;
      case Save::mask:
        mask.emplace(width, height, 1, PngStreamOptions{{}, {}, std::move(sink)});
        break;
      case Save::overlay:
        if (several)
          overlay.emplace(picture.pixels, *options.table, options.shown, OverlayOptions{}, std::move(sink));
        else
          overlay.emplace(picture.pixels, OverlayOptions{}, std::move(sink));
        break;
      case Save::cutout:
        cutout = std::move(sink);
        break;
      case Save::json:
        json = std::move(sink);
        summing.resize(several ? static_cast<std::size_t>(picture.channels) : 1);
        regions.emplace(width, height,
                        several ? std::span<const int>(options.shown) : std::span(kForeground));
        break;
    }
  }

  // `value(i)` of each pixel of the band, in memory that the next call takes.
  template <class Value>
  const Image& made(const SegmentationBand& band, const Value& value) {
    rows.width = band.width;
    rows.height = band.rows;
    rows.channels = 1;
    rows.pixels.resize(static_cast<std::size_t>(band.width) * static_cast<std::size_t>(band.rows));
    for (std::size_t i = 0; i < rows.pixels.size(); ++i) rows.pixels[i] = value(i);
    return rows;
  }
  // Of one foreground a pixel of the mask, of classes whether a class is shown.
  const Image& mask_of(const SegmentationBand& band) {
    return made(band, [&](std::size_t i) {
      const bool in = several ? is_shown[band.ids[i]] : band.probabilities[i] >= options.threshold;
      return static_cast<std::uint8_t>(in ? 255 : 0);
    });
  }
  std::uint8_t gray_of(float p) const {
    const float half = options.official ? 0.0F : 0.5F;  // as Segmentation::to_gray
    return p > 0.0F ? static_cast<std::uint8_t>(std::min(p * 255.0F + half, 255.0F)) : std::uint8_t{0};
  }
  const Image& gray(const SegmentationBand& band) {
    return made(band, [&](std::size_t i) { return gray_of(band.probabilities[i]); });
  }

  // Some rows at a time: what is made of a band must not take as much as the band.
  void add(const SegmentationBand& band) {
    constexpr std::size_t kPixels = std::size_t{1} << 20;
    const auto w = static_cast<std::size_t>(band.width);
    const int step =
        static_cast<int>(std::clamp<std::size_t>(kPixels / w, 1, static_cast<std::size_t>(band.rows)));
    for (int y = 0; y < band.rows; y += step) {
      const auto first = static_cast<std::size_t>(y) * w;
      const int n = std::min(step, band.rows - y);
      const auto part = [&](auto values) {
        return values.empty() ? values : values.subspan(first, static_cast<std::size_t>(n) * w);
      };
      add_rows({band.first + y, n, band.width, band.channels, part(band.probabilities), part(band.ids),
                part(band.confidence)});
    }
  }

  void add_rows(const SegmentationBand& band) {
    if (several) {
      const ImageView ids(band.ids.data(), band.width, band.rows, 1);
      if (map) map->add(ids);
      if (overlay) overlay->add(ids);
    } else if (map) {
      map->add(gray(band));
    }
    if (mask) mask->add(mask_of(band));
    if (overlay && !several) overlay->add(mask_of(band));
    if (cutout) multiply_alpha(*picture.cutout, band.first, several ? mask_of(band) : gray(band));
    if (regions) measure(band);
  }

  void measure(const SegmentationBand& band) {
    std::span<const float> confidence = several ? band.confidence : band.probabilities;
    std::size_t i = 0;
    for (int y = band.first; y < band.first + band.rows; ++y) {
      for (int x = 0; x < band.width; ++x, ++i) {
        if (several)
          summing.at(band.ids[i]).add(x, y, confidence[i]);
        else if (confidence[i] >= options.threshold)
          summing[0].add(x, y, confidence[i]);
      }
    }
    if (options.instances && picture.parts == PartConfidence::of_8_bits) {
      rounded.resize(confidence.size());
      std::transform(confidence.begin(), confidence.end(), rounded.begin(),
                     [&](float p) { return static_cast<float>(gray_of(p)) / 255.0F; });
      confidence = rounded;
    }
    if (!options.instances) confidence = {};
    if (several) {
      regions->add(ImageView(band.ids.data(), band.width, band.rows, 1), confidence);
    } else {
      regions->add(
          made(band,
               [&](std::size_t k) {
                 return static_cast<std::uint8_t>(band.probabilities[k] >= options.threshold ? 1 : 0);
               }),
          confidence);
    }
  }

  void finish(double seconds, std::span<const std::byte> color_profile) {
    if (map) map->finish();
    if (mask) mask->finish();
    if (overlay) overlay->finish();
    if (cutout)
      write_cutout_png(*picture.cutout, {.clean_edges = options.clean_edges}, color_profile, cutout);
    if (json) describe(seconds);
  }

  void describe(double seconds) const {
    JsonText text(json);
    text.open('{');
    Json head{{"input", picture.name}, {"width", width}, {"height", height}};
    if (!several) {
      head["official"] = options.official;
      head["threshold"] = options.threshold;
    }
    text.members(head);
    if (several) {
      text.open('[', "classes");
      for (const int id : options.shown) {
        text.open('{');
        text.members({{"id", id}, {"name", options.table->classes.at(static_cast<std::size_t>(id)).name}});
        describe(text, id, summing.at(static_cast<std::size_t>(id)).summary());
        text.close('}');
      }
      text.close(']');
    } else {
      describe(text, 1, summing[0].summary());
    }
    text.members({{"seconds", std::round(seconds * 1e4) / 1e4}});
    text.close('}');
    text.finish();
  }

  // A class's members: its measures, its outlines, its connected parts.
  void describe(JsonText& text, int id, const MaskSummary& summary) const {
    text.members(summary_json(summary, pixels()));
    text.open('[', "polygons");
    regions->visit(id, options.simplify, [&](const ClassRegion& part) { text.polygon(part.polygons[0]); });
    text.close(']');
    if (!options.instances) return;
    text.open('[', "instances");
    regions->visit(id, options.simplify, [&](const ClassRegion& part) {
      text.open('{');
      text.members(summary_json(part.summary, pixels()));
      text.open('[', "polygons");
      text.polygon(part.polygons[0]);
      text.close(']');
      text.close('}');
    });
    text.close(']');
  }
  double pixels() const { return static_cast<double>(width) * height; }

  static constexpr std::array kForeground = {1};

  BandedPicture picture;
  const ResultOptions& options;
  const int width, height;
  const bool several;  // classes
  std::array<bool, 256> is_shown{};
  std::optional<PngStream> map, mask;
  std::optional<OverlayStream> overlay;
  ByteSink cutout, json;
  std::vector<SummaryBuilder> summing;  // by class
  std::optional<RegionStream> regions;
  Image rows;
  std::vector<float> rounded;
};

BandResults::BandResults(const BandedPicture& picture, const ResultOptions& options, const OpenSink& open)
    : impl_(std::make_unique<Impl>(picture, options, open)) {}
BandResults::~BandResults() = default;
BandResults::BandResults(BandResults&&) noexcept = default;
BandResults& BandResults::operator=(BandResults&&) noexcept = default;

void BandResults::add(const SegmentationBand& band) {
  impl_->add(band);
}

void BandResults::finish(double seconds, std::span<const std::byte> color_profile) {
  impl_->finish(seconds, color_profile);
}

}  // namespace sam2unet::results
