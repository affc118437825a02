#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "measured.h"
#include "progress.h"
#include "sam2unet/errors.h"
#include "sam2unet/weights.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::string in, out, gates, calibrate;
  int threads = 0;
  ConvertOptions options;
};

void run(Arguments& a) {
  if (!a.gates.empty() && !a.calibrate.empty())
    throw UsageError("--calibrate measures what --gates does, and more");
  std::optional<Progress> progress;
  if (const bool keeps = !a.calibrate.empty(); keeps || !a.gates.empty()) {
    GateOptions& o = a.options.measured.emplace();
    o.pictures = keeps ? a.calibrate : a.gates;
    o.keep = keeps ? KeepLayers::as_needed : KeepLayers::none;
    o.threads = a.threads;
    o.progress = [&progress, pass = std::string()](const std::string& what, std::size_t done,
                                                   std::size_t total) mutable {
      if (what != pass) {
        if (progress) progress->finish();
        progress.emplace(total, what);
        pass = what;
      }
      if (done > 0) progress->advance();
    };
  }
  const auto notes = convert_weights(a.in, a.out, a.options);
  if (progress) progress->finish();
  for (const auto& note : notes) {
    std::fprintf(stderr, "sam2unet: note: %s\n", note.c_str());
  }
  const WeightsInfo i = inspect_weights(a.out);
  std::printf("%s: %s, variant %s, %zu tensors, %.1f MB\n", a.out.c_str(), i.contents.c_str(),
              i.variant.c_str(), i.tensors.size(), static_cast<double>(i.file_size) * 1e-6);
  for (const std::string& line : measured_lines(i)) std::printf("%s\n", line.c_str());
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
      ->transform([precisions](const std::string& name) {
        const auto it = precisions.find(name);
        if (it == precisions.end()) throw CLI::ValidationError(name + " is none of f32, f16, bf16, int8");
        return std::to_string(static_cast<int>(it->second));
      })
      ->type_name("DTYPE");
  c->add_flag("--task-only", a->options.task_only,
              "leave out the frozen trunk: adapters, RFB, decoder and heads");
  c->add_option("--trunk", a->options.trunk,
                "complete a task-only file with the trunk of this one (SAM2, SAM2.1 or SAM2-UNet)");
  c->add_option(
       "--gates", a->gates,
       "measure on the pictures of DIR how much bf16 and int8 change the maps, and store it: --precision "
       "auto follows it. They need no masks; as many as tell of those that will be predicted, say 50")
      ->type_name("DIR");
  c->add_option("--calibrate", a->calibrate,
                "as --gates, and find the layers that int8 had better leave in bf16, which it then does with "
                "this file; takes a pass over four of the pictures for each layer")
      ->type_name("DIR");
  c->add_option("-j,--threads", a->threads, "threads for that (0: all cores, or OMP_NUM_THREADS)")
      ->check(CLI::Range(0, 1024).description(""))
      ->type_name("N");
  c->footer(
      "Examples: sam2unet convert SAM2-UNet.pth small.safetensors --dtype int8\n"
      "          sam2unet convert task.safetensors full.pth --trunk sam2_hiera_large.pt\n"
      "          sam2unet convert SAM2-UNet.pth fast.safetensors --calibrate photos/");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
