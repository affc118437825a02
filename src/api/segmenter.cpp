#include "sam2unet/segmenter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "api/cpu_backend.h"
#include "api/make_backend.h"
#include "api/merge.h"
#include "api/picture.h"
#include "api/precision_choice.h"
#include "core/default_model.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "ops/cpu/threads.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"

namespace sam2unet {
namespace {

constexpr std::size_t kBandBytes = std::size_t{8} << 20;
constexpr int kMaxBatch = 256;

// What it takes to bring pictures to the network's size. Kept from call to call, so that nothing is allocated
// for pictures like the ones before.
struct Workspace {
  api::Preparer preparer;
  std::vector<Image> inputs;
};

class Workspaces {
 public:
  class Lease {
   public:
    explicit Lease(Workspaces& all) : all_(all), own_(all.take()) {}
    ~Lease() { all_.give_back(std::move(own_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace* operator->() { return own_.get(); }

   private:
    Workspaces& all_;
    std::unique_ptr<Workspace> own_;
  };

 private:
  std::unique_ptr<Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace>();
    auto w = std::move(idle_.back());
    idle_.pop_back();
    return w;
  }
  void give_back(std::unique_ptr<Workspace> w) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(w));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace

struct Segmenter::Impl {
  Impl(model::CheckpointWeights weights, const SegmenterOptions& options);

  InputSize size_of(const SegmentOptions& options) const;
  void check(std::span<const ImageView> pictures, const SegmentOptions& options) const;
  /// A result that only says how it is made.
  Segmentation blank(const ImageView& picture, const SegmentOptions& options) const;
  /// Everything up to the logits of pictures that the network sees at once.
  void compute(std::span<const ImageView> pictures, const SegmentOptions& options,
               std::span<Segmentation> results) const;
  /// What the caller asked for at the picture's own size, of the logits.
  void finish(const ImageView& picture, const SegmentOptions& options, Segmentation& result) const;
  /// One pass over the whole picture: no variants, and no tiles or a tile that covers it.
  bool is_one_pass(const ImageView& picture, const SegmentOptions& options) const;
  Segmentation segment(const ImageView& picture, const SegmentOptions& options) const;
  void finish_in_bands(const ImageView& picture, const SegmentOptions& options, const Segmentation& result,
                       const UseBand& use) const;
  /// Calls `use(merged)` with what several passes make of the picture.
  template <class Use>
  void with_passes(const ImageView& picture, const SegmentOptions& options, const Use& use) const;
  api::PlacedLogits placed(const ImageView& picture, const Segmentation& result) const {
    return {result.logits, result.channels, api::place(picture, result.logits_size, result.fit)};
  }
  api::Activation activation() const {
    return info.channels == 1 ? api::Activation::sigmoid : api::Activation::softmax;
  }
  int threads() const { return ops::available_threads(wanted_threads); }
  std::size_t batch_of(const SegmentOptions& options) const {
    return static_cast<std::size_t>(options.batch == 0 ? info.batch : options.batch);
  }

  model::Config config;
  SegmenterInfo info;
  std::vector<std::string> notes;
  std::shared_ptr<const ClassTable> classes;
  int wanted_threads = 0;
  std::unique_ptr<api::Backend> backend;
  mutable Workspaces workspaces;
};

namespace {

static_assert(InputSize::kMaxSide == model::kMaxInputSide);

std::string metadata_of(const model::CheckpointWeights& weights, const std::string& key) {
  const auto it = weights.metadata().find(key);
  return it == weights.metadata().end() ? std::string() : it->second;
}

std::shared_ptr<const ClassTable> classes_of(const model::CheckpointWeights& weights) {
  const int channels = weights.config().out_channels;
  if (channels == 1) return nullptr;
  const std::string text = metadata_of(weights, model::kClassesKey);
  ClassTable table = text.empty() ? default_class_table(channels) : class_table_from_json(text);
  if (table.size() != channels) {
    throw WeightsError(fmt::format("the weights have {} output channels, but their table names {} classes",
                                   channels, table.size()));
  }
  return std::make_shared<const ClassTable>(std::move(table));
}

const SegmenterOptions& checked(const SegmenterOptions& options) {
  if (options.threads < 0 || options.threads > 1024)
    throw UsageError(fmt::format("{} threads: must be 0 (all cores) to 1024", options.threads));
  if (options.streams < 0 || options.streams > 64)
    throw UsageError(fmt::format("{} streams: must be 0 (as is best) to 64", options.streams));
  return options;
}

}  // namespace

Segmenter::Impl::Impl(model::CheckpointWeights weights, const SegmenterOptions& options)
    : config(weights.config()),
      notes(weights.notes()),
      classes(classes_of(weights)),
      wanted_threads(options.threads) {
  const api::PrecisionChoice choice =
      api::choose_precision(api::parse_device(options.device).kind, options.precision, weights.gates());
  SegmenterOptions settled = options;
  settled.precision = choice.precision;
  backend = api::make_backend(weights, config, settled, choice.kept);
  const api::BackendInfo b = backend->info();
  info.variant = model::variant_name(config);
  info.device = b.device;
  info.precision = b.precision;
  info.channels = config.out_channels;
  info.batch = b.batch;
  info.arithmetic = b.arithmetic;
  info.in_flight = b.in_flight;
  info.choice = choice.why;
  if (info.device == "cpu") wanted_threads = api::thread_shares(settled).threads;
  info.config = config.to_json();
  if (const auto trained = weights.trained_size()) info.size = InputSize::of(trained->width, trained->height);
  if (const std::string fit = metadata_of(weights, model::kFitKey); !fit.empty()) info.fit = parse_fit(fit);
}

InputSize Segmenter::Impl::size_of(const SegmentOptions& o) const {
  return InputSize::of(o.size.width == 0 ? info.size.width : o.size.width,
                       o.size.height == 0 ? info.size.height : o.size.height);
}

void Segmenter::Impl::check(std::span<const ImageView> pictures, const SegmentOptions& options) const {
  const InputSize size = size_of(options);
  config.check_input(size.height, size.width);
  for (const api::Variant& v : api::variants_of(options.augmentation)) {
    const InputSize scaled = api::input_of(v, size);
    config.check_input(scaled.height, scaled.width);
  }
  if (options.tiles) api::check_tiles(*options.tiles);
  if (options.official && (options.tiles || !options.augmentation.empty()))
    throw UsageError("the reference's test.py has neither tiles nor augmentation");
  if (options.official && info.channels != 1) {
    throw UsageError(fmt::format(
        "the reference's test.py is defined for one foreground; this network has {} classes", info.channels));
  }
  if (options.batch < 0 || options.batch > kMaxBatch)
    throw UsageError(fmt::format("a batch of {}: must be 0 (as is fastest) to {}", options.batch, kMaxBatch));
  for (const ImageView& p : pictures) api::check_picture(p);
}

void Segmenter::Impl::compute(std::span<const ImageView> pictures, const SegmentOptions& options,
                              std::span<Segmentation> results) const {
  const InputSize size = size_of(options);
  const Fit fit = options.fit.value_or(info.fit);
  Workspaces::Lease work(workspaces);
  if (work->inputs.size() < pictures.size()) work->inputs.resize(pictures.size());
  // Of a batch several pictures at a time: one after the other they would take longer than a GPU's pass.
  const auto for_some = [&](const auto& visit) {
    ops::parallel_rows(pictures.size() == 1 ? 1 : threads(), static_cast<std::int64_t>(pictures.size()),
                       [&](std::int64_t first, std::int64_t last) {
                         visit(static_cast<std::size_t>(first), static_cast<std::size_t>(last));
                       });
  };
  std::vector<ImageView> inputs(pictures.size());
  const auto prepare = [&](api::Preparer& preparer, std::size_t i) {
    Image& input = work->inputs[i];
    preparer.prepare(pictures[i], api::place(pictures[i], size, fit), options.pillow, input);
    inputs[i] = input;
    results[i] = blank(pictures[i], options);
  };
  if (pictures.size() == 1) {
    prepare(work->preparer, 0);
  } else {
    for_some([&](std::size_t first, std::size_t last) {
      Workspaces::Lease own(workspaces);
      for (std::size_t i = first; i < last; ++i) prepare(own->preparer, i);
    });
  }
  backend->run(api::BackendInput(inputs), [&](const api::Logits& logits) {
    const std::size_t each = logits.values.size() / pictures.size();
    for_some([&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        results[i].logits =
            api::to_planes(logits.values.subspan(i * each, each), static_cast<std::size_t>(info.channels));
      }
    });
  });
  for_some([&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) api::check_finite(results[i].logits);
  });
}

Segmentation Segmenter::Impl::blank(const ImageView& picture, const SegmentOptions& options) const {
  Segmentation r;
  r.width = picture.width;
  r.height = picture.height;
  r.channels = info.channels;
  r.logits_size = size_of(options);
  r.classes = classes;
  r.official = options.official;
  r.fit = options.fit.value_or(info.fit);
  r.precision = info.precision;
  return r;
}

bool Segmenter::Impl::is_one_pass(const ImageView& picture, const SegmentOptions& options) const {
  if (!options.augmentation.empty()) return false;
  if (!options.tiles) return true;
  const auto [width, height] =
      api::tile_size(*options.tiles, picture.width, picture.height, size_of(options));
  return picture.width <= width && picture.height <= height;
}

template <class Use>
void Segmenter::Impl::with_passes(const ImageView& picture, const SegmentOptions& options,
                                  const Use& use) const {
  api::Passes passes(*backend, {size_of(options), options.fit.value_or(info.fit), options.pillow,
                                api::variants_of(options.augmentation), batch_of(options), info.channels});
  api::MergeOptions how;
  how.tile = {picture.width, picture.height};
  how.activation = activation();
  how.threads = threads();
  if (options.tiles) {
    const auto tile = api::tile_size(*options.tiles, picture.width, picture.height, size_of(options));
    if (picture.width > tile.first || picture.height > tile.second) {
      how.tile = tile;
      how.overlap = options.tiles->overlap;
      how.context = options.tiles->context;
    }
    how.progress = options.tiles->progress;
  }
  api::Merged merged(picture, passes, how);
  use(merged);
}

Segmentation Segmenter::Impl::segment(const ImageView& picture, const SegmentOptions& options) const {
  Segmentation result;
  if (is_one_pass(picture, options)) {
    compute({&picture, 1}, options, {&result, 1});
    finish(picture, options, result);
    if (options.tiles && options.tiles->progress) options.tiles->progress(1, 1);
    return result;
  }
  result = blank(picture, options);
  with_passes(picture, options, [&](api::Merged& merged) {
    const std::size_t pixels =
        static_cast<std::size_t>(result.width) * static_cast<std::size_t>(result.height);
    api::Destination to;
    if (options.output == SegmentOutput::ids) {
      result.ids.resize(pixels);
      result.confidence.resize(pixels);
      to.ids = result.ids.data();
      to.confidence = result.confidence.data();
    } else {
      result.probabilities.resize(pixels * static_cast<std::size_t>(result.channels));
      to.probabilities = result.probabilities.data();
      to.plane = static_cast<std::int64_t>(pixels);
    }
    merged.finish(0, result.height, to);
  });
  return result;
}

void Segmenter::Impl::finish(const ImageView& picture, const SegmentOptions& options,
                             Segmentation& result) const {
  const api::PlacedLogits logits = placed(picture, result);
  const std::size_t pixels = static_cast<std::size_t>(result.width) * static_cast<std::size_t>(result.height);
  if (options.output == SegmentOutput::ids) {
    result.ids.resize(pixels);
    result.confidence.resize(pixels);
    api::finish_ids(logits, 0, result.height, threads(), result.ids.data(), result.confidence.data());
    return;
  }
  result.probabilities.resize(pixels * static_cast<std::size_t>(result.channels));
  api::finish_rows(logits, activation(), 0, result.height, threads(), result.probabilities.data());
  if (options.official) api::stretch(result.probabilities, api::range_of(result.probabilities));
}

Segmenter::Segmenter(const std::filesystem::path& path, const SegmenterOptions& options)
    : impl_(std::make_unique<Impl>(model::CheckpointWeights(formats::TensorFile::open(find_weights(path))),
                                   checked(options))) {}
Segmenter::Segmenter(std::span<const std::byte> weights, const std::string& name,
                     const SegmenterOptions& options)
    : impl_(std::make_unique<Impl>(model::CheckpointWeights(formats::TensorFile::view(weights, name)),
                                   checked(options))) {}
Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const SegmenterInfo& Segmenter::info() const {
  return impl_->info;
}

const std::vector<std::string>& Segmenter::notes() const {
  return impl_->notes;
}

std::shared_ptr<const ClassTable> Segmenter::classes() const {
  return impl_->classes;
}

Segmentation Segmenter::segment(const ImageView& picture, const SegmentOptions& options) const {
  impl_->check({&picture, 1}, options);
  return impl_->segment(picture, options);
}

std::vector<Segmentation> Segmenter::segment(std::span<const ImageView> pictures,
                                             const SegmentOptions& options) const {
  impl_->check(pictures, options);
  std::vector<Segmentation> results(pictures.size());
  if (options.tiles || !options.augmentation.empty()) {  // each fills batches by itself
    for (std::size_t i = 0; i < pictures.size(); ++i) results[i] = impl_->segment(pictures[i], options);
    return results;
  }
  const std::size_t batch = impl_->batch_of(options);
  for (std::size_t first = 0; first < pictures.size(); first += batch) {
    const std::size_t n = std::min(batch, pictures.size() - first);
    impl_->compute(pictures.subspan(first, n), options, std::span(results).subspan(first, n));
    for (std::size_t i = first; i < first + n; ++i) impl_->finish(pictures[i], options, results[i]);
  }
  return results;
}

namespace {

// A band of a result, and its memory.
class Band {
 public:
  Band(const Segmentation& result, SegmentOutput output)
      : width_(result.width), channels_(result.channels), ids_only_(output == SegmentOutput::ids) {}

  std::size_t row_bytes() const {
    const auto w = static_cast<std::size_t>(width_);
    return ids_only_ ? w * (sizeof(std::uint8_t) + sizeof(float))
                     : w * static_cast<std::size_t>(channels_) * sizeof(float);
  }
  void reserve(int rows) {
    const std::size_t pixels = static_cast<std::size_t>(width_) * static_cast<std::size_t>(rows);
    values_.resize(ids_only_ ? pixels : pixels * static_cast<std::size_t>(channels_));
    if (ids_only_) ids_.resize(pixels);
  }
  api::Destination destination(int rows) {
    if (ids_only_) return {nullptr, 0, ids_.data(), values_.data()};
    return {values_.data(), static_cast<std::int64_t>(width_) * rows, nullptr, nullptr};
  }
  std::span<float> probabilities(int rows) {
    if (ids_only_) return {};
    return std::span(values_).first(static_cast<std::size_t>(width_) * static_cast<std::size_t>(channels_) *
                                    static_cast<std::size_t>(rows));
  }
  SegmentationBand view(int first, int rows) {
    const std::size_t pixels = static_cast<std::size_t>(width_) * static_cast<std::size_t>(rows);
    SegmentationBand b{first, rows, width_, channels_, probabilities(rows), {}, {}};
    if (!ids_only_) return b;
    b.ids = std::span(ids_).first(pixels);
    b.confidence = std::span(values_).first(pixels);
    return b;
  }

 private:
  int width_, channels_;
  bool ids_only_;
  std::vector<float> values_;  // probabilities [K, rows, width], or confidence [rows, width]
  std::vector<std::uint8_t> ids_;
};

int rows_in(std::size_t bytes, std::size_t row_bytes, int height) {
  return static_cast<int>(std::clamp<std::size_t>(bytes / row_bytes, 1, static_cast<std::size_t>(height)));
}

}  // namespace

// Bands of one pass, of logits that are there.
void Segmenter::Impl::finish_in_bands(const ImageView& picture, const SegmentOptions& options,
                                      const Segmentation& result, const UseBand& use) const {
  const api::PlacedLogits logits = placed(picture, result);
  Band band(result, options.output);
  const int rows = rows_in(kBandBytes, band.row_bytes(), picture.height);
  band.reserve(rows);
  const auto for_each_band = [&](const auto& visit) {
    for (int first = 0; first < picture.height; first += rows) {
      const int n = std::min(rows, picture.height - first);
      const api::Destination to = band.destination(n);
      if (to.ids != nullptr) {
        api::finish_ids(logits, first, first + n, threads(), to.ids, to.confidence);
      } else {
        api::finish_rows(logits, activation(), first, first + n, threads(), to.probabilities);
      }
      visit(first, n);
    }
  };
  const bool stretches = options.official && options.output == SegmentOutput::probabilities;
  api::Range range{INFINITY, -INFINITY};  // the stretch needs to know all rows before the first is given
  if (stretches) {
    for_each_band([&](int, int n) {
      const api::Range r = api::range_of(band.probabilities(n));
      range = {std::min(range.min, r.min), std::max(range.max, r.max)};
    });
  }
  for_each_band([&](int first, int n) {
    if (stretches) api::stretch(band.probabilities(n), range);
    use(band.view(first, n));
  });
}

void Segmenter::segment_in_bands(const ImageView& picture, const SegmentOptions& options,
                                 const UseBand& use) const {
  if (!use) throw UsageError("nobody takes the bands");
  const std::span one(&picture, 1);
  impl_->check(one, options);
  if (impl_->is_one_pass(picture, options)) {
    Segmentation result;
    impl_->compute(one, options, {&result, 1});
    impl_->finish_in_bands(picture, options, result, use);
    if (options.tiles && options.tiles->progress) options.tiles->progress(1, 1);
    return;
  }
  impl_->with_passes(picture, options, [&](api::Merged& merged) {
    Band band(impl_->blank(picture, options), options.output);
    const int rows = merged.band_rows(band.row_bytes());
    band.reserve(rows);
    for (int first = 0; first < picture.height; first += rows) {
      const int n = std::min(rows, picture.height - first);
      merged.finish(first, first + n, band.destination(n));
      use(band.view(first, n));
    }
  });
}

std::vector<float> Segmenter::forward(std::span<const float> values, int count, const InputSize& size) const {
  if (count <= 0) throw UsageError(fmt::format("{} pictures: must be 1 or more", count));
  impl_->config.check_input(size.height, size.width);
  const std::size_t pixels = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  constexpr std::size_t kColors = 3;
  const std::size_t each = kColors * pixels;
  if (values.size() % each != 0 || values.size() / each != static_cast<std::size_t>(count)) {
    throw UsageError(fmt::format("{} values for {} pictures of 3 x {} x {}", values.size(), count,
                                 size.height, size.width));
  }
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); }))
    throw UsageError("the network's input holds NaN or infinity");
  const auto channels = static_cast<std::size_t>(impl_->info.channels);
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(count) * channels * pixels);
  std::vector<float> input(each);  // [1,h,w,3]; one by one, so that memory does not grow with `count`
  for (std::size_t n = 0; n < static_cast<std::size_t>(count); ++n) {
    const float* picture = values.data() + n * each;
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t c = 0; c < kColors; ++c) input[i * kColors + c] = picture[c * pixels + i];
    impl_->backend->run(api::BackendInput({1, size.height, size.width, 3}, input), [&](const api::Logits& l) {
      const std::vector<float> planes = api::to_planes(l.values, channels);
      out.insert(out.end(), planes.begin(), planes.end());
    });
  }
  api::check_finite(out);
  return out;
}

std::filesystem::path default_model_path() {
  return find_default_model(own_folder());
}

}  // namespace sam2unet
