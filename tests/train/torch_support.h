// Between the plain backend's tensors and LibTorch's.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/weight_source.h"
#include "ops/plain/plain_ops.h"
#include "ops/torch/torch_ops.h"

namespace sam2unet::test {

inline ops::PlainTensor plain_input(const std::string& name, const ops::Extent& e) {
  ops::PlainTensor x(e);
  x.data = model::deterministic_values(name, e.numel());
  return x;
}

inline at::Tensor to_torch(const ops::PlainTensor& x) {
  return at::from_blob(const_cast<double*>(x.data.data()), {x.extent.b, x.extent.h, x.extent.w, x.extent.c},
                       at::kDouble)
      .clone();
}

/// Largest difference, relative to the largest value wanted.
inline double relative_error(const at::Tensor& got, const at::Tensor& want) {
  if (got.sizes() != want.sizes()) return 1e300;
  const double scale = want.abs().max().item<double>();
  return (got.to(at::kDouble) - want).abs().max().item<double>() / (scale > 0 ? scale : 1.0);
}
inline double relative_error(const at::Tensor& got, const ops::PlainTensor& want) {
  return relative_error(got, to_torch(want));
}

}  // namespace sam2unet::test
