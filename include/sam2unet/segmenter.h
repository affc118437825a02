// Segments pictures with the weights of a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/export.h"
#include "sam2unet/image.h"

namespace sam2unet {

/// What the network's values are computed in.
enum class Precision {
  automatic,  ///< on the device cpu the fastest that this processor has instructions for and that changes
              ///< maps of these weights by little, as their file says (ConvertOptions::measured); else as
              ///< `standard`
  f32,        ///< on every device, and nothing less
  bf16,       ///< on every device
  int8,       ///< on the device cpu: weights by the output channel, activations by the token
  tf32,       ///< on the device cuda-torch: float32 of which products see 10 bits behind the point
  f16,        ///< on the device cuda
  standard,   ///< f32 on the CPU, bf16 on a GPU: whatever weights are given, the same numbers
};
/// "automatic", "f32", "bf16", "int8", "tf32", "f16", "standard"
SAM2UNET_API std::string_view name_of(Precision precision);

struct SegmenterOptions {
  /// Threads used for one picture; 0 means all cores, or as many as OMP_NUM_THREADS says.
  int threads = 0;
  /// "cpu" is this library's own backend. "cuda" and "cuda:N" (a GPU) run on kernels of our own and need the
  /// CUDA backend beside the library. "cuda-torch", "cuda-torch:N" and "torch-cpu" run on LibTorch and need
  /// the training component there; pictures segmented at the same time wait for each other on these. LibTorch
  /// looks for GPUs once in a process: ask for "cuda-torch" before anything ran on "torch-cpu".
  std::string device = "cpu";
  /// Of products: bf16 keeps 8 significant bits of each weight, int8 one byte of each weight and 256 levels
  /// of the activations. Every processor computes both; SegmenterInfo::arithmetic says whether this one has
  /// instructions for them. UsageError where the device has no such precision.
  Precision precision = Precision::standard;
  /// On the device "cpu": so many pictures that are segmented at the same time share `threads`, so that each
  /// takes longer and all may be done sooner; 1 to 64, and no more than there are threads. 0: 1 in f32, whose
  /// last bits may hang on a pass's threads, else what is best for many pictures.
  int streams = 1;
};

/// Width and height in pixels, in this order as in Image. Not made of two bare numbers, because others (and
/// version 0.1) put the height first: what would swap them does not compile.
struct InputSize {
  /// Of either side.
  static constexpr int kMaxSide = 8192;

  int width = 352;
  int height = 352;

  constexpr InputSize() = default;
  static constexpr InputSize of(int width, int height) {
    InputSize s;
    s.width = width;
    s.height = height;
    return s;
  }
  static constexpr InputSize square(int side) { return of(side, side); }
  friend bool operator==(const InputSize&, const InputSize&) = default;
};

/// How a picture becomes as large as the network's input.
enum class Fit {
  squash,     ///< both sides are resized, whatever that does to its shape; the reference's way
  letterbox,  ///< its shape is kept, in the middle of an input filled with the mean colour
};
/// "squash", "letterbox"
SAM2UNET_API std::string_view name_of(Fit fit);
/// UsageError for any other name.
SAM2UNET_API Fit parse_fit(std::string_view name);

/// What a Segmentation holds at the picture's own size.
enum class SegmentOutput {
  probabilities,  ///< a map, or one for each class
  ids,  ///< the most probable class of each pixel, and its probability: of many classes a fraction of the
        ///< memory. One foreground has the ids 0 and 1, split at 0.5.
};

/// Tiles of pictures much larger than the network's input. What a tile shows is resized to that input, so
/// that objects are seen larger than in the whole picture: another scale than the one the weights were
/// trained at, which may help or harm.
struct TileOptions {
  /// Pixels of the picture along a tile's longer side; it has the shape of the network's input. 0 is half of
  /// the picture's longer side, but no less than the input's. A picture that one tile covers is segmented as
  /// without tiles.
  int side = 0;
  /// The least part of a side that neighbours share, 0 to 0.9.
  double overlap = 0.25;
  /// How much the logits of the whole picture, at the network's size, count against those of the tiles: 0 to
  /// 1.
  double context = 0.0;
  /// Called after each batch of tiles, in the calling thread.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
};

/// Test-time augmentation: the picture is also shown turned or at another scale, each is undone, and the
/// probabilities are averaged with those of the picture as it is. Every one named costs a pass.
struct Augmentation {
  bool mirror_x = false;       ///< left to right
  bool mirror_y = false;       ///< top to bottom
  bool quarter_turn = false;   ///< by 90 degrees, counterclockwise
  std::vector<double> scales;  ///< of the network's input, 0.25 to 4, not 1; rounded to multiples of 32

  bool empty() const { return !mirror_x && !mirror_y && !quarter_turn && scales.empty(); }
  friend bool operator==(const Augmentation&, const Augmentation&) = default;
};
/// Of "hflip,vflip,rot90,scale=0.75:1.25", any of these; "" is none. UsageError for anything else.
SAM2UNET_API Augmentation parse_augmentation(std::string_view text);

/// New members are added at the end, with defaults that mean what was meant before.
struct SegmentOptions {
  /// What the network sees, multiples of 32. A side of 0 is that of SegmenterInfo::size.
  InputSize size = InputSize::square(0);
  /// Everything as the reference's test.py: per-picture min-max stretch of the probabilities. One foreground
  /// only.
  bool official = false;
  PillowVersion pillow = PillowVersion::v12;
  /// Without it, as the weights were trained (SegmenterInfo::fit).
  std::optional<Fit> fit = {};
  /// Of several pictures, how many the network sees at once; 0 is SegmenterInfo::batch. The results are
  /// those of one by one within rounding: 1e-6 of the logits' range in f32.
  int batch = 0;
  SegmentOutput output = SegmentOutput::probabilities;
  /// Without it the picture is seen whole. Neither tiles nor augmentation go with `official`.
  std::optional<TileOptions> tiles = {};
  Augmentation augmentation = {};
};

/// One segmented picture. K is 1 for one foreground, else the number of classes.
struct Segmentation {
  int width = 0;  ///< of the picture that was given
  int height = 0;
  int channels = 1;  ///< K
  /// [K, height, width] in [0, 1] at the picture's own size; empty where `ids` were asked for. Of one
  /// foreground the sigmoid of its logits (stretched where `official`), of several classes the softmax.
  std::vector<float> probabilities;
  /// [height, width] the most probable class, where that was asked for; of one foreground, where the sigmoid
  /// is 0.5 or more, which is never stretched. `to_ids` answers either way.
  std::vector<std::uint8_t> ids;
  /// [height, width] that class's probability; there if `ids` are.
  std::vector<float> confidence;
  InputSize logits_size;
  /// [K, logits_size.height, logits_size.width] the network's own output; empty where it was put together of
  /// tiles or variants.
  std::vector<float> logits;
  /// Names and colours; nullptr for one foreground.
  std::shared_ptr<const ClassTable> classes;
  /// How it was made.
  bool official = false;
  Fit fit = Fit::squash;
  Precision precision = Precision::f32;

  /// Probabilities of one class, [height, width]. UsageError if there is no such class or they were not asked
  /// for.
  SAM2UNET_API std::span<const float> map(int channel = 0) const;
  /// That map as 8 bits: truncated, as the reference writes it, if `official`; else rounded.
  SAM2UNET_API Image to_gray(int channel = 0) const;
  Image to_gray(bool) const = delete;  // version 0.1 had to be told again how the result was made
  /// The most probable class of each pixel as a gray picture; of one foreground, where its map is 0.5 or
  /// more.
  SAM2UNET_API Image to_ids() const;
};

/// Some rows of a result, from top to bottom.
struct SegmentationBand {
  int first = 0;  ///< row of the picture
  int rows = 0;
  int width = 0;
  int channels = 1;                      ///< K
  std::span<const float> probabilities;  ///< [K, rows, width]; empty where ids were asked for
  std::span<const std::uint8_t> ids;     ///< [rows, width], where they were
  std::span<const float> confidence;     ///< [rows, width], with them
};
using UseBand = std::function<void(const SegmentationBand&)>;

/// What a Segmenter is, in effect.
struct SegmenterInfo {
  std::string variant;                   ///< "t", "s", "b+", "l" or "custom"
  std::string device;                    ///< "cpu", "torch-cpu", "cuda:0", "cuda-torch:0"
  Precision precision = Precision::f32;  ///< in effect: never `automatic` or `standard`
  int channels = 1;                      ///< K: 1 for one foreground, else the number of classes
  InputSize size;          ///< what the weights were trained at where their file says so, else 352x352
  Fit fit = Fit::squash;   ///< how they were trained
  int batch = 1;           ///< how many pictures at once are fastest on the device
  std::string config;      ///< JSON of the network's configuration
  std::string arithmetic;  ///< what multiplies, in words: "bf16 by AVX512-BF16"
  int in_flight = 1;       ///< how many threads that segment batches at the same time keep the device busy
  std::string choice;      ///< where `automatic` was asked for: why it is this precision, in words
};

/// Owns packed weights. Movable, not copyable; `segment` may be called from several threads at once.
class SAM2UNET_API Segmenter {
 public:
  /// Reads safetensors or PyTorch .pth/.pt, by path or by a model's name (models.h). FileError, FormatError,
  /// or WeightsError naming the tensor; UnavailableError that says what is missing for `device`.
  explicit Segmenter(const std::filesystem::path& weights, const SegmenterOptions& options = {});
  /// The same of a file's bytes, which are needed during the call only. `name` stands in messages.
  Segmenter(std::span<const std::byte> weights, const std::string& name,
            const SegmenterOptions& options = {});
  ~Segmenter();
  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;
  Segmenter(const Segmenter&) = delete;
  Segmenter& operator=(const Segmenter&) = delete;

  /// Segments a gray, RGB or RGBA picture (alpha is dropped). UsageError if the size is no multiple of 32;
  /// WeightsError if the network's result holds NaN or infinity.
  Segmentation segment(const ImageView& picture, const SegmentOptions& options = {}) const;
  /// Pictures of any sizes, results in their order: the same values as one by one, within
  /// rounding.
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions& options = {}) const;
  /// Hands the result out in bands of rows instead of keeping it: memory for a few megabytes, with tiles for
  /// at most 300 MB, however large the picture is and however many classes there are. (Where a row of tiles
  /// with many classes would need more, its tiles are computed two or three times.)
  void segment_in_bands(const ImageView& picture, const SegmentOptions& options, const UseBand& use) const;

  /// The network alone, for callers who prepare its input themselves: `values` [count, 3, size.height,
  /// size.width] in planes, RGB normalised as the reference does ((x / 255 - mean) / std of ImageNet), to
  /// logits [count, K, size.height, size.width]. UsageError if there are not that many values, the size is
  /// no multiple of 32 or a value is not finite; WeightsError as `segment`.
  std::vector<float> forward(std::span<const float> values, int count, const InputSize& size) const;

  const SegmenterInfo& info() const;
  const std::string& variant() const { return info().variant; }
  InputSize input_size() const { return info().size; }
  /// What a user may want to know of the weight file, one line each: tensors that were left out.
  const std::vector<std::string>& notes() const;
  /// Names and colours of the classes; nullptr for one foreground. Weights that bring no table get
  /// `default_class_table`.
  std::shared_ptr<const ClassTable> classes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The model that comes with the program: beside the build tree or the installation.
/// FileError that lists where it was looked for if it is nowhere.
SAM2UNET_API std::filesystem::path default_model_path();

}  // namespace sam2unet
