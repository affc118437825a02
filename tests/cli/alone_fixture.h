// Copies of the program and its library alone in a folder, beside which plug-ins are or are not.
#pragma once

#include <string>
#include <vector>

#include "cli/predict_fixture.h"

namespace sam2unet::test {

class AloneTest : public PredictTest {
 protected:
  AloneTest() {
    namespace fs = std::filesystem;
    fs::create_directories(dir / "lib");
    fs::copy_file(program("sam2unet"), dir / "sam2unet");
    for (const auto& e : fs::directory_iterator(program("sam2unet").parent_path().parent_path() / "lib")) {
      const std::string name = e.path().filename();
      if (name.starts_with("libsam2unet.so")) fs::copy_file(e.path(), dir / "lib" / name);
    }
  }
  Finished alone(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment = {}) {
    RunOptions options;
    options.folder = dir.path();
    options.environment = {"LD_LIBRARY_PATH=" + (dir / "lib").string(), "PATH=/nonexistent"};
    options.environment.insert(options.environment.end(), environment.begin(), environment.end());
    return run(dir / "sam2unet", arguments, options);
  }
  /// Puts a stand-in for the CUDA backend beside the library: "fake", or "old", which is of another version.
  void install_cuda(const std::string& which = "fake") {
    std::filesystem::copy_file(
        std::filesystem::path(S2U_BINARY_DIR) / "tests" / which / "libsam2unet_cuda.so",
        dir / "lib" / "libsam2unet_cuda.so");
  }
};

}  // namespace sam2unet::test
