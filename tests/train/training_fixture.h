// A small network and made-up pictures to train on.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"
#include "train/trainer.h"

namespace sam2unet::train {

class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    std::filesystem::create_directories(dir / "images");
    std::filesystem::create_directories(dir / "masks");
    for (int i = 0; i < 6; ++i) write_pair(i, 255);
    settings.images = {(dir / "images").string()};
    settings.masks = {(dir / "masks").string()};
    settings.network = test::nano_config().to_json();
    settings.size = 64;
    settings.batch = 4;
    settings.epochs = 3;
    settings.out = (dir / "run").string();
    settings.threads = 1;
    settings.frozen_scratch = true;  // there is no trunk of this network
  }

  // A bright disc on a dark gradient; the mask is the disc.
  void write_pair(int i, int white) {
    Image image(80, 60, 3), mask(80, 60, 1);
    for (int y = 0; y < 60; ++y) {
      for (int x = 0; x < 80; ++x) {
        const bool inside = std::hypot(x - 20 - 8 * i, y - 15 - 5 * i) < 14;
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(inside ? 200 + 10 * c : x + y);
        mask.row(y)[x] = static_cast<std::uint8_t>(inside ? white : 0);
      }
    }
    write_png(dir / "images" / (std::to_string(i) + ".png"), image);
    write_png(dir / "masks" / (std::to_string(i) + ".png"), mask);
  }

  RunResult train(Begin begin = Begin::fresh) { return run(settings, begin, listener); }
  std::string text(const std::string& name) const {
    const auto b = bytes(name);
    return {reinterpret_cast<const char*>(b.data()), b.size()};
  }
  // Keeps what the run says.
  void listen() {
    listener.message = [this](const std::string& line) { said += line + "\n"; };
  }
  std::vector<std::byte> bytes(const std::string& name) const {
    return read_file(std::filesystem::path(settings.out) / name);
  }

  std::ptrdiff_t lines(const std::string& name) const {
    const auto text = bytes(name);
    return std::count(text.begin(), text.end(), std::byte{'\n'});
  }

  test::TempDir dir;
  Settings settings;
  Listener listener;
  std::string said;
};

}  // namespace sam2unet::train
