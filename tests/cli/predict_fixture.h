// A folder with tiny weights and some pictures, and `sam2unet predict` in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {

class PredictTest : public ::testing::Test {
 protected:
  PredictTest() { write_tiny_weights(dir / "tiny.safetensors"); }

  /// three.safetensors: background, road and car.
  void write_three_classes() {
    model::Config config = tiny_config();
    config.out_channels = 3;
    write_weights(dir / "three.safetensors", config,
                  {{"classes", R"({"classes": [{"id": 0, "name": "background", "color": "#000000"},
                      {"id": 1, "name": "road", "color": "#804080"},
                      {"id": 2, "name": "car", "color": "#00008e"}], "ignore": 255, "ignore_color": "#e0e0c0"})"}});
  }

  /// Runs `sam2unet predict ARGUMENTS` in the folder with the tiny weights and a small input size.
  Finished predict(std::vector<std::string> arguments, RunOptions options = {}) {
    arguments.insert(arguments.begin(), {"predict", "--weights", "tiny.safetensors", "--size", "64"});
    return predict_plain(std::move(arguments), std::move(options));
  }
  Finished predict_plain(const std::vector<std::string>& arguments, RunOptions options = {}) {
    if (options.folder.empty()) options.folder = dir.path();
    return run(program("sam2unet"), arguments, options);
  }
  /// A PNG of random pixels, in a folder that is made.
  void put_picture(const std::string& name, int width, int height) {
    std::filesystem::create_directories((dir / name).parent_path());
    write_png(dir / name, picture(width, height, 3));
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((dir / name).parent_path());
    write_file(dir / name, text);
  }
  std::string get(const std::string& name) {
    const auto bytes = read_file(dir / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bool exists(const std::string& name) { return std::filesystem::exists(dir / name); }
  /// Names in a folder below, sorted.
  std::vector<std::string> list(const std::string& name) {
    std::vector<std::string> out;
    for (const auto& e : std::filesystem::directory_iterator(dir / name))
      out.push_back(e.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
  Image gray(const std::string& name) { return read_image(dir / name, {.mode = ColorMode::gray}); }

  TempDir dir;
};

}  // namespace sam2unet::test
