#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "commands.h"
#include "sam2unet/errors.h"
#include "sam2unet/onnx.h"
#include "size.h"
#include "weights.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::string out, weights, size;
  OnnxOptions options;
};

bool has_extension(const std::string& path, const std::string& wanted) {
  return path.size() > wanted.size() && path.ends_with(wanted);
}

void run(Arguments& a) {
  if (!has_extension(a.out, ".onnx"))
    throw UsageError(a.out + ": the extension decides the format; use .onnx");
  a.options.size = parse_size(a.size);
  const OnnxSummary s = export_onnx(weights_file(a.weights), a.out, a.options);
  std::printf("%s: %s graph, variant %s, %dx%d, %d channel%s, %s, %zu nodes, %.1f MB\n", a.out.c_str(),
              std::string(name_of(a.options.graph)).c_str(), s.variant.c_str(), s.size.height, s.size.width,
              s.channels, s.channels == 1 ? "" : "s", std::string(name_of(a.options.precision)).c_str(),
              s.nodes, static_cast<double>(s.bytes) * 1e-6);
}

}  // namespace

void add_export(CLI::App& app) {
  auto* c = app.add_subcommand("export", "Write the network as ONNX, for other runtimes");
  auto a = std::make_shared<Arguments>();
  c->add_option("OUT", a->out, "the file to write, .onnx")->required();
  c->add_option(
       "-w,--weights", a->weights,
       "safetensors, .pth or .pt, or the name of a model (default: the model that comes with the program)")
      ->type_name("FILE|NAME");
  const std::map<std::string, OnnxGraph> graphs{{"core", OnnxGraph::core}, {"full", OnnxGraph::full}};
  c->add_option(
       "--graph", a->options.graph,
       "core: normalised pictures [batch,3,H,W] to logits; full: one 8-bit picture of any size to its map")
      ->transform(CLI::CheckedTransformer(graphs).description(""))
      ->type_name("core|full")
      ->default_str("core");
  c->add_option("--size", a->size,
                "what the network sees, N or HxW, fixed in the file (default: as it was trained)")
      ->type_name("SIZE");
  const std::map<std::string, OnnxPrecision> precisions{
      {"f32", OnnxPrecision::f32}, {"f16", OnnxPrecision::f16}, {"int8", OnnxPrecision::int8}};
  c->add_option("--dtype", a->options.precision,
                "f32, f16 (activations too, for GPUs), int8 (weights only, scaled per output channel)")
      ->transform(CLI::CheckedTransformer(precisions).description(""))
      ->type_name("DTYPE")
      ->default_str("f32");
  c->footer(
      "`sam2unet verify OUT.onnx --weights FILE` compares the file with this program, by ONNX Runtime.\n"
      "Examples: sam2unet export sam2unet.onnx --weights SAM2-UNet.pth\n"
      "          sam2unet export sam2unet.onnx --graph full --size 512 --dtype int8");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
