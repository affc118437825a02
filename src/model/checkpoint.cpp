#include "model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "model/finite.h"
#include "model/tensor_names.h"
#include "sam2unet/errors.h"

namespace sam2unet::model {
namespace {

constexpr std::string_view kHeadTensor = "head.weight";

// Prefixes under which published files keep the trunk: ours and the reference's, SAM2's, a bare Hiera.
constexpr std::array<std::string_view, 4> kTrunkPrefixes{"encoder.", "image_encoder.trunk.", "trunk.", ""};

// SAM2's trunk has "blocks.N.norm1"; inside SAM2-UNet's adapters the same block is "blocks.N.block.norm1".
bool wrapped(std::string_view prefix) {
  return prefix == "encoder.";
}

std::optional<Shape> shape_of(const formats::TensorFile& file, const std::string& name) {
  const TensorView* v = file.find(name);
  return v == nullptr ? std::nullopt : std::optional(v->shape);
}

int count_blocks(const formats::TensorFile& file, std::string_view prefix, std::string_view probe) {
  int depth = 0;
  while (file.find(fmt::format("{}blocks.{}.{}", prefix, depth, probe)) != nullptr) ++depth;
  return depth;
}

int to_width(std::int64_t size) {  // what is out of range is left for Config::validate to refuse
  return static_cast<int>(std::clamp<std::int64_t>(size, 0, 1 << 20));
}

// BatchNorm counts its batches. The original never calls up4; where it has counted, a fork called it.
bool was_up4_called(const formats::TensorFile& file) {
  const TensorView* v = file.find("up4.conv.double_conv.1.num_batches_tracked");
  if (v == nullptr || v->numel() != 1) return false;
  float count = 0.0F;
  copy_to(*v, std::span(&count, 1));
  return count > 0.0F;
}

// What forks change behind the trunk, as the tensors' shapes and names tell it.
Config task_from_shapes(const formats::TensorFile& file, Recognition& r) {
  Config c;
  if (const auto head = shape_of(file, std::string(kHeadTensor)); head && head->rank() == 4) {
    c.out_channels = to_width((*head)[0]);
    c.decoder_width = to_width((*head)[1]);
  }
  if (const auto down = shape_of(file, "encoder.blocks.0.prompt_learn.0.weight"); down && down->rank() == 2) {
    c.adapter_width = to_width((*down)[0]);
  }
  for (const char* prefix : {"rfb", "conv"}) {
    if (const auto w = shape_of(file, fmt::format("{}1.weight", prefix)); w && w->rank() == 4) {
      c.neck = NeckKind::pointwise;
      r.neck_prefix = prefix;
      break;
    }
  }
  c.calls_up4 = was_up4_called(file);
  return c;
}

Config with_task_of(Config trunk, const Config& task) {
  trunk.out_channels = task.out_channels;
  trunk.adapter_width = task.adapter_width;
  trunk.decoder_width = task.decoder_width;
  trunk.neck = task.neck;
  trunk.calls_up4 = task.calls_up4;
  return trunk;
}

// The published variant whose width and depth the tensors have, if any.
std::optional<Config> config_from_shapes(std::int64_t embed_dim, int depth, const Config& task) {
  for (const char* v : {"t", "s", "b+", "l"}) {
    const Config c = Config::of_variant(v);
    if (c.embed_dim != embed_dim || c.depth() != depth) continue;
    const Config whole = with_task_of(c, task);
    whole.validate();
    return whole;
  }
  return std::nullopt;
}

std::optional<Config> find_config(const formats::TensorFile& file, Recognition& r) {
  const Config task = task_from_shapes(file, r);
  if (const auto it = file.metadata().find("config"); it != file.metadata().end()) {
    if (file.find("encoder.patch_embed.proj.weight") != nullptr ||
        file.find(std::string(kHeadTensor)) != nullptr) {
      r.trunk_prefix = "encoder.";
      return Config::from_json(it->second, task);
    }
  }
  for (const auto prefix : kTrunkPrefixes) {
    const auto patch = shape_of(file, fmt::format("{}patch_embed.proj.weight", prefix));
    if (!patch || patch->rank() != 4) continue;
    r.trunk_prefix = prefix;
    return config_from_shapes(
        (*patch)[0], count_blocks(file, prefix, wrapped(prefix) ? "block.norm1.weight" : "norm1.weight"),
        task);
  }
  // Without a trunk the adapters still tell width and depth.
  const auto down = shape_of(file, "encoder.blocks.0.prompt_learn.0.weight");
  if (down && down->rank() == 2) {
    r.trunk_prefix = "encoder.";
    return config_from_shapes((*down)[1], count_blocks(file, "encoder.", "prompt_learn.0.weight"), task);
  }
  return std::nullopt;
}

// Buffers that old or converted files may lack without harm.
bool optional_in_file(const TensorSpec& spec) {
  return spec.part == Part::unused || spec.role == Role::counter;
}

std::string join_first(const std::vector<std::string>& names, std::size_t most = 3) {
  const std::size_t n = std::min(names.size(), most);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(n), ", "));
  if (names.size() > n) text += fmt::format(" and {} more", names.size() - n);
  return text;
}

}  // namespace

std::string_view name_of(Contents contents) {
  switch (contents) {
    case Contents::full:
      return "full SAM2-UNet";
    case Contents::trunk:
      return "SAM2 trunk";
    case Contents::task_only:
      return "task-only SAM2-UNet";
    case Contents::partial:
      return "incomplete SAM2-UNet";
    case Contents::unknown:
      return "unknown";
  }
  return "?";
}

std::string stored_name(const std::string& name, const Recognition& recognition) {
  if (recognition.neck_prefix != "rfb" && name.starts_with("rfb"))
    return recognition.neck_prefix + name.substr(3);
  if (recognition.trunk_prefix == "encoder." || !name.starts_with("encoder.")) return name;
  std::string rest = name.substr(std::string_view("encoder.").size());
  if (const auto at = rest.find(".block."); at != std::string::npos)
    rest.erase(at, std::string_view(".block").size());
  return recognition.trunk_prefix + rest;
}

Recognition recognise(formats::TensorFile& file) {
  Recognition r;
  TidiedNames names = tidy_names(file);
  r.left_out = std::move(names.left_out);
  r.rivals = std::move(names.rivals);
  r.config = find_config(file, r);
  if (!r.config) {
    if (file.find(std::string(kHeadTensor)) != nullptr || !r.trunk_prefix.empty())
      r.contents = Contents::partial;
    return r;
  }
  std::unordered_set<std::string> known;
  std::size_t trunk_found = 0, trunk_missing = 0, task_found = 0, task_missing = 0;
  for (const auto& spec : tensor_table(*r.config)) {
    const std::string name = stored_name(spec.name, r);
    known.insert(name);
    known.insert(name + std::string(kScaleSuffix));
    const auto shape = shape_of(file, name);
    const bool is_trunk = spec.part == Part::trunk;
    if (!shape) {
      if (optional_in_file(spec)) continue;
      ++(is_trunk ? trunk_missing : task_missing);
      r.missing.push_back(fmt::format("{} {}", spec.name, to_string(spec.shape)));
    } else {
      if (spec.part != Part::unused) ++(is_trunk ? trunk_found : task_found);
      if (*shape != spec.shape) {
        r.misshapen.push_back(
            fmt::format("{} is {}, expected {}", name, to_string(*shape), to_string(spec.shape)));
      }
    }
  }
  for (const auto& t : file.tensors()) {
    if (!known.contains(t.name)) r.unexpected.push_back(t.name);
  }
  const bool misshapen = !r.misshapen.empty();
  if (task_found == 0 && trunk_missing == 0 && !misshapen)
    r.contents = Contents::trunk;
  else if (trunk_found == 0 && task_missing == 0 && !misshapen)
    r.contents = Contents::task_only;
  else if (trunk_missing == 0 && task_missing == 0 && !misshapen)
    r.contents = Contents::full;
  else
    r.contents = Contents::partial;
  return r;
}

namespace {

const TensorView& tensor_of(const formats::TensorFile& file, const std::string& name) {
  const TensorView* v = file.find(name);
  if (v == nullptr) throw WeightsError(fmt::format("{}: tensor {} is missing", file.path().string(), name));
  return *v;
}

std::vector<float> scales_of(const formats::TensorFile& file, const std::string& name, const TensorView& v) {
  const std::string scale_name = name + std::string(kScaleSuffix);
  const TensorView* s = file.find(scale_name);
  if (s == nullptr || v.shape.rank() == 0 || s->numel() != v.shape[0]) {
    throw WeightsError(fmt::format("{}: int8 tensor {} needs {} with one scale per output channel",
                                   file.path().string(), name, scale_name));
  }
  std::vector<float> scales(static_cast<std::size_t>(s->numel()));
  copy_to(*s, std::span(scales));
  return scales;
}

// The elements of `v`, which are those of a tensor from `first` on.
void convert(const formats::TensorFile& file, const std::string& name, const TensorView& whole,
             const TensorView& v, std::int64_t first, std::span<float> out) {
  const auto check = [&](std::span<const float> values, std::size_t at) {
    if (const auto wrong = find_wrong_number(name, values))
      throw WeightsError(fmt::format("{}: {}", file.path().string(),
                                     describe(name, *wrong, static_cast<std::size_t>(first) + at)));
  };
  const bool is_scaled = v.dtype == DType::i8;  // weight = int8 * scale of its output channel
  const auto scales = is_scaled ? scales_of(file, name, whole) : std::vector<float>();
  const std::int64_t row = scales.empty() ? 1 : whole.numel() / whole.shape[0];
  for_each_block(v, [&](const TensorView& block, std::size_t at) {
    const auto part = out.subspan(at, static_cast<std::size_t>(block.numel()));
    copy_to(block, part);
    if (is_scaled) {
      auto index = first + static_cast<std::int64_t>(at);
      for (std::span<float> rest = part; !rest.empty();) {
        const auto n = std::min(rest.size(), static_cast<std::size_t>(row - index % row));
        for (float& value : rest.first(n)) value *= scales[static_cast<std::size_t>(index / row)];
        rest = rest.subspan(n);
        index += static_cast<std::int64_t>(n);
      }
    }
    check(part, at);
  });
}

}  // namespace

void read_tensor(const formats::TensorFile& file, const std::string& name, std::vector<float>& out) {
  out.resize(static_cast<std::size_t>(tensor_of(file, name).numel()));
  read_tensor(file, name, 0, out);
}

void read_tensor(const formats::TensorFile& file, const std::string& name, std::int64_t first,
                 std::span<float> out) {
  const TensorView& whole = tensor_of(file, name);
  const auto n = static_cast<std::int64_t>(out.size());
  if (first < 0 || first > whole.numel() - n)
    throw Error(fmt::format("elements {} to {} of {}, which has {}", first, first + n, name, whole.numel()));
  if (!whole.is_dense() && n != whole.numel()) {
    std::vector<float> all;
    read_tensor(file, name, all);
    std::ranges::copy(std::span(all).subspan(static_cast<std::size_t>(first), out.size()), out.begin());
    return;
  }
  const TensorView part =
      whole.is_dense()
          ? TensorView{.data = whole.data + first * static_cast<std::int64_t>(size_of(whole.dtype)),
                       .dtype = whole.dtype,
                       .shape = {n},
                       .strides = {1}}
          : whole;
  convert(file, name, whole, part, first, out);
  file.release(part);
}

void check_shape(const formats::TensorFile& file, const std::string& name, const Shape& shape) {
  const TensorView* v = file.find(name);
  if (v == nullptr)
    throw WeightsError(
        fmt::format("{}: tensor {} {} is missing", file.path().string(), name, to_string(shape)));
  if (v->shape != shape)
    throw WeightsError(fmt::format("{}: tensor {} is {}, expected {}", file.path().string(), name,
                                   to_string(v->shape), to_string(shape)));
}

std::string why_not_usable(const formats::TensorFile& file, const Recognition& r) {
  const std::string where = file.path().string();
  if (!r.rivals.empty()) {
    return fmt::format("several networks in it ({}); save the one to use alone", join_first(r.rivals));
  }
  switch (r.contents) {
    case Contents::full:
      break;
    case Contents::trunk:
      return fmt::format(
          "a SAM2 trunk without SAM2-UNet's adapters, RFB, decoder and heads; it can start a "
          "training, not a prediction (missing: {})",
          join_first(r.missing));
    case Contents::task_only:
      return fmt::format(
          "a task-only file without the frozen trunk; converting it together with a SAM2 trunk makes a full "
          "SAM2-UNet (missing: {})",
          join_first(r.missing));
    case Contents::partial:
      if (!r.config) {
        return "the width and depth of this network belong to no published variant (t, s, b+, l); "
               "a custom one needs its configuration in the metadata key \"config\"";
      }
      if (!r.misshapen.empty()) return fmt::format("tensor {}", join_first(r.misshapen));
      return fmt::format("{} tensors of SAM2-UNet {} are missing: {}", r.missing.size(),
                         variant_name(*r.config), join_first(r.missing));
    case Contents::unknown:
      return fmt::format(
          "not a SAM2-UNet checkpoint; none of its {} tensors is an encoder's patch embedding{}",
          file.tensors().size(),
          file.tensors().empty() ? "" : fmt::format(" (the first is {})", file.tensors().front().name));
  }
  if (r.unexpected.empty()) return {};
  // The reference loads strictly; so do we: a network with more parts computes something else.
  return fmt::format(
      "unexpected tensors for SAM2-UNet {}: {}; if they are of a part that only training needs (an auxiliary "
      "head), `sam2unet convert {} OUT` leaves them out",
      variant_name(*r.config), join_first(r.unexpected), where);
}

CheckpointWeights::CheckpointWeights(formats::TensorFile file)
    : file_(std::move(file)), recognition_(recognise(file_)) {
  if (const std::string why = why_not_usable(file_, recognition_); !why.empty())
    throw WeightsError(fmt::format("{}: {}", file_.path().string(), why));
  gates_ = stored_gates(file_, recognition_);
}

std::vector<std::string> CheckpointWeights::notes() const {
  auto out = notes_of(file_, recognition_);
  if (!gates_.problem.empty())
    out.push_back(fmt::format("{}: {}; converting the file with pictures measures them anew",
                              file_.path().string(), gates_.problem));
  return out;
}

std::vector<std::string> notes_of(const formats::TensorFile& file, const Recognition& r) {
  std::vector<std::string> out;
  if (!r.left_out.empty()) {
    out.push_back(fmt::format("{}: {} tensor{} beside the network {} left out: {}", file.path().string(),
                              r.left_out.size(), r.left_out.size() == 1 ? "" : "s",
                              r.left_out.size() == 1 ? "was" : "were", join_first(r.left_out)));
  }
  return out;
}

void CheckpointWeights::read(const std::string& name, const Shape& shape, std::int64_t first,
                             std::span<float> values) const {
  const std::string stored = stored_name(name, recognition_);
  check_shape(file_, stored, shape);
  read_tensor(file_, stored, first, values);
}

}  // namespace sam2unet::model
