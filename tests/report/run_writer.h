// A run's folder as the training component leaves it, with the values a test asks for.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"

namespace sam2unet::test {

struct RunWriter {
  std::filesystem::path folder;
  std::string best_by = "dice", seed = "1", lr = "0.001", fold, epochs = "3";
  std::vector<std::string> log;

  static std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\\\"") : std::string(1, c);
    return out + "\"";
  }

  /// Writes train.toml and log.jsonl.
  void write() const {
    std::filesystem::create_directories(folder / "validation");
    std::string toml = "# Folder of training pictures\nimages = [\"a b/images\", \"more\"]\nbest_by = \"" +
                       best_by + "\"\nseed = " + seed + "\nlr = " + lr + "\nepochs = " + epochs +
                       "\nout = " + quoted(folder.filename().string()) + "\n";
    if (!fold.empty()) toml += "fold = \"" + fold + "\"\n";
    write_file(folder / "train.toml", toml);
    std::string lines;
    for (const auto& line : log) lines += line + "\n";
    write_file(folder / "log.jsonl", lines);
  }

  /// One epoch with these values of dice.mean and MAE.
  void add_epoch(int epoch, double dice, double mae) {
    log.push_back("{\"epoch\":" + std::to_string(epoch) + ",\"step\":" + std::to_string(10 * epoch) +
                  ",\"lr\":0.001,\"loss\":" + (epoch == 0 ? "null" : std::to_string(3.0 - epoch)) +
                  ",\"dice.mean\":" + std::to_string(dice) + ",\"MAE\":" + std::to_string(mae) + "}");
  }

  /// Picture, ground truth and map: three panels of 20x10 of one colour each.
  void add_picture(const std::string& name, std::uint8_t map) const {
    Image row(60, 10, 3);
    for (int y = 0; y < 10; ++y) {
      for (int x = 0; x < 180; ++x) row.row(y)[x] = x < 60 ? 40 : x < 120 ? 255 : map;
    }
    write_png(folder / "validation" / (name + ".png"), row);
  }
};

}  // namespace sam2unet::test
