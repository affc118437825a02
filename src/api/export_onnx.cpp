#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "core/sha256.h"
#include "image/imagenet.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "model/network.h"
#include "onnx/picture_graph.h"
#include "onnx/write.h"
#include "ops/onnx/onnx_ops.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"
#include "sam2unet/onnx.h"
#include "sam2unet/version.h"

namespace sam2unet {
namespace {

using onnx::ElementType;
using onnx::Value;

// What the graph computes in.
ElementType float_type(OnnxPrecision precision) {
  return precision == OnnxPrecision::f16 ? ElementType::f16 : ElementType::f32;
}

InputSize size_for(const model::CheckpointWeights& weights, InputSize wanted) {
  InputSize usual;
  if (const auto trained = weights.trained_size()) usual = InputSize::of(trained->width, trained->height);
  const auto size = InputSize::of(wanted.width == 0 ? usual.width : wanted.width,
                                  wanted.height == 0 ? usual.height : wanted.height);
  weights.config().check_input(size.height, size.width);
  return size;
}

// The network between float32 planes [B,3,H,W] and logits [B,K,H,W].
Value record_network(onnx::Graph& graph, model::WeightSource& source, const model::Config& config,
                     const InputSize& size, OnnxPrecision precision, const Value& image) {
  const ElementType type = float_type(precision);
  ops::OnnxOps o(graph, source, precision);
  ops::OnnxWeights names;
  const auto network = model::Network<ops::OnnxWeights>::make(names, config);
  const Value in = type == ElementType::f32 ? image : graph.cast(image, type);
  const auto input = o.input(in, {1, size.height, size.width, 3});
  const Value logits = o.planes(model::sam2unet(o, network, input).out);
  return type == ElementType::f32 ? logits : graph.cast(logits, ElementType::f32);
}

void record_core(onnx::Graph& graph, model::WeightSource& source, const model::Config& config,
                 const InputSize& size, OnnxPrecision precision) {
  const std::string batch = "batch";
  const Value image =
      graph.input({"image", ElementType::f32, {batch, std::int64_t{3}, size.height, size.width}});
  const Value logits = record_network(graph, source, config, size, precision, image);
  graph.output(logits, {"logits", ElementType::f32, {batch, config.out_channels, size.height, size.width}});
}

void record_full(onnx::Graph& graph, model::WeightSource& source, const model::Config& config,
                 const InputSize& size, OnnxPrecision precision) {
  const std::string height = "height", width = "width";
  const Value picture = graph.input({"picture", ElementType::u8, {height, width, std::int64_t{3}}});
  const Value image = onnx::prepare_picture(graph, picture, {size.height, size.width});
  const Value logits = record_network(graph, source, config, size, precision, image);
  const auto maps = onnx::finish_maps(graph, logits, picture, config.out_channels);
  graph.output(maps.map, {"map", ElementType::f32, {config.out_channels, height, width}});
  if (maps.ids) graph.output(*maps.ids, {"ids", ElementType::u8, {height, width}});
}

std::string metadata_of(const model::CheckpointWeights& weights, const char* key) {
  const auto it = weights.metadata().find(key);
  return it == weights.metadata().end() ? std::string() : it->second;
}

// A full graph squashes pictures; a letterbox would have to be its own.
void check_fit(const model::CheckpointWeights& weights, OnnxGraph graph, const std::string& where) {
  const std::string fit = metadata_of(weights, model::kFitKey);
  if (graph == OnnxGraph::full && !fit.empty() && parse_fit(fit) != Fit::squash) {
    throw UsageError(fmt::format(
        "{}: was trained on letterboxed pictures, which a full graph does not make; export the core graph",
        where));
  }
}

std::map<std::string, std::string> describe(const model::CheckpointWeights& weights,
                                            const OnnxSummary& summary, const OnnxOptions& options) {
  const auto numbers = [](const auto& v) { return fmt::format("{}", fmt::join(v, " ")); };
  std::map<std::string, std::string> m{
      {"sam2unet.version", version()},
      {"sam2unet.graph", std::string(name_of(options.graph))},
      {"sam2unet.precision", std::string(name_of(options.precision))},
      {"sam2unet.variant", summary.variant},
      {"sam2unet.config", weights.config().to_json()},
      {"sam2unet.size", fmt::format("{}x{}", summary.size.height, summary.size.width)},
      {"sam2unet.weights_sha256", summary.weights_sha256},
      {"sam2unet.mean", numbers(kImagenetMean)},
      {"sam2unet.std", numbers(kImagenetDeviation)},
      {"sam2unet.pillow", "12"}};
  const int channels = weights.config().out_channels;
  if (channels > 1) {
    const std::string own = metadata_of(weights, model::kClassesKey);
    m["sam2unet.classes"] = own.empty() ? to_json(default_class_table(channels)) : own;
  }
  const std::string fit = metadata_of(weights, model::kFitKey);
  m["sam2unet.fit"] = fit.empty() ? std::string(name_of(Fit::squash)) : fit;
  return m;
}

}  // namespace

std::string_view name_of(OnnxGraph graph) {
  return graph == OnnxGraph::full ? "full" : "core";
}

std::string_view name_of(OnnxPrecision precision) {
  switch (precision) {
    case OnnxPrecision::f32:
      return "f32";
    case OnnxPrecision::f16:
      return "f16";
    case OnnxPrecision::int8:
      return "int8";
  }
  return "?";
}

OnnxSummary export_onnx(const std::filesystem::path& named, const std::filesystem::path& out,
                        const OnnxOptions& options) {
  const std::filesystem::path path = find_weights(named);
  std::error_code ignored;
  if (std::filesystem::equivalent(path, out, ignored))
    throw UsageError(fmt::format("{}: is the weight file itself; choose another name", out.string()));
  model::CheckpointWeights weights(formats::TensorFile::open(path));
  check_fit(weights, options.graph, path.string());
  OnnxSummary summary;
  summary.variant = model::variant_name(weights.config());
  summary.size = size_for(weights, options.size);
  summary.channels = weights.config().out_channels;
  summary.weights_sha256 = sha256_of_file(path);

  onnx::Graph graph;
  const auto record = options.graph == OnnxGraph::full ? record_full : record_core;
  record(graph, weights, weights.config(), summary.size, options.precision);
  onnx::write_model(out, graph, {version(), describe(weights, summary, options)});
  summary.nodes = graph.nodes().size();
  summary.bytes = std::filesystem::file_size(out);
  return summary;
}

}  // namespace sam2unet
