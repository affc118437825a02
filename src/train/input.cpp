#include "train/input.h"

#include <ATen/ATen.h>

#include "image/imagenet.h"

namespace sam2unet::train {
namespace {

at::Tensor constants(const std::array<float, 3>& values, at::Device device) {
  return at::tensor(at::ArrayRef<float>(values.data(), values.size())).to(device);
}

}  // namespace

InputMaker::InputMaker(at::Device device)
    : most_(at::full({}, 255.0, at::TensorOptions(at::kFloat).device(device))),
      mean_(constants(kImagenetMean, device)),
      deviation_(constants(kImagenetDeviation, device)) {}

at::Tensor InputMaker::image(const at::Tensor& pixels) const {
  if (pixels.scalar_type() != at::kByte) return pixels;
  return pixels.to(at::kFloat).div_(most_).sub_(mean_).div_(deviation_);
}

at::Tensor InputMaker::mask(const at::Tensor& pixels) const {
  if (pixels.scalar_type() != at::kByte) return pixels;
  return pixels.to(at::kFloat).div_(most_);
}

at::Tensor InputMaker::ids(const at::Tensor& pixels) const {
  if (pixels.scalar_type() != at::kByte) return pixels;
  return pixels.to(at::kFloat);
}

}  // namespace sam2unet::train
