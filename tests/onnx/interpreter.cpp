#include "onnx/interpreter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace sam2unet::test {
namespace {

using Int = std::int64_t;
using Ints = std::vector<Int>;
constexpr int kF32 = 1, kU8 = 2, kI32 = 6, kI64 = 7, kBool = 9;

std::size_t z(Int i) {
  return static_cast<std::size_t>(i);
}

// Of the sizes from `first` to before `last`, or to the end.
Int product(const Ints& shape, std::size_t first = 0, std::size_t last = 64) {
  Int n = 1;
  for (std::size_t i = first; i < last && i < shape.size(); ++i) n *= shape[i];
  return n;
}

OnnxTensor filled(int type, Ints shape, double value = 0.0) {
  OnnxTensor t{type, std::move(shape), {}};
  t.data.assign(z(product(t.shape)), value);
  return t;
}

[[noreturn]] void refuse(const OnnxNode& n, const std::string& why) {
  throw std::runtime_error(n.op + " " + n.name + ": " + why);
}

Ints ints_of(const OnnxTensor& t) {
  Ints out;
  for (const double v : t.data) out.push_back(static_cast<Int>(v));
  return out;
}

// Result sizes and the step of each operand along each dimension, 0 where it is repeated.
struct Broadcast {
  Ints shape, step_a, step_b;

  Broadcast(const Ints& a, const Ints& b) {
    const std::size_t rank = std::max(a.size(), b.size());
    shape.resize(rank);
    step_a.resize(rank);
    step_b.resize(rank);
    Int run_a = 1, run_b = 1;
    for (std::size_t i = 0; i < rank; ++i) {  // from the last dimension on
      const Int da = i < a.size() ? a[a.size() - 1 - i] : 1, db = i < b.size() ? b[b.size() - 1 - i] : 1;
      if (da != db && da != 1 && db != 1) throw std::runtime_error("shapes cannot be broadcast");
      const std::size_t at = rank - 1 - i;
      shape[at] = std::max(da, db);
      step_a[at] = da == 1 ? 0 : run_a;
      step_b[at] = db == 1 ? 0 : run_b;
      run_a *= da;
      run_b *= db;
    }
  }
};

class Interpreter {
 public:
  Interpreter(const OnnxModel& model, std::map<std::string, OnnxTensor> inputs, Arithmetic arithmetic)
      : model_(model), values_(std::move(inputs)), rounds_(arithmetic == Arithmetic::float32) {
    for (const auto& [name, t] : model.initializers) values_.emplace(name, t);
  }

  std::map<std::string, OnnxTensor> run() {
    for (const OnnxNode& n : model_.nodes) {
      auto results = compute(n);
      if (results.size() != n.outputs.size()) refuse(n, "another number of results");
      for (std::size_t i = 0; i < results.size(); ++i) {
        if (rounds_ && results[i].type == kF32) {
          for (double& v : results[i].data) v = static_cast<float>(v);
        }
        if (!values_.emplace(n.outputs[i], std::move(results[i])).second)
          refuse(n, "a result's name comes twice");
      }
    }
    return std::move(values_);
  }

 private:
  const OnnxTensor& in(const OnnxNode& n, std::size_t i) const {
    const auto it = values_.find(n.inputs.at(i));
    if (it == values_.end()) refuse(n, "uses " + n.inputs[i] + " before it is there");
    return it->second;
  }
  static const OnnxAttribute& attribute(const OnnxNode& n, const std::string& name) {
    const auto it = n.attributes.find(name);
    if (it == n.attributes.end()) refuse(n, "no attribute " + name);
    return it->second;
  }
  double rounded(double v) const { return rounds_ ? static_cast<float>(v) : v; }

  std::vector<OnnxTensor> compute(const OnnxNode& n);
  OnnxTensor unary(const OnnxTensor& x, const std::function<double(double)>& f) const;
  OnnxTensor binary(const OnnxNode& n, const std::function<double(double, double)>& f, int type = 0) const;
  OnnxTensor reshape(const OnnxNode& n) const;
  OnnxTensor transpose(const OnnxNode& n) const;
  OnnxTensor slice(const OnnxNode& n) const;
  OnnxTensor pad(const OnnxNode& n) const;
  OnnxTensor gather(const OnnxNode& n) const;
  OnnxTensor concat(const OnnxNode& n) const;
  std::vector<OnnxTensor> split(const OnnxNode& n) const;
  OnnxTensor reduce(const OnnxNode& n, Int axis, double start,
                    const std::function<double(double, double)>& f) const;
  OnnxTensor conv(const OnnxNode& n) const;
  OnnxTensor gemm(const OnnxNode& n) const;
  OnnxTensor matmul(const OnnxNode& n) const;
  OnnxTensor layer_norm(const OnnxNode& n) const;
  OnnxTensor softmax(const OnnxNode& n) const;
  OnnxTensor argmax(const OnnxNode& n) const;
  OnnxTensor resize(const OnnxNode& n) const;
  OnnxTensor dequantize(const OnnxNode& n) const;
  OnnxTensor cast(const OnnxNode& n) const;

  const OnnxModel& model_;
  std::map<std::string, OnnxTensor> values_;
  bool rounds_;
};

OnnxTensor Interpreter::unary(const OnnxTensor& x, const std::function<double(double)>& f) const {
  OnnxTensor y = x;
  for (double& v : y.data) v = f(v);
  return y;
}

OnnxTensor Interpreter::binary(const OnnxNode& n, const std::function<double(double, double)>& f,
                               int type) const {
  const OnnxTensor &a = in(n, 0), &b = in(n, 1);
  if (a.type != b.type) refuse(n, "operands of two types");
  const Broadcast w(a.shape, b.shape);
  OnnxTensor y = filled(type == 0 ? a.type : type, w.shape);
  Ints at(w.shape.size());
  Int ia = 0, ib = 0;
  for (double& v : y.data) {
    v = f(a.data[z(ia)], b.data[z(ib)]);
    if (y.type == kI32 && std::abs(v) > 2147483647.0) refuse(n, "overflows int32");
    for (std::size_t d = at.size(); d-- > 0;) {
      ia += w.step_a[d];
      ib += w.step_b[d];
      if (++at[d] < w.shape[d]) break;
      ia -= w.step_a[d] * w.shape[d];
      ib -= w.step_b[d] * w.shape[d];
      at[d] = 0;
    }
  }
  return y;
}

OnnxTensor Interpreter::reshape(const OnnxNode& n) const {
  OnnxTensor y = in(n, 0);
  Ints shape = ints_of(in(n, 1));
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] == 0) shape[i] = y.shape.at(i);
  const Int known =
      std::accumulate(shape.begin(), shape.end(), Int{1}, [](Int p, Int d) { return d < 0 ? p : p * d; });
  for (Int& d : shape)
    if (d < 0) d = static_cast<Int>(y.data.size()) / known;
  if (product(shape) != static_cast<Int>(y.data.size())) refuse(n, "does not fit");
  y.shape = shape;
  return y;
}

OnnxTensor Interpreter::transpose(const OnnxNode& n) const {
  const OnnxTensor& x = in(n, 0);
  const Ints& order = attribute(n, "perm").integers;
  Ints step(x.shape.size()), shape;
  for (std::size_t i = 0; i < step.size(); ++i) step[i] = product(x.shape, i + 1);
  for (const Int o : order) shape.push_back(x.shape.at(z(o)));
  OnnxTensor y = filled(x.type, shape);
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    Int rest = static_cast<Int>(i), from = 0;
    for (std::size_t d = shape.size(); d-- > 0; rest /= shape[d]) from += rest % shape[d] * step[z(order[d])];
    y.data[i] = x.data[z(from)];
  }
  return y;
}

// [outer, n, inner] around an axis.
struct Around {
  Int outer, n, inner;
  Around(const Ints& shape, Int axis)
      : outer(product(shape, 0, z(axis))), n(shape.at(z(axis))), inner(product(shape, z(axis) + 1)) {}
};

OnnxTensor Interpreter::slice(const OnnxNode& n) const {
  OnnxTensor x = in(n, 0);
  const Ints starts = ints_of(in(n, 1)), ends = ints_of(in(n, 2)), axes = ints_of(in(n, 3));
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const Around a(x.shape, axes[k]);
    Ints shape = x.shape;
    shape[z(axes[k])] = ends[k] - starts[k];
    OnnxTensor y = filled(x.type, shape);
    for (Int o = 0; o < a.outer; ++o)
      std::copy_n(x.data.begin() + (o * a.n + starts[k]) * a.inner, (ends[k] - starts[k]) * a.inner,
                  y.data.begin() + o * (ends[k] - starts[k]) * a.inner);
    x = std::move(y);
  }
  return x;
}

OnnxTensor Interpreter::pad(const OnnxNode& n) const {
  const OnnxTensor& x = in(n, 0);
  const Ints pads = ints_of(in(n, 1));
  const std::size_t rank = x.shape.size();
  Ints shape = x.shape;
  for (std::size_t d = 0; d < rank; ++d) shape[d] += pads[d] + pads[rank + d];
  OnnxTensor y = filled(x.type, shape);
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    Int rest = static_cast<Int>(i), to = 0, step = 1;
    for (std::size_t d = rank; d-- > 0; rest /= x.shape[d], step *= shape[d])
      to += (rest % x.shape[d] + pads[d]) * step;
    y.data[z(to)] = x.data[i];
  }
  return y;
}

OnnxTensor Interpreter::gather(const OnnxNode& n) const {
  const OnnxTensor &x = in(n, 0), &index = in(n, 1);
  if (attribute(n, "axis").integer != 0) refuse(n, "only along the first axis");
  Ints shape = index.shape;
  shape.insert(shape.end(), x.shape.begin() + 1, x.shape.end());
  OnnxTensor y{x.type, shape, {}};
  const Int run = product(x.shape, 1);
  for (const Int i : ints_of(index)) {
    if (i < 0 || i >= x.shape[0]) refuse(n, "an index out of range");
    y.data.insert(y.data.end(), x.data.begin() + i * run, x.data.begin() + (i + 1) * run);
  }
  return y;
}

OnnxTensor Interpreter::concat(const OnnxNode& n) const {
  const Int axis = attribute(n, "axis").integer;
  Ints shape = in(n, 0).shape;
  shape[z(axis)] = 0;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) shape[z(axis)] += in(n, i).shape.at(z(axis));
  OnnxTensor y{in(n, 0).type, shape, {}};
  for (Int o = 0; o < Around(shape, axis).outer; ++o)
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      const Around a(in(n, i).shape, axis);
      const auto from = in(n, i).data.begin() + o * a.n * a.inner;
      y.data.insert(y.data.end(), from, from + a.n * a.inner);
    }
  return y;
}

std::vector<OnnxTensor> Interpreter::split(const OnnxNode& n) const {
  const OnnxTensor& x = in(n, 0);
  const Int axis = attribute(n, "axis").integer;
  const Around a(x.shape, axis);
  std::vector<OnnxTensor> out;
  Int first = 0;
  for (const Int size : ints_of(in(n, 1))) {
    Ints shape = x.shape;
    shape[z(axis)] = size;
    OnnxTensor y{x.type, shape, {}};
    for (Int o = 0; o < a.outer; ++o) {
      const auto from = x.data.begin() + (o * a.n + first) * a.inner;
      y.data.insert(y.data.end(), from, from + size * a.inner);
    }
    out.push_back(std::move(y));
    first += size;
  }
  if (first != a.n) refuse(n, "the parts are not the whole");
  return out;
}

OnnxTensor Interpreter::reduce(const OnnxNode& n, Int axis, double start,
                               const std::function<double(double, double)>& f) const {
  const OnnxTensor& x = in(n, 0);
  const Around a(x.shape, axis);
  Ints shape = x.shape;
  shape[z(axis)] = 1;
  OnnxTensor y = filled(x.type, shape, start);
  for (Int o = 0; o < a.outer; ++o)
    for (Int k = 0; k < a.n; ++k)
      for (Int i = 0; i < a.inner; ++i) {
        double& v = y.data[z(o * a.inner + i)];
        v = f(v, x.data[z((o * a.n + k) * a.inner + i)]);
      }
  if (attribute(n, "keepdims").integer == 0) y.shape.erase(y.shape.begin() + axis);
  return y;
}

OnnxTensor Interpreter::conv(const OnnxNode& n) const {
  const OnnxTensor &x = in(n, 0), &w = in(n, 1), &bias = in(n, 2);
  const Int kh = w.shape[2], kw = w.shape[3], stride = attribute(n, "strides").integers[0],
            dilation = attribute(n, "dilations").integers[0];
  const Ints& pads = attribute(n, "pads").integers;
  if (attribute(n, "kernel_shape").integers != Ints{kh, kw} || w.shape[1] != x.shape[1])
    refuse(n, "kernel shape");
  const Int h = x.shape[2], wide = x.shape[3], channels = x.shape[1];
  const Int out_h = (h + pads[0] + pads[2] - dilation * (kh - 1) - 1) / stride + 1;
  const Int out_w = (wide + pads[1] + pads[3] - dilation * (kw - 1) - 1) / stride + 1;
  OnnxTensor y = filled(x.type, {x.shape[0], w.shape[0], out_h, out_w});
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    const Int at = static_cast<Int>(i), ox = at % out_w, oy = at / out_w % out_h,
              o = at / out_w / out_h % w.shape[0], b = at / out_w / out_h / w.shape[0];
    double sum = bias.data[z(o)];
    for (Int c = 0; c < channels; ++c)
      for (Int ky = 0; ky < kh; ++ky)
        for (Int kx = 0; kx < kw; ++kx) {
          const Int iy = oy * stride - pads[0] + ky * dilation, ix = ox * stride - pads[1] + kx * dilation;
          if (iy < 0 || iy >= h || ix < 0 || ix >= wide) continue;
          sum += x.data[z(((b * channels + c) * h + iy) * wide + ix)] *
                 w.data[z(((o * channels + c) * kh + ky) * kw + kx)];
        }
    y.data[i] = sum;
  }
  return y;
}

OnnxTensor Interpreter::gemm(const OnnxNode& n) const {
  const OnnxTensor &x = in(n, 0), &w = in(n, 1);
  if (attribute(n, "transB").integer != 1 || x.shape.size() != 2 || x.shape[1] != w.shape[1])
    refuse(n, "shapes");
  const Int rows = x.shape[0], inner = x.shape[1], columns = w.shape[0];
  OnnxTensor y = filled(x.type, {rows, columns});
  for (Int r = 0; r < rows; ++r)
    for (Int c = 0; c < columns; ++c) {
      double sum = n.inputs.size() > 2 ? in(n, 2).data[z(c)] : 0.0;
      for (Int k = 0; k < inner; ++k) sum += x.data[z(r * inner + k)] * w.data[z(c * inner + k)];
      y.data[z(r * columns + c)] = sum;
    }
  return y;
}

OnnxTensor Interpreter::matmul(const OnnxNode& n) const {
  const OnnxTensor &a = in(n, 0), &b = in(n, 1);
  const std::size_t rank = a.shape.size();
  const Int m = a.shape[rank - 2], inner = a.shape[rank - 1], columns = b.shape[rank - 1],
            batch = product(a.shape, 0, rank - 2);
  if (b.shape.size() != rank || b.shape[rank - 2] != inner || product(b.shape, 0, rank - 2) != batch)
    refuse(n, "shapes");
  Ints shape = a.shape;
  shape[rank - 1] = columns;
  OnnxTensor y = filled(a.type, shape);
  for (Int i = 0; i < batch * m; ++i)
    for (Int k = 0; k < inner; ++k)
      for (Int c = 0; c < columns; ++c) {
        double& v = y.data[z(i * columns + c)];
        v = rounded(v + a.data[z(i * inner + k)] * b.data[z((i / m * inner + k) * columns + c)]);
      }
  return y;
}

OnnxTensor Interpreter::layer_norm(const OnnxNode& n) const {
  OnnxTensor y = in(n, 0);
  const OnnxTensor &weight = in(n, 1), &bias = in(n, 2);
  if (attribute(n, "axis").integer != -1) refuse(n, "only along the last axis");
  const std::size_t c = z(y.shape.back());
  for (std::size_t at = 0; at < y.data.size(); at += c) {
    double mean = 0.0, variance = 0.0;
    for (std::size_t i = 0; i < c; ++i) mean += y.data[at + i] / static_cast<double>(c);
    for (std::size_t i = 0; i < c; ++i)
      variance += (y.data[at + i] - mean) * (y.data[at + i] - mean) / static_cast<double>(c);
    const double deviation = std::sqrt(variance + attribute(n, "epsilon").real);
    for (std::size_t i = 0; i < c; ++i)
      y.data[at + i] = (y.data[at + i] - mean) / deviation * weight.data[i] + bias.data[i];
  }
  return y;
}

OnnxTensor Interpreter::softmax(const OnnxNode& n) const {
  OnnxTensor y = in(n, 0);
  const Int axis = attribute(n, "axis").integer;
  const Around a(y.shape, axis < 0 ? axis + static_cast<Int>(y.shape.size()) : axis);
  for (Int o = 0; o < a.outer; ++o)
    for (Int i = 0; i < a.inner; ++i) {
      const auto at = [&](Int k) -> double& { return y.data[z((o * a.n + k) * a.inner + i)]; };
      double largest = at(0), sum = 0.0;
      for (Int k = 1; k < a.n; ++k) largest = std::max(largest, at(k));
      for (Int k = 0; k < a.n; ++k) sum += at(k) = std::exp(at(k) - largest);
      for (Int k = 0; k < a.n; ++k) at(k) /= sum;
    }
  return y;
}

OnnxTensor Interpreter::argmax(const OnnxNode& n) const {
  const OnnxTensor& x = in(n, 0);
  if (attribute(n, "axis").integer != 0) refuse(n, "only along the first axis");
  Ints shape{x.shape.begin() + 1, x.shape.end()};
  if (attribute(n, "keepdims").integer != 0) shape.insert(shape.begin(), 1);
  OnnxTensor y = filled(kI64, shape);
  for (std::size_t i = 0; i < y.data.size(); ++i)
    for (Int k = 1; k < x.shape[0]; ++k)
      if (x.data[z(k) * y.data.size() + i] > x.data[z(static_cast<Int>(y.data[i])) * y.data.size() + i])
        y.data[i] = static_cast<double>(k);
  return y;
}

OnnxTensor Interpreter::resize(const OnnxNode& n) const {
  const OnnxTensor& x = in(n, 0);
  const std::string places = attribute(n, "coordinate_transformation_mode").text;
  const bool aligned = places == "align_corners";
  if (!aligned && places != "half_pixel") refuse(n, "neither between corners nor between centres");
  if (attribute(n, "mode").text != "linear") refuse(n, "only linear");
  const Int h = x.shape[2], w = x.shape[3];
  Ints shape = x.shape;
  if (n.inputs.size() == 4) {
    shape = ints_of(in(n, 3));
  } else {
    for (std::size_t d = 0; d < 4; ++d)
      shape[d] = static_cast<Int>(static_cast<double>(shape[d]) * in(n, 2).data[d]);
  }
  const auto source = [&](Int out, Int from, Int to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double at =
        aligned ? (to == 1 ? 0.0 : static_cast<double>(out * (from - 1)) / static_cast<double>(to - 1))
                : (static_cast<double>(out) + 0.5) * scale - 0.5;
    return std::clamp(at, 0.0, static_cast<double>(from - 1));
  };
  OnnxTensor y = filled(x.type, shape);
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    const Int at = static_cast<Int>(i), plane = at / shape[2] / shape[3];
    const double sy = source(at / shape[3] % shape[2], h, shape[2]), sx = source(at % shape[3], w, shape[3]);
    const auto y0 = static_cast<Int>(sy), x0 = static_cast<Int>(sx);
    const Int y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
    const double fy = sy - static_cast<double>(y0), fx = sx - static_cast<double>(x0);
    const auto p = [&](Int yy, Int xx) { return x.data[z((plane * h + yy) * w + xx)]; };
    y.data[i] =
        (p(y0, x0) * (1 - fx) + p(y0, x1) * fx) * (1 - fy) + (p(y1, x0) * (1 - fx) + p(y1, x1) * fx) * fy;
  }
  return y;
}

OnnxTensor Interpreter::dequantize(const OnnxNode& n) const {
  const OnnxTensor &x = in(n, 0), &scale = in(n, 1);
  if (attribute(n, "axis").integer != 0 || x.type != 3) refuse(n, "only int8 by its first axis");
  OnnxTensor y = x;
  y.type = scale.type;
  const std::size_t row = y.data.size() / scale.data.size();
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] *= scale.data[i / row];
  return y;
}

OnnxTensor Interpreter::cast(const OnnxNode& n) const {
  OnnxTensor y = in(n, 0);
  y.type = static_cast<int>(attribute(n, "to").integer);
  if (y.type == kI32 || y.type == kI64 || y.type == kU8)
    for (double& v : y.data) v = std::trunc(v);
  return y;
}

std::vector<OnnxTensor> Interpreter::compute(const OnnxNode& n) {
  const std::map<std::string, std::function<double(double)>> unaries{
      {"Abs", [](double v) { return std::abs(v); }},
      {"Floor", [](double v) { return std::floor(v); }},
      {"Ceil", [](double v) { return std::ceil(v); }},
      {"Erf", [](double v) { return std::erf(v); }},
      {"Relu", [](double v) { return std::max(v, 0.0); }},
      {"Sigmoid", [](double v) { return 1.0 / (1.0 + std::exp(-v)); }}};
  const std::map<std::string, std::function<double(double, double)>> binaries{
      {"Add", [](double a, double b) { return a + b; }},
      {"Sub", [](double a, double b) { return a - b; }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"Max", [](double a, double b) { return std::max(a, b); }},
      {"Min", [](double a, double b) { return std::min(a, b); }}};
  const std::map<std::string, std::function<double(double, double)>> comparisons{
      {"Equal", [](double a, double b) { return a == b ? 1.0 : 0.0; }},
      {"Less", [](double a, double b) { return a < b ? 1.0 : 0.0; }},
      {"GreaterOrEqual", [](double a, double b) { return a >= b ? 1.0 : 0.0; }}};
  using Member = OnnxTensor (Interpreter::*)(const OnnxNode&) const;
  const std::map<std::string, Member> others{
      {"Reshape", &Interpreter::reshape}, {"Transpose", &Interpreter::transpose},
      {"Slice", &Interpreter::slice},     {"Pad", &Interpreter::pad},
      {"Gather", &Interpreter::gather},   {"Concat", &Interpreter::concat},
      {"Conv", &Interpreter::conv},       {"Gemm", &Interpreter::gemm},
      {"MatMul", &Interpreter::matmul},   {"LayerNormalization", &Interpreter::layer_norm},
      {"Softmax", &Interpreter::softmax}, {"ArgMax", &Interpreter::argmax},
      {"Resize", &Interpreter::resize},   {"DequantizeLinear", &Interpreter::dequantize},
      {"Cast", &Interpreter::cast}};
  if (const auto it = unaries.find(n.op); it != unaries.end()) return {unary(in(n, 0), it->second)};
  if (const auto it = binaries.find(n.op); it != binaries.end()) return {binary(n, it->second)};
  if (const auto it = comparisons.find(n.op); it != comparisons.end()) return {binary(n, it->second, kBool)};
  if (const auto it = others.find(n.op); it != others.end()) return {(this->*it->second)(n)};
  if (n.op == "Div") {
    if (in(n, 0).type == kI32 || in(n, 0).type == kI64)
      refuse(n, "whole numbers, which runtimes divide inexactly");
    return {binary(n, [](double a, double b) { return a / b; })};
  }
  if (n.op == "Split") return split(n);
  if (n.op == "ReduceMax") {
    const double least = -std::numeric_limits<double>::infinity();
    return {reduce(n, attribute(n, "axes").integers.at(0), least,
                   [](double a, double b) { return std::max(a, b); })};
  }
  if (n.op == "ReduceSum") return {reduce(n, ints_of(in(n, 1)).at(0), 0.0, std::plus<>())};
  if (n.op == "Shape") {
    const Ints& shape = in(n, 0).shape;
    return {{kI64, {static_cast<Int>(shape.size())}, {shape.begin(), shape.end()}}};
  }
  if (n.op == "Squeeze" || n.op == "Unsqueeze") {
    OnnxTensor y = in(n, 0);
    const Int axis = ints_of(in(n, 1)).at(0);
    if (n.op == "Unsqueeze")
      y.shape.insert(y.shape.begin() + axis, 1);
    else if (y.shape.at(z(axis)) == 1)
      y.shape.erase(y.shape.begin() + axis);
    else
      refuse(n, "a side that is not 1");
    return {y};
  }
  if (n.op == "Range") {
    OnnxTensor y{in(n, 0).type, {}, {}};
    for (double v = in(n, 0).data.at(0); v < in(n, 1).data.at(0); v += in(n, 2).data.at(0))
      y.data.push_back(v);
    y.shape = {static_cast<Int>(y.data.size())};
    return {y};
  }
  refuse(n, "an operator that is not known here");
}

}  // namespace

std::map<std::string, OnnxTensor> run_onnx(const OnnxModel& model,
                                           const std::map<std::string, OnnxTensor>& inputs,
                                           Arithmetic arithmetic) {
  return Interpreter(model, inputs, arithmetic).run();
}

}  // namespace sam2unet::test
