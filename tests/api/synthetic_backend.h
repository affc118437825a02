// Networks whose results are known: each logit is a function of the input's pixels around it.
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "api/backend.h"

namespace sam2unet::test {

/// logit k = factors[k] . (red, green, blue, 1), of the mean of the pixels within `radius`, black outside.
class SyntheticBackend final : public api::Backend {
 public:
  explicit SyntheticBackend(std::vector<std::array<float, 4>> factors, int radius = 0)
      : factors_(std::move(factors)), radius_(radius) {}

  void run(const api::BackendInput& input, const api::UseLogits& use,
           const api::TraceValues&) const override {
    const ops::Extent& e = input.extent();
    const auto channels = static_cast<std::int64_t>(factors_.size());
    std::vector<float> out;
    for (const ImageView& picture : input.pictures())
      for (int y = 0; y < picture.height; ++y)
        for (int x = 0; x < picture.width; ++x) {
          const std::array<float, 3> mean = mean_around(picture, x, y);
          for (const auto& f : factors_)
            out.push_back(f[0] * mean[0] + f[1] * mean[1] + f[2] * mean[2] + f[3]);
        }
    inputs.emplace_back(picture_size(input));
    pictures += static_cast<int>(e.b);
    use({{e.b, e.h, e.w, channels}, out});
  }
  api::BackendInfo info() const override { return {"synthetic", Precision::f32, 1}; }

  // What it saw; tests use one thread.
  mutable std::vector<std::pair<int, int>> inputs;
  mutable int pictures = 0;

 private:
  static std::pair<int, int> picture_size(const api::BackendInput& input) {
    return {input.pictures().front().width, input.pictures().front().height};
  }
  std::array<float, 3> mean_around(const ImageView& p, int x, int y) const {
    std::array<float, 3> sum{};
    for (int j = y - radius_; j <= y + radius_; ++j)
      for (int i = x - radius_; i <= x + radius_; ++i) {
        if (i < 0 || j < 0 || i >= p.width || j >= p.height) continue;
        for (std::size_t c = 0; c < 3; ++c) sum[c] += p.row(j)[i * 3 + static_cast<int>(c)];
      }
    const auto n = static_cast<float>((2 * radius_ + 1) * (2 * radius_ + 1));
    return {sum[0] / n, sum[1] / n, sum[2] / n};
  }

  std::vector<std::array<float, 4>> factors_;
  int radius_;
};

}  // namespace sam2unet::test
