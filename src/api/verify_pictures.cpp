// A folder of real pictures with what the reference made of them: resized input, logits, written map.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "api/verify_parts.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::api {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pictures_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && has_image_extension(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The reference looks at neither EXIF nor alpha.
DecodeOptions as_reference(ColorMode mode) {
  DecodeOptions o;
  o.mode = mode;
  o.apply_exif_orientation = false;
  return o;
}

struct Difference {
  int largest = 0;
  double differing = 0.0;  // share of the bytes
};

Difference compare(const Image& got, const Image& want, const fs::path& file) {
  if (got.width != want.width || got.height != want.height || got.channels != want.channels) {
    throw FormatError(fmt::format("{}: is {}x{}x{}, expected {}x{}x{}", file.string(), want.width,
                                  want.height, want.channels, got.width, got.height, got.channels));
  }
  Difference d;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < got.pixels.size(); ++i) {
    const int delta = std::abs(got.pixels[i] - want.pixels[i]);
    d.largest = std::max(d.largest, delta);
    differing += delta != 0 ? 1 : 0;
  }
  d.differing = static_cast<double>(differing) / static_cast<double>(got.pixels.size());
  return d;
}

class Pictures {
 public:
  Pictures(fs::path folder, const VerifyOptions& options, const Report& report)
      : folder_(std::move(folder)),
        report_(report),
        segmenter_(options.weights, {options.threads, options.device, options.precision}) {
    if (fs::exists(folder_ / "logits.safetensors"))
      logits_ = formats::TensorFile::open(folder_ / "logits.safetensors");
  }

  bool run() {
    const auto files = pictures_in(folder_ / "image");
    if (files.empty())
      throw FileError(fmt::format("{}: holds no pictures to verify", (folder_ / "image").string()));
    for (const auto& f : files) check_picture(f);
    if (fs::is_directory(folder_ / "mask")) {
      for (const auto& f : pictures_in(folder_ / "mask")) check_mask(f);
    }
    if (pixels_ > 0) check("all predictions", differing_ / pixels_, 0.005, "of pixels differ");
    if (checks_ == 0) {  // nothing compared is nothing proved
      throw FormatError(
          fmt::format("{}: nothing to compare the pictures with; expected any of resized/, pred/, "
                      "mask_resized/ with PNGs "
                      "of their names, or logits.safetensors",
                      folder_.string()));
    }
    return ok_;
  }

 private:
  bool has_classes() const { return segmenter_.info().channels > 1; }

  void check(const std::string& name, double error, double tolerance, const char* unit) {
    const VerifyCheck c{name, error, tolerance, unit};
    ok_ = ok_ && c.ok();
    ++checks_;
    report_(c);
  }

  std::optional<Image> golden(const char* kind, const fs::path& of, ColorMode mode) const {
    const auto file = folder_ / kind / (of.stem().string() + ".png");
    if (!fs::exists(file)) return std::nullopt;
    return read_image(file, as_reference(mode));
  }

  void check_picture(const fs::path& file) {
    const std::string name = file.filename().string();
    const Image picture = read_image(file, as_reference(ColorMode::rgb));
    SegmentOptions options;
    options.official = !has_classes();  // the reference's test.py knows one foreground
    if (const auto want = golden("resized", file, ColorMode::rgb)) {
      options.size = InputSize::of(want->width, want->height);
      const Image got = resize_pillow(picture, want->width, want->height, ResizeFilter::bilinear);
      check(name + " resized", compare(got, *want, file).largest, 0, "grey levels");
    }
    if (has_classes()) options.output = SegmentOutput::ids;
    const Segmentation s = segmenter_.segment(picture, options);
    if (logits_) check_logits(name, s);
    if (const auto want = golden("pred", file, has_classes() ? ColorMode::ids : ColorMode::gray)) {
      const Difference d = compare(has_classes() ? s.to_ids() : s.to_gray(), *want, file);
      if (!has_classes()) check(name + " prediction", d.largest, 1, "grey levels");
      check(name + " prediction", d.differing, 0.02, "of pixels differ");
      const double n = static_cast<double>(want->pixels.size());
      differing_ += d.differing * n;
      pixels_ += n;
    }
  }

  void check_logits(const std::string& name, const Segmentation& s) {
    const TensorView* view = logits_->find("logits:" + name);
    if (view == nullptr) return;
    std::vector<double> want(static_cast<std::size_t>(view->numel())), got;
    copy_to(*view, std::span(want));
    const auto h = static_cast<std::int64_t>(s.logits_size.height),
               w = static_cast<std::int64_t>(s.logits_size.width);
    const std::size_t rank = view->shape.rank();
    const std::int64_t rows = rank < 2 ? 0 : view->shape[rank - 2];
    const std::int64_t step =
        rows > 0 ? std::max<std::int64_t>(1, h / rows) : 1;  // whole, or every 8th row and column
    for (std::int64_t k = 0; k < s.channels; ++k)
      for (std::int64_t y = 0; y < h; y += step)
        for (std::int64_t x = 0; x < w; x += step)
          got.push_back(s.logits[static_cast<std::size_t>((k * h + y) * w + x)]);
    check(name + " logits", relative_error(got, want), 2e-4, "of range");
  }

  void check_mask(const fs::path& file) {
    const auto want = golden("mask_resized", file, ColorMode::gray);
    if (!want) return;
    const Image mask = read_image(file, as_reference(ColorMode::gray));
    const Image got = resize_pillow(mask, want->width, want->height, ResizeFilter::bicubic);
    check(file.filename().string() + " mask resized", compare(got, *want, file).largest, 0, "grey levels");
  }

  fs::path folder_;
  const Report& report_;
  Segmenter segmenter_;
  std::optional<formats::TensorFile> logits_;
  double differing_ = 0.0, pixels_ = 0.0;
  bool ok_ = true;
  int checks_ = 0;
};

}  // namespace

bool verify_pictures(const fs::path& folder, const VerifyOptions& options, const Report& report) {
  if (options.weights.empty()) {
    throw UsageError(
        fmt::format("{}: a folder of pictures needs the weights they were predicted with; name their file",
                    folder.string()));
  }
  if (!fs::is_directory(folder / "image")) {
    throw FileError(fmt::format(
        "{}: no folder image/ in it; expected image/ and any of resized/, pred/, mask/, mask_resized/, "
        "logits.safetensors",
        folder.string()));
  }
  return Pictures(folder, options, report).run();
}

}  // namespace sam2unet::api
