#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "commands.h"
#include "sam2unet/weights.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::string in, out;
  ConvertOptions options;
};

void run(const Arguments& a) {
  for (const auto& note : convert_weights(a.in, a.out, a.options)) {
    std::fprintf(stderr, "sam2unet: note: %s\n", note.c_str());
  }
  const WeightsInfo i = inspect_weights(a.out);
  std::printf("%s: %s, variant %s, %zu tensors, %.1f MB\n", a.out.c_str(), i.contents.c_str(),
              i.variant.c_str(), i.tensors.size(), static_cast<double>(i.file_size) * 1e-6);
}

}  // namespace

void add_convert(CLI::App& app) {
  auto* c = app.add_subcommand("convert", "Convert weights between formats and precisions");
  auto a = std::make_shared<Arguments>();
  const std::map<std::string, WeightsPrecision> precisions{{"f32", WeightsPrecision::f32},
                                                           {"f16", WeightsPrecision::f16},
                                                           {"bf16", WeightsPrecision::bf16},
                                                           {"int8", WeightsPrecision::int8}};
  c->add_option("IN", a->in, "safetensors, .pth or .pt, or the name of a model")->required();
  c->add_option("OUT", a->out, ".safetensors, or .pth/.pt as torch.load reads it")->required();
  c->add_option("--dtype", a->options.precision,
                "f32, f16, bf16 or int8 (weights only, scaled per output channel); default: as they are")
      ->transform([precisions](std::string name) {
        const auto it = precisions.find(name);
        if (it == precisions.end()) throw CLI::ValidationError(name + " is none of f32, f16, bf16, int8");
        return std::to_string(static_cast<int>(it->second));
      })
      ->type_name("DTYPE");
  c->add_flag("--task-only", a->options.task_only,
              "leave out the frozen trunk: adapters, RFB, decoder and heads");
  c->add_option("--trunk", a->options.trunk,
                "complete a task-only file with the trunk of this one (SAM2, SAM2.1 or SAM2-UNet)");
  c->footer(
      "Examples: sam2unet convert SAM2-UNet.pth small.safetensors --dtype int8\n"
      "          sam2unet convert task.safetensors full.pth --trunk sam2_hiera_large.pt");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
