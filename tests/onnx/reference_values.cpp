// For tests/python/onnx_graphs.py: weights to export, and what this program computes with them.
//   onnx_reference weights t|s|b+|l K OUT.safetensors       deterministic weights
//   onnx_reference run WEIGHTS HxW PICTURE.png...           NAME.logits [K,H,W] and NAME.map [K,h,w] beside
//   each, float32
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "sam2unet/segmenter.h"
#include "support/tiny_weights.h"

namespace {

void write(const std::string& path, const std::vector<float>& values) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
}

void run(const std::vector<std::string>& a) {
  const sam2unet::Segmenter segmenter(a.at(1));
  sam2unet::SegmentOptions options;
  int height = 0, width = 0;
  if (std::sscanf(a.at(2).c_str(), "%dx%d", &height, &width) != 2) throw std::runtime_error("no size");
  options.size = sam2unet::InputSize::of(width, height);
  for (std::size_t i = 3; i < a.size(); ++i) {
    const auto result = segmenter.segment(sam2unet::read_image(a[i]), options);
    write(a[i] + ".logits", result.logits);
    write(a[i] + ".map", result.probabilities);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  try {
    if (a.size() == 4 && a[0] == "weights") {
      auto config = sam2unet::model::Config::of_variant(a[1]);
      config.out_channels = std::atoi(a[2].c_str());
      sam2unet::test::write_weights(a[3], config);
    } else if (a.size() > 3 && a[0] == "run") {
      run(a);
    } else {
      return 2;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "onnx_reference: %s\n", e.what());
    return 1;
  }
}
