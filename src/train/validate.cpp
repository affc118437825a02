#include "train/validate.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "metrics/scorer.h"
#include "sam2unet/image.h"

namespace sam2unet::train {
namespace {

constexpr std::size_t kPicturesKept = 8;

// Probabilities at the given size, rounded to 8 bits.
Image to_gray(const at::Tensor& logits, int width, int height) {  // [1,S,S,1]
  const at::Tensor p = at::sigmoid(
      at::upsample_bilinear2d(logits.permute({0, 3, 1, 2}).to(at::kCPU, at::kFloat), {height, width}, false));
  const at::Tensor bytes = (p * 255).round().to(at::kByte).contiguous();
  Image out(width, height, 1);
  std::copy_n(bytes.const_data_ptr<std::uint8_t>(), out.pixels.size(), out.pixels.begin());
  return out;
}

void write_row(const std::filesystem::path& path, const Image& picture, const Image& truth,
               const Image& map) {
  const int w = picture.width, h = picture.height;
  const Image t = resize_pillow(truth, w, h, ResizeFilter::bilinear),
              m = resize_pillow(map, w, h, ResizeFilter::bilinear);
  Image row(3 * w, h, 3);
  for (int y = 0; y < h; ++y) {
    std::copy_n(picture.row(y), 3 * w, row.row(y));
    for (int x = 0; x < w; ++x) {
      std::fill_n(row.row(y) + 3 * (w + x), 3, t.row(y)[x]);
      std::fill_n(row.row(y) + 3 * (2 * w + x), 3, m.row(y)[x]);
    }
  }
  write_png(path, row);
}

}  // namespace

Validation validate(TrainableNetwork& net, const std::vector<Pair>& pairs, int size, at::ScalarType type,
                    at::Device device, const std::filesystem::path& pictures) {
  const c10::NoGradGuard no_gradients;
  std::filesystem::create_directories(pictures);
  metrics::Scorer scorer({false, false, false, false, false, false});
  DecodeOptions gray;
  gray.mode = ColorMode::gray;
  gray.apply_exif_orientation = false;
  DecodeOptions rgb;
  rgb.apply_exif_orientation = false;
  Validation sum{0, 0, 0};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Sample sample = load_sample(pairs[i], size, Augment::none, Random(0, 0, 0));
    const at::Tensor image = at::tensor(sample.image).reshape({1, size, size, 3}).to(device, type);
    Image truth = read_image(pairs[i].mask, gray);
    if (*std::max_element(truth.pixels.begin(), truth.pixels.end()) == 1) {
      for (auto& p : truth.pixels) p = p != 0 ? 255 : 0;
    }
    const Image map = to_gray(net.forward_inference(image), truth.width, truth.height);
    const auto scores = scorer.score(map, truth);
    sum.mae += scores.mae;
    sum.s_measure += scores.s;
    sum.weighted_f += scores.weighted_f;
    if (i < kPicturesKept) {
      write_row(pictures / (pairs[i].image.stem().string() + ".png"), read_image(pairs[i].image, rgb), truth,
                map);
    }
  }
  const auto n = static_cast<double>(pairs.size());
  return {sum.mae / n, sum.s_measure / n, sum.weighted_f / n};
}

}  // namespace sam2unet::train
