#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "device.h"
#include "sam2unet/errors.h"
#include "sam2unet/verify.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> paths;
  VerifyOptions options;
};

// Every path is verified, whatever the ones before gave.
void run(const Arguments& a) {
  bool all_ok = true;
  for (const auto& path : a.paths) {
    std::printf("%s\n", path.c_str());
    bool ok = false;
    try {
      ok = verify(path, a.options, [](const VerifyCheck& c) {
        std::printf("  %-48s %10.3g %-15s (at most %.3g)  %s\n", c.name.c_str(), c.error, c.unit.c_str(),
                    c.tolerance, c.ok() ? "ok" : "FAILED");
      });
    } catch (const UsageError& e) {
      // A folder of pictures wants weights, and nothing else can be wrong before that.
      if (!a.options.weights.empty() || !fs::is_directory(path)) throw;
      throw UsageError(std::string(e.what()) + " (--weights FILE)");
    } catch (const Error& e) {
      std::fflush(stdout);
      std::fprintf(stderr, "sam2unet: %s\n", e.what());
    }
    std::printf("%s: %s\n", path.c_str(), ok ? "ok" : "FAILED");
    std::fflush(stdout);
    all_ok = all_ok && ok;
  }
  if (!all_ok) throw Failed{};
}

}  // namespace

void add_verify(CLI::App& app) {
  auto* c = app.add_subcommand("verify", "Prove on this machine that the numbers are the reference's");
  auto a = std::make_shared<Arguments>();
  c->add_option("PATH", a->paths,
                "golden files (forward_*.safetensors, train_*.safetensors), exported .onnx files, or folders "
                "with image/, "
                "resized/, pred/, logits.safetensors")
      ->required();
  c->add_option("-w,--weights", a->options.weights,
                "weights, or the name of a model, that the pictures of a folder were predicted with, or an "
                ".onnx file was exported from");
  c->add_option("-j,--threads", a->options.threads, "threads (0: all cores, or OMP_NUM_THREADS)")
      ->check(CLI::Range(0, 1024));
  add_device_options(*c, a->options.device, a->options.precision);
  c->footer(
      "Prints the largest error of each tensor relative to its range, and ok or FAILED. Exit code 0 if all "
      "are ok. Training (train_*) needs the training component, .onnx files need ONNX Runtime (the library, "
      "or its "
      "folder, can be named by SAM2UNET_ONNXRUNTIME).\n"
      "Example: sam2unet verify golden/forward_t_1x352x352_a.safetensors");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
