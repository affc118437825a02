// The whole network on two backends: whatever its widths, necks and outputs, the CPU's is the plain one's.
#include <gtest/gtest.h>

#include <ostream>

#include "model/network.h"
#include "ops/backends.h"

namespace sam2unet::ops {
namespace {

struct Case {
  const char* name;
  const char* json;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class Networks : public ::testing::TestWithParam<Case> {};

TEST_P(Networks, AreTheSameOnTheCpuAndPlainly) {
  const auto config = model::Config::from_json(GetParam().json);
  const Extent size{2, 32, 64, 3};
  const auto image = test::plain_input("image", size);
  model::DeterministicWeights source;

  PlainWeights plain_weights(source);
  const auto plain = model::Network<PlainWeights>::make(plain_weights, config);
  PlainOps p;
  const auto want = model::sam2unet(p, plain, image, model::Sides::wanted);

  CpuWeights cpu_weights(source);
  const auto cpu = model::Network<CpuWeights>::make(cpu_weights, config);
  CpuOps o(2);
  const auto got = model::sam2unet(o, cpu, test::to(o, image), model::Sides::wanted);

  const Extent logits{2, 32, 64, config.out_channels};
  EXPECT_EQ(want.out.extent, logits);
  EXPECT_LT(test::relative_error(got.out, want.out), 5e-6);
  EXPECT_LT(test::relative_error(*got.out1, *want.out1), 5e-6);
  EXPECT_LT(test::relative_error(*got.out2, *want.out2), 5e-6);
}

// What is kept for one size (primitives, position embeddings) is not taken for another.
template <class O, class Weights, class... Arguments>
void expect_sizes_apart(Arguments... arguments) {
  const auto config =
      model::Config::from_json(R"({"embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": []})");
  const model::DeterministicWeights source;
  Weights weights(source, arguments...);
  const auto net = model::Network<Weights>::make(weights, config);
  const auto map = [&](O& o, const Extent& size) {
    const auto maps = model::sam2unet(o, net, test::to(o, test::plain_input("image", size)));
    const auto& values = test::plain_values(o, maps.out);
    return std::vector<float>(values.data(), values.data() + values.extent().numel());
  };
  O used(arguments..., 1);
  for (const Extent& size : {Extent{1, 32, 64, 3}, Extent{1, 32, 96, 3}, Extent{1, 64, 96, 3},
                             Extent{1, 96, 32, 3}, Extent{2, 96, 32, 3}, Extent{1, 32, 64, 3}}) {
    O fresh(arguments..., 1);
    EXPECT_EQ(map(used, size), map(fresh, size)) << size.h << " x " << size.w;
  }
}

TEST(NetworkSizes, AreKeptApartInASession) {
  expect_sizes_apart<CpuOps, CpuWeights>();
  for (const auto precision : {lowp::LowPrecision::bf16, lowp::LowPrecision::int8})
    expect_sizes_apart<lowp::LowOps, lowp::LowWeights>(lowp::best_numerics(precision));
}

#define TINY R"("embed_dim": 16, "stages": [1, 1, 1, 1], "global_att_blocks": [])"
INSTANTIATE_TEST_SUITE_P(
    , Networks,
    ::testing::Values(Case{"original", "{" TINY "}"}, Case{"classes", "{" TINY R"(, "out_channels": 5})"},
                      Case{"widths", "{" TINY R"(, "adapter_width": 7, "decoder_width": 24})"},
                      Case{"pointwise_neck", "{" TINY R"(, "neck": "1x1"})"},
                      Case{"up4", "{" TINY R"(, "up4": true, "out_channels": 3})"}),
    [](const auto& tested) { return std::string(tested.param.name); });
#undef TINY

}  // namespace
}  // namespace sam2unet::ops
