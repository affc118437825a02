// Random maps with the values PySODMetrics 1.6.2 gives for them: NAME.bin beside NAME.json.
// The binary file is little-endian: count, then for each map width, height (32 bits each), prediction [h, w],
// truth [h, w], picture [h, w, 3].
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "sam2unet/image.h"

namespace sam2unet::test {

struct MapCase {
  Image prediction, truth, picture;
  nlohmann::json expected;
};

inline std::vector<MapCase> read_maps(const std::filesystem::path& stem) {
  std::ifstream in(stem.string() + ".bin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const nlohmann::json values = nlohmann::json::parse(std::ifstream(stem.string() + ".json"));
  std::size_t at = 0;
  const auto take = [&](void* to, std::size_t n) {
    if (bytes.size() - at < n) throw std::runtime_error(stem.string() + ".bin is too short");
    std::memcpy(to, bytes.data() + at, n);
    at += n;
  };
  std::uint32_t count = 0;
  take(&count, 4);
  std::vector<MapCase> cases;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t w = 0, h = 0;
    take(&w, 4);
    take(&h, 4);
    MapCase c{Image(static_cast<int>(w), static_cast<int>(h), 1),
              Image(static_cast<int>(w), static_cast<int>(h), 1),
              Image(static_cast<int>(w), static_cast<int>(h), 3), values.at(i)};
    for (Image* image : {&c.prediction, &c.truth, &c.picture})
      take(image->pixels.data(), image->pixels.size());
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace sam2unet::test
