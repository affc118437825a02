// What comes before and behind the network, as part of a graph: a picture of any size becomes the network's
// input, and logits become maps of the picture's own size.
#pragma once

#include <optional>

#include "onnx/graph.h"

namespace sam2unet::onnx {

struct NetworkSize {
  std::int64_t height = 0, width = 0;
};

/// u8 [h,w,3] -> f32 [1,3,H,W]: resized as Pillow 12 does it (horizontally first), bit for bit, and
/// normalised.
///
/// Coefficients are whole numbers computed from the sizes, without rounding, so that every runtime has the
/// same. Exact for sides up to 16384, and at least 64 pixels of the network's size.
Value prepare_picture(Graph& graph, const Value& picture, const NetworkSize& size);

struct Maps {
  Value map;                 // f32 [K,h,w]
  std::optional<Value> ids;  // u8 [h,w], of several classes
};
/// f32 [1,K,H,W] -> the picture's own size: bilinear, then sigmoid or, of several channels, softmax.
Maps finish_maps(Graph& graph, const Value& logits, const Value& picture, int channels);

}  // namespace sam2unet::onnx
