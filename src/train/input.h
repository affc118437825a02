// A batch of bytes as the network's input, computed where the bytes are.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace sam2unet::train {

/// Holds the constants as tensors of the device: divided by a number of the host, a GPU multiplies by its
/// rounded reciprocal instead.
class InputMaker {
 public:
  explicit InputMaker(at::Device device);
  /// [B,S,S,3] bytes -> (v / 255 - mean) / deviation in float32, the bits of image::normalise_rgb. Anything
  /// but bytes is given back as it is.
  at::Tensor image(const at::Tensor& pixels) const;
  /// [B,S,S,1] bytes -> v / 255 in float32.
  at::Tensor mask(const at::Tensor& pixels) const;
  /// [B,S,S,1] bytes -> ids as they are, in float32.
  at::Tensor ids(const at::Tensor& pixels) const;

 private:
  at::Tensor most_, mean_, deviation_;  // [], [3], [3]
};

}  // namespace sam2unet::train
