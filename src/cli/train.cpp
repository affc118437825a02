// `sam2unet train` starts the training component, a program of its own, so that this one needs no LibTorch.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kProgram = "sam2unet-train";

// Beside this program, else wherever PATH has it.
std::string find_component() {
  std::error_code ignored;
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored);
  if (!self.empty() && fs::exists(self.parent_path() / kProgram, ignored))
    return self.parent_path() / kProgram;
  return kProgram;
}

[[noreturn]] void start(const std::vector<std::string>& arguments) {
  std::string program = find_component();
  std::vector<char*> argv{program.data()};
  std::vector<std::string> copies = arguments;
  for (auto& a : copies) argv.push_back(a.data());
  argv.push_back(nullptr);
  ::execvp(program.c_str(), argv.data());
  if (errno != ENOENT) throw UnavailableError(program + " cannot be started: " + std::strerror(errno));
  throw UnavailableError(
      "the training component (sam2unet-train) is not installed; build it with scripts/torch.sh, then "
      "cmake --preset release -DSAM2UNET_BUILD_TRAIN=ON and cmake --build --preset release");
}

}  // namespace

void add_train(CLI::App& app) {
  auto* c = app.add_subcommand("train", "Train a network on pictures and masks");
  c->prefix_command();  // everything behind `train` is the component's
  c->set_help_flag();   // --help included
  c->footer("Example: sam2unet train --images DIR --masks DIR --variant t --out run");
  c->callback([c] { start(c->remaining()); });
}

}  // namespace sam2unet::cli
