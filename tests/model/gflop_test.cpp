// How much work a network is: multiply-adds counted layer by layer, by hand.
#include "model/gflop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "support/tiny_weights.h"

namespace sam2unet::model {
namespace {

// Of every query with every key, and of their weights with every value, in windows cut by the edge.
double attention(int h, int w, int window, int pool, int dim) {
  double sum = 0.0;
  const int wh = window == 0 ? h : window, ww = window == 0 ? w : window;
  for (int y = 0; y < h; y += wh)
    for (int x = 0; x < w; x += ww) {
      const double keys = static_cast<double>(std::min(wh, h - y)) * std::min(ww, w - x);
      sum += 2 * keys * (keys / (pool * pool)) * dim;
    }
  return sum;
}

// Section by section of the paper's figure, for one picture.
double multiply_adds(const Config& c, int height, int width) {
  int h = height / 4, w = width / 4;
  double sum = 0.0, d = c.decoder_width;
  const auto add = [&](double rows, double columns, double per_pixel) { sum += rows * columns * per_pixel; };
  add(h, w, 7.0 * 7 * 3 * c.embed_dim);
  for (const BlockConfig& b : c.blocks()) {
    const double in = b.dim_in, out = b.dim_out;
    const int pool = b.attention.q_pool;
    add(h, w, 2 * in * c.adapter_width);
    add(h, w, in * 3 * out);
    if (b.dim_in != b.dim_out) add(h, w, in * out);  // the shortcut, before it is pooled
    sum += attention(h, w, b.attention.window, pool, b.dim_out);
    h /= pool;
    w /= pool;
    add(h, w, out * out);          // behind the attention
    add(h, w, 2 * out * 4 * out);  // the MLP
    if (!b.ends_stage) continue;
    if (c.neck == NeckKind::pointwise) {
      add(h, w, out * d);
    } else {
      add(h, w, 5 * out * d);
      for (const int k : {3, 5, 7}) add(h, w, (k + k + 9) * d * d);
      add(h, w, 9 * 4 * d * d);
    }
  }
  for (const int scale : {16, 8, 4}) add(height / scale, width / scale, 9 * (2 * d * d + d * d));
  if (c.calls_up4) add(height / 2, width / 2, 9 * (2 * d * d + d * d));
  const int last = c.calls_up4 ? 2 : 4;
  add(height / last, width / last, d * c.out_channels);
  return sum;
}

TEST(Gflop, IsTwiceTheMultiplyAddsOfEveryLayer) {
  Config fork = test::tiny_config();
  fork.out_channels = 5;
  fork.adapter_width = 7;
  fork.decoder_width = 24;
  fork.neck = NeckKind::pointwise;
  fork.calls_up4 = true;
  Config global = test::nano_config();
  global.out_channels = 2;
  for (const Config& c : {test::tiny_config(), test::nano_config(), fork, global, Config::of_variant("b+")})
    for (const auto& [h, w] : {std::pair{64, 160}, {160, 96}, {352, 352}})
      for (const int batch : {1, 3}) {
        const double want = 2e-9 * batch * multiply_adds(c, h, w);
        EXPECT_NEAR(network_gflop(c, {batch, h, w, 3}), want, 1e-9 * want) << c.to_json() << h << "x" << w;
      }
}

// docs/performance.md.
TEST(Gflop, OfThePublishedNetworksAtTheOfficialSize) {
  EXPECT_NEAR(network_gflop(Config::of_variant("t"), {1, 352, 352, 3}), 36.1, 0.05);
  EXPECT_NEAR(network_gflop(Config::of_variant("l"), {1, 352, 352, 3}), 212.7, 0.05);
}

}  // namespace
}  // namespace sam2unet::model
