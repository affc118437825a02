// What a file of tensors is, in terms of this network: which variant, what it can be used for, what is
// missing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/tensor_file.h"
#include "model/config.h"
#include "model/gates.h"
#include "model/input_size.h"
#include "model/tensor_table.h"
#include "model/weight_source.h"

namespace sam2unet::model {

enum class Contents {
  full,       ///< every tensor of a SAM2-UNet (up4 may be absent)
  trunk,      ///< a SAM2 or SAM2.1 checkpoint, or a bare Hiera trunk: nothing trained for segmentation
  task_only,  ///< adapters, RFB, decoder and heads without the frozen trunk
  partial,    ///< a SAM2-UNet of which tensors are missing or misshapen
  unknown,    ///< something else
};

std::string_view name_of(Contents contents);

/// Suffix of the float32 per-output-channel scales beside an int8 weight.
inline constexpr std::string_view kScaleSuffix = ".scale";

struct Recognition {
  Contents contents = Contents::unknown;
  std::optional<Config> config;  ///< what the shapes, or metadata "config", say
  std::string
      trunk_prefix;  ///< how the trunk's names start in the file ("encoder.", "image_encoder.trunk.", "")
  std::string neck_prefix = "rfb";  ///< how the names of the stages' necks start: forks with 1x1 convolutions
                                    ///< say "rfb1.weight" or "conv1.weight"
  std::vector<std::string> missing;     ///< tensors of the full network the file lacks, with their shapes
  std::vector<std::string> misshapen;   ///< with both shapes
  std::vector<std::string> unexpected;  ///< names that mean nothing here
  std::vector<std::string> left_out;    ///< of a tool or a loss beside the network; no longer in the file
  std::vector<std::string> rivals;      ///< prefixes of several networks, of which none can be chosen
};

/// Brings the file's names to the reference's (tensor_names.h), and compares them with the network's.
Recognition recognise(formats::TensorFile& file);

/// Why the file cannot predict as it is, one line without the file's name; empty if it can. Names what is
/// missing, misshapen or unexpected, and says what the file is instead and how to mend it.
std::string why_not_usable(const formats::TensorFile& file, const Recognition& recognition);

/// What a user may want to know of the file beside that: one line each.
std::vector<std::string> notes_of(const formats::TensorFile& file, const Recognition& recognition);

/// Name in `file` of the reference's tensor `name`, given how its trunk is named.
std::string stored_name(const std::string& name, const Recognition& recognition);

/// The tensors of an opened checkpoint that holds a whole network; int8 weights are scaled back. Pages are
/// released as they are read, so that loading costs no second copy.
class CheckpointWeights : public WeightSource {
 public:
  /// WeightsError that names the first missing, misshapen or unexpected tensor and says what the file is
  /// instead.
  explicit CheckpointWeights(formats::TensorFile file);

  const Config& config() const { return *recognition_.config; }
  /// What the weights were trained at, where the file says it.
  std::optional<TrainedSize> trained_size() const { return model::trained_size(file_.metadata()); }
  /// What was measured of these weights in other precisions.
  const StoredGates& gates() const { return gates_; }
  std::uint64_t fingerprint() const { return model::fingerprint(file_, recognition_); }
  /// What a user may want to know of the file: tensors and objects that were passed over. One line each.
  std::vector<std::string> notes() const;
  /// A safetensors file's; keys of ours are in metadata.h.
  const std::map<std::string, std::string>& metadata() const { return file_.metadata(); }
  using WeightSource::read;
  void read(const std::string& name, const Shape& shape, std::int64_t first,
            std::span<float> values) const override;

 private:
  formats::TensorFile file_;
  Recognition recognition_;
  StoredGates gates_;
};

/// Elements of `name` in row-major order as float32, int8 scaled back by its scales, from `first` on, as many
/// as `out` has room for. WeightsError if absent, or if a number among them is none (finite.h).
void read_tensor(const formats::TensorFile& file, const std::string& name, std::int64_t first,
                 std::span<float> out);
/// WeightsError unless the tensor is there and of this shape.
void check_shape(const formats::TensorFile& file, const std::string& name, const Shape& shape);
/// All of them; resizes `out`.
void read_tensor(const formats::TensorFile& file, const std::string& name, std::vector<float>& out);

}  // namespace sam2unet::model
