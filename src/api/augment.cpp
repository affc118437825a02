#include "api/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

constexpr double kMinScale = 0.25, kMaxScale = 4.0;
constexpr std::size_t kMaxScales = 8;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

double scale_of(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    throw UsageError(fmt::format("scale '{}' is not a number; write scale=0.75:1.25", text));
  return value;
}

void check_scales(const std::vector<double>& scales) {
  if (scales.size() > kMaxScales)
    throw UsageError(fmt::format("{} scales: at most {} are taken", scales.size(), kMaxScales));
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (!(scales[i] >= kMinScale && scales[i] <= kMaxScale)) {
      throw UsageError(fmt::format("a scale of {}: must be {} to {}", scales[i], kMinScale, kMaxScale));
    }
    if (scales[i] == 1.0) throw UsageError("a scale of 1 is the picture as it is, which is always there");
    if (std::find(scales.begin(), scales.begin() + static_cast<std::ptrdiff_t>(i), scales[i]) !=
        scales.begin() + static_cast<std::ptrdiff_t>(i))
      throw UsageError(fmt::format("the scale {} is named twice", scales[i]));
  }
}

}  // namespace

Augmentation parse_augmentation(std::string_view text) {
  Augmentation out;
  if (text.empty()) return out;
  constexpr std::string_view kScale = "scale=";
  const auto set = [](bool& what, std::string_view name) {
    if (what) throw UsageError(fmt::format("'{}' is named twice", name));
    what = true;
  };
  for (const std::string_view part : split(text, ',')) {
    if (part == "hflip") {
      set(out.mirror_x, part);
    } else if (part == "vflip") {
      set(out.mirror_y, part);
    } else if (part == "rot90") {
      set(out.quarter_turn, part);
    } else if (part.starts_with(kScale)) {
      if (!out.scales.empty()) throw UsageError("'scale' is named twice; write scale=0.75:1.25");
      for (const std::string_view scale : split(part.substr(kScale.size()), ':'))
        out.scales.push_back(scale_of(scale));
    } else {
      throw UsageError(fmt::format("unknown augmentation '{}'; use hflip, vflip, rot90, scale=A:B", part));
    }
  }
  check_scales(out.scales);
  return out;
}

namespace api {

std::vector<Variant> variants_of(const Augmentation& a) {
  check_scales(a.scales);
  std::vector<Variant> out{Variant{}};
  if (a.mirror_x) out.push_back({Turn::mirror_x, 1.0});
  if (a.mirror_y) out.push_back({Turn::mirror_y, 1.0});
  if (a.quarter_turn) out.push_back({Turn::quarter, 1.0});
  for (const double scale : a.scales) out.push_back({Turn::none, scale});
  return out;
}

InputSize input_of(const Variant& v, const InputSize& size) {
  const auto scaled = [&](int side) {
    if (v.scale == 1.0) return side;
    constexpr int kStep = 32;
    return std::max(kStep, static_cast<int>(std::lround(side * v.scale / kStep)) * kStep);
  };
  const InputSize upright = InputSize::of(scaled(size.width), scaled(size.height));
  return v.turn == Turn::quarter ? InputSize::of(upright.height, upright.width) : upright;
}

OwnedLogits upright(std::vector<float> planes, int channels, const Placement& p, Turn turn) {
  OwnedLogits out{std::move(planes), channels, p};
  const std::ptrdiff_t w = p.input.width, h = p.input.height;
  if (turn == Turn::mirror_x) {
    for (std::ptrdiff_t row = 0; row < h * channels; ++row)
      std::reverse(out.values.begin() + row * w, out.values.begin() + (row + 1) * w);
    out.placement.x = p.input.width - p.x - p.width;
  } else if (turn == Turn::mirror_y) {
    for (int k = 0; k < channels; ++k)
      for (std::ptrdiff_t y = 0; y < h / 2; ++y) {
        const auto row = out.values.begin() + (k * h + y) * w;
        std::swap_ranges(row, row + w, out.values.begin() + (k * h + h - 1 - y) * w);
      }
    out.placement.y = p.input.height - p.y - p.height;
  } else if (turn == Turn::quarter) {
    // The turned picture at (x', y') is the upright one at (its width - 1 - y', x').
    std::vector<float> values(out.values.size());
    for (int k = 0; k < channels; ++k)
      for (std::ptrdiff_t y = 0; y < w; ++y)
        for (std::ptrdiff_t x = 0; x < h; ++x)
          values[static_cast<std::size_t>((k * w + y) * h + x)] =
              out.values[static_cast<std::size_t>((k * h + h - 1 - x) * w + y)];
    out.values = std::move(values);
    out.placement = {p.picture_height,
                     p.picture_width,
                     InputSize::of(p.input.height, p.input.width),
                     p.input.height - p.y - p.height,
                     p.x,
                     p.height,
                     p.width};
  }
  return out;
}

std::vector<float> to_planes(std::span<const float> values, std::size_t channels) {
  if (channels == 1) return {values.begin(), values.end()};
  std::vector<float> out(values.size());
  const std::size_t plane = values.size() / channels;
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t k = 0; k < channels; ++k) out[k * plane + i] = values[i * channels + k];
  return out;
}

void check_finite(std::span<const float> logits) {
  if (std::ranges::all_of(logits, [](float v) { return std::isfinite(v); })) return;
  throw WeightsError(
      "the network's result holds NaN or infinity: with these weights its numbers grow past what float "
      "holds; take an earlier checkpoint");
}

std::vector<VariantLogits> Passes::run(std::span<const ImageView> pictures) {
  std::vector<VariantLogits> out(pictures.size(), VariantLogits(options_.variants.size()));
  std::vector<Job> jobs;
  for (std::size_t v = 0; v < options_.variants.size(); ++v) {
    const Variant& variant = options_.variants[v];
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const bool turned = variant.turn == Turn::quarter;
      const ImageView& p = pictures[i];
      jobs.push_back({i, v,
                      place(turned ? p.height : p.width, turned ? p.width : p.height,
                            input_of(variant, options_.size), options_.fit)});
    }
  }
  // A batch is of one size of input.
  std::stable_sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
    const InputSize &s = a.placement.input, &t = b.placement.input;
    return s.width != t.width ? s.width < t.width : s.height < t.height;
  });
  for (std::size_t first = 0; first < jobs.size();) {
    std::size_t last = first + 1;
    while (last < jobs.size() && last - first < options_.batch &&
           jobs[last].placement.input == jobs[first].placement.input)
      ++last;
    run_together(pictures, std::span(jobs).subspan(first, last - first), out);
    first = last;
  }
  return out;
}

void Passes::run_together(std::span<const ImageView> pictures, std::span<const Job> jobs,
                          std::vector<VariantLogits>& out) {
  if (inputs_.size() < jobs.size()) inputs_.resize(jobs.size());
  std::vector<ImageView> inputs;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    preparer_.prepare(pictures[job.picture], job.placement, options_.pillow, inputs_[i],
                      options_.variants[job.variant].turn);
    inputs.push_back(inputs_[i]);
  }
  backend_.run(BackendInput(inputs), [&](const Logits& logits) {
    const std::size_t each = logits.values.size() / jobs.size();
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const std::span<const float> values = logits.values.subspan(i * each, each);
      check_finite(values);
      out[jobs[i].picture][jobs[i].variant] =
          upright(to_planes(values, static_cast<std::size_t>(options_.channels)), options_.channels,
                  jobs[i].placement, options_.variants[jobs[i].variant].turn);
    }
  });
}

}  // namespace api
}  // namespace sam2unet
