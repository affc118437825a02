// Small data sets on disk, and what the checks say of them.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "train/data.h"

namespace sam2unet::train {

class Selection : public ::testing::Test {
 protected:
  void SetUp() override { set_of(dir / "a", 8); }

  // Pictures of noise, so that none is like another; masks with a square of `level` in them.
  void write_pair(const std::filesystem::path& folder, const std::string& image_name,
                  const std::string& mask_name, std::uint64_t seed, int level = 255) {
    Image image(32, 24, 3), mask(32, 24, 1);
    Random random(seed, 1, 2);
    for (auto& p : image.pixels) p = static_cast<std::uint8_t>(random.below(256));
    for (int y = 4; y < 12; ++y) std::fill_n(mask.row(y) + 5, 9, static_cast<std::uint8_t>(level));
    std::filesystem::create_directories(folder / "images");
    std::filesystem::create_directories(folder / "masks");
    write_png(folder / "images" / image_name, image);
    write_png(folder / "masks" / mask_name, mask);
  }
  void set_of(const std::filesystem::path& folder, int n, int level = 255) {
    for (int i = 0; i < n; ++i) {
      const std::string name = std::to_string(i) + ".png";
      write_pair(folder, name, name, static_cast<std::uint64_t>(i) + 100 * folder.filename().string()[0],
                 level);
    }
  }
  Settings settings_of(const std::filesystem::path& folder) const {
    Settings s;
    s.images = {(folder / "images").string()};
    s.masks = {(folder / "masks").string()};
    return s;
  }
  /// Validated on a folder of its own.
  Settings settings_of(const std::filesystem::path& folder, const std::filesystem::path& validation) const {
    Settings s = settings_of(folder);
    const Settings other = settings_of(validation);
    s.val_images = other.images;
    s.val_masks = other.masks;
    return s;
  }
  Data find(const Settings& s) {
    return find_data(s, [](const std::string&) {});
  }
  Data check(const Settings& s, const ClassTable* classes = nullptr) {
    notes.clear();
    Data data = find(s);
    CheckOptions options;
    options.skip_bad = s.skip_bad;
    options.classes = classes;
    options.note = [this](const std::string& line) { notes.push_back(line); };
    check_data(data, options);
    return data;
  }
  static std::vector<std::string> names(const std::vector<Pair>& pairs) {
    std::vector<std::string> out;
    for (const auto& p : pairs) out.push_back(p.image.filename().string());
    return out;
  }

  test::TempDir dir;
  std::vector<std::string> notes;
};

}  // namespace sam2unet::train
