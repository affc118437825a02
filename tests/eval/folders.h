// Folders of maps for evaluations.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>

#include "sam2unet/evaluate.h"
#include "support/temp_dir.h"

namespace sam2unet::test {

/// A disc of 255 around (cx, cy) that fades over some pixels.
inline Image disc(int width, int height, int cx, int cy, int radius, int fade = 0) {
  Image m(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
      const int outer = (radius + fade) * (radius + fade);
      m.row(y)[x] = d <= radius * radius ? 255
                    : d < outer          ? static_cast<std::uint8_t>(255 * (outer - d) / outer)
                                         : 0;
    }
  }
  return m;
}

class MapFolders {
 public:
  MapFolders() {
    std::filesystem::create_directories(pred());
    std::filesystem::create_directories(gt());
  }
  std::filesystem::path pred() const { return dir / "maps"; }
  std::filesystem::path gt() const { return dir / "gt"; }
  std::filesystem::path images() const { return dir / "images"; }
  void put(const std::string& stem, const Image& prediction, const Image& truth) const {
    write_png(pred() / (stem + ".png"), prediction);
    write_png(gt() / (stem + ".png"), truth);
  }
  /// a, b, c, ...: discs that are more and more beside their truth.
  void put_discs(int count) const {
    for (int i = 0; i < count; ++i) {
      put(std::string(1, static_cast<char>('a' + i)), disc(60 + i, 40, 20 + 3 * i, 20, 9, 4),
          disc(60 + i, 40, 20, 20, 10));
    }
  }

  TempDir dir;
};

inline double value_of(const Evaluation& e, const EvaluatedImage& image, const std::string& key) {
  const auto at = std::find(e.image_keys.begin(), e.image_keys.end(), key) - e.image_keys.begin();
  return image.values.at(static_cast<std::size_t>(at));
}

}  // namespace sam2unet::test
