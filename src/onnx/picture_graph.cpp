#include "onnx/picture_graph.h"

#include <utility>
#include <vector>

#include "image/imagenet.h"

namespace sam2unet::onnx {
namespace {

using Int = std::int64_t;
using Ints = std::vector<Int>;

// A graph's arithmetic, so that it reads like what it computes.
class Terms {
 public:
  explicit Terms(Graph& graph) : g_(graph) {}

  Value add(const Value& a, const Value& b) { return g_.node("Add", {a, b}); }
  Value sub(const Value& a, const Value& b) { return g_.node("Sub", {a, b}); }
  Value mul(const Value& a, const Value& b) { return g_.node("Mul", {a, b}); }
  Value max(const Value& a, const Value& b) { return g_.node("Max", {a, b}); }
  Value abs(const Value& a) { return g_.node("Abs", {a}); }
  Value floor(const Value& a) { return g_.node("Floor", {a}); }
  Value i32(std::int32_t v) { return g_.int32s({v}, {}); }
  Value to_i32(const Value& a) { return g_.cast(a, ElementType::i32); }
  Value to_f32(const Value& a) { return g_.cast(a, ElementType::f32); }
  Value times(const Value& a, float factor) { return mul(a, g_.number(factor)); }
  Value unsqueeze(const Value& a, Int axis) { return g_.node("Unsqueeze", {a, g_.ints({axis})}); }
  Value squeeze(const Value& a, Int axis) { return g_.node("Squeeze", {a, g_.ints({axis})}); }

  /// Entry `index` of a shape, i64 [1].
  Value entry(const Value& shape, Int index) {
    return g_.node("Slice", {shape, g_.ints({index}), g_.ints({index + 1}), g_.ints({0})});
  }

  /// a / b of whole numbers a >= 0, b > 0, rounded down, and what remains. By float division, which is off by
  /// one at most, and mended: not every runtime divides integers exactly.
  std::pair<Value, Value> divide(const Value& a, const Value& b) {
    const Value near = to_i32(floor(g_.node("Div", {to_f32(a), to_f32(b)})));
    const Value left = sub(a, mul(near, b));
    const Value too_small = to_i32(g_.node("GreaterOrEqual", {left, b}));
    const Value too_large = to_i32(g_.node("Less", {left, i32(0)}));
    const Value quotient = sub(add(near, too_small), too_large);
    return {quotient, sub(a, mul(quotient, b))};
  }

 private:
  Graph& g_;
};

// Which pixels make a resized one, and how much of each.
struct Taps {
  Value source;   // i32 [size, taps]
  Value weights;  // f32 [size, 3, taps]: the highest, middle and lowest byte of a 22-bit coefficient
};

// Pillow's bilinear coefficients for n -> size pixels. With M = max(n, size) (whichever way the triangle is
// scaled), pixel x counts for output o with
//   t = 2 M - |(2 x + 1) size - (2 o + 1) n|, or nothing,
// over the sum of all t; Pillow rounds that to 22 bits. All of it is whole numbers. Here they are taken apart
// into bytes by long division, since three sums of bytes are exact in float32, where one of coefficients
// would not be.
Taps taps_of(Graph& g, const Value& length, Int size) {  // length: i32 []
  Terms t(g);
  std::vector<std::int32_t> odd;
  for (Int o = 0; o < size; ++o) odd.push_back(static_cast<std::int32_t>(2 * o + 1));
  const auto s = static_cast<std::int32_t>(size);
  const Value reach = t.mul(t.max(length, t.i32(s)), t.i32(2));  // 2 M
  const Value centre = t.mul(g.int32s(odd, {size, 1}), length);  // [size,1], in 1 / (2 size) pixels
  const float pixel = 0.5F / static_cast<float>(size);           // to pixels
  const Value first =
      t.floor(t.times(t.to_f32(t.sub(centre, reach)), pixel));  // at or before the first that counts
  const Value count = t.to_i32(g.node("Ceil", {t.times(t.to_f32(reach), 2.0F * pixel)}));
  const Value numbers = g.node("Range", {t.i32(0), t.add(count, t.i32(3)), t.i32(1)});  // [taps]
  const Value x = t.add(t.to_i32(first), t.unsqueeze(numbers, 0));                      // [size,taps]
  const Value inside = g.node("Min", {t.max(x, t.i32(0)), t.sub(length, t.i32(1))});
  const Value distance = t.abs(t.sub(t.mul(t.add(t.mul(x, t.i32(2)), t.i32(1)), t.i32(s)), centre));
  const Value triangle = t.max(t.sub(reach, distance), t.i32(0));
  const Value share = t.mul(triangle, t.to_i32(g.node("Equal", {x, inside})));
  const Value sum = g.node("ReduceSum", {share, g.ints({1})}, {{"keepdims", Int{1}}});  // [size,1]

  const auto [high, after_high] = t.divide(t.mul(share, t.i32(64)), sum);
  const auto [middle, after_middle] = t.divide(t.mul(after_high, t.i32(256)), sum);
  const auto [low, rest] = t.divide(t.mul(after_middle, t.i32(256)), sum);
  const Value up = t.to_i32(g.node("GreaterOrEqual", {t.mul(rest, t.i32(2)), sum}));
  std::vector<Value> bytes;
  for (const Value& byte : {high, middle, t.add(low, up)}) bytes.push_back(t.unsqueeze(t.to_f32(byte), 1));
  return {inside, g.node("Concat", bytes, {{"axis", Int{1}}})};
}

// f32 [n, run] of whole numbers 0..255 -> [size, run]: sums of 22-bit coefficients, rounded to 8 bits.
Value resize_rows(Graph& g, const Value& x, const Taps& taps) {
  Terms t(g);
  const Value gathered = g.node("Gather", {x, taps.source}, {{"axis", Int{0}}});  // [size,taps,run]
  const Value sums = g.node("MatMul", {taps.weights, gathered});                  // [size,3,run]
  const auto m = g.node("Split", {sums, g.ints({1, 1, 1})}, {{"axis", Int{1}}}, 3);
  const Value low = t.floor(t.times(m[2], 1.0F / 256));
  const Value middle = t.floor(t.times(t.add(m[1], low), 1.0F / 256));
  const Value half = t.add(t.add(m[0], middle), g.number(32.0F));
  return t.squeeze(t.floor(t.times(half, 1.0F / 64)), 1);
}

Value normalise(Graph& g, const Value& levels) {  // f32 [1,3,H,W], 0..255
  const auto channels = [&](const std::array<float, 3>& v) {
    return g.floats({v.begin(), v.end()}, {1, 3, 1, 1});
  };
  const Value unit = g.node("Div", {levels, g.number(255.0F)});
  return g.node("Div", {g.node("Sub", {unit, channels(kImagenetMean)}), channels(kImagenetDeviation)});
}

}  // namespace

Value prepare_picture(Graph& g, const Value& picture, const NetworkSize& size) {
  Terms t(g);
  const Value shape = g.node("Shape", {picture});
  const auto side = [&](Int axis) { return t.to_i32(t.squeeze(t.entry(shape, axis), 0)); };
  const Value columns = t.to_f32(g.transpose(picture, {1, 0, 2}));  // [w,h,3]
  const Value narrow = resize_rows(g, g.reshape(columns, {0, -1}), taps_of(g, side(1), size.width));
  const Value rows = g.transpose(g.reshape(narrow, {size.width, -1, 3}), {1, 0, 2});  // [h,W,3]
  const Value small =
      resize_rows(g, g.reshape(rows, {-1, size.width * 3}), taps_of(g, side(0), size.height));  // [H,3W]
  return normalise(g, g.transpose(g.reshape(small, {1, size.height, size.width, 3}), {0, 3, 1, 2}));
}

Maps finish_maps(Graph& g, const Value& logits, const Value& picture, int channels) {
  Terms t(g);
  const Value shape = g.node("Shape", {picture});
  const Value sides = g.node("Slice", {shape, g.ints({0}), g.ints({2}), g.ints({0})});
  const Value sizes = g.node("Concat", {g.ints({1, channels}), sides}, {{"axis", Int{0}}});
  const Value large = g.node(
      "Resize", {logits, Value{}, Value{}, sizes},
      {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("half_pixel")}});
  const Value planes = t.squeeze(large, 0);  // [K,h,w]
  if (channels == 1) return {g.node("Sigmoid", {planes}), std::nullopt};
  const Value best = g.node("ArgMax", {planes}, {{"axis", Int{0}}, {"keepdims", Int{0}}});
  return {g.node("Softmax", {planes}, {{"axis", Int{0}}}), g.cast(best, ElementType::u8)};
}

}  // namespace sam2unet::onnx
