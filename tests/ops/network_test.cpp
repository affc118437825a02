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
