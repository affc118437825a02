// Segments one picture with the model that comes with the library and writes the probability map.
//   segment PICTURE MAP.png
#include <sam2unet/errors.h>
#include <sam2unet/segmenter.h>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s PICTURE MAP.png\n", argv[0]);
    return 2;
  }
  try {
    const sam2unet::Segmenter segmenter(sam2unet::default_model_path());
    const sam2unet::Segmentation result = segmenter.segment(sam2unet::read_image(argv[1]));
    sam2unet::write_png(argv[2], result.to_gray());
    double foreground = 0.0;
    for (const float p : result.map()) foreground += p > 0.5F ? 1.0 : 0.0;
    std::printf("%dx%d, %.1f %% foreground\n", result.width, result.height,
                100.0 * foreground / static_cast<double>(result.map().size()));
  } catch (const sam2unet::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
