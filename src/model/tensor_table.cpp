#include "model/tensor_table.h"

#include "model/network.h"

namespace sam2unet::model {
namespace {

struct Nothing {};

// A maker that packs nothing and writes down what was asked for.
struct Recorder {
  using PatchEmbed = Nothing;
  using Position = Nothing;
  using Norm = Nothing;
  using Linear = Nothing;
  using ConvBn = Nothing;
  using ConvBnFan = Nothing;

  const Config& config;
  std::vector<TensorSpec> specs;

  void record(const std::string& name, const Shape& shape, Role role) {
    specs.push_back({name, shape, role, part_of(name, config)});
  }

  Nothing linear(const std::string& name, int in, int out) {
    record(name + ".weight", {out, in}, Role::weight);
    record(name + ".bias", {out}, Role::bias);
    return {};
  }
  Nothing pointwise(const std::string& name, int in, int out) {
    record(name + ".weight", {out, in, 1, 1}, Role::weight);
    record(name + ".bias", {out}, Role::bias);
    return {};
  }
  Nothing patch_embed(const std::string& name, int in, int out) {
    record(name + ".weight", {out, in, 7, 7}, Role::weight);
    record(name + ".bias", {out}, Role::bias);
    return {};
  }
  Nothing position(const std::string& prefix, int dim, std::array<int, 2> background, int window) {
    record(prefix + ".pos_embed", {1, dim, background[0], background[1]}, Role::position);
    record(prefix + ".pos_embed_window", {1, dim, window, window}, Role::position);
    return {};
  }
  Nothing norm(const std::string& name, int dim) {
    record(name + ".weight", {dim}, Role::norm_weight);
    record(name + ".bias", {dim}, Role::bias);
    return {};
  }
  Nothing conv_bn(const std::string& conv, const std::string& bn, int in, int out, ops::Kernel k) {
    record(conv + ".weight", {out, in, k.h, k.w}, Role::weight);
    record(bn + ".weight", {out}, Role::norm_weight);
    record(bn + ".bias", {out}, Role::bias);
    record(bn + ".running_mean", {out}, Role::running_mean);
    record(bn + ".running_var", {out}, Role::running_var);
    record(bn + ".num_batches_tracked", {}, Role::counter);
    return {};
  }
  Nothing conv_bn_fan(const std::array<std::string, ops::kFan>& names, int in, int out) {
    for (const auto& n : names) conv_bn(n + ".conv", n + ".bn", in, out, {});
    return {};
  }
};
static_assert(ops::WeightMaker<Recorder>);

}  // namespace

Part part_of(std::string_view name, const Config& config) {
  if (name.starts_with("encoder.")) {
    return name.find(".prompt_learn.") != std::string_view::npos ? Part::adapter : Part::trunk;
  }
  if (name.starts_with("rfb")) return Part::rfb;
  if (name.starts_with("up4") && !config.calls_up4) return Part::unused;
  return name.starts_with("up") ? Part::up : Part::head;
}

std::vector<TensorSpec> tensor_table(const Config& config) {
  Recorder recorder{config, {}};
  Network<Recorder>::make(recorder, config);
  Network<Recorder>::make_unused(recorder, config);
  return std::move(recorder.specs);
}

std::string_view name_of(Part part) {
  switch (part) {
    case Part::trunk:
      return "trunk";
    case Part::adapter:
      return "adapters";
    case Part::rfb:
      return "RFB";
    case Part::up:
      return "decoder";
    case Part::unused:
      return "unused up4";
    case Part::head:
      return "heads";
  }
  return "?";
}

}  // namespace sam2unet::model
