// What `--precision auto` takes, for processors that are not here.
#include "api/precision_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

using ops::lowp::LowPrecision;
using ops::lowp::Way;
using testing::HasSubstr;

Processor processor(Way bf16, Way int8) {
  return {{LowPrecision::bf16, bf16, int8}, {LowPrecision::int8, bf16, int8}};
}
const Processor kZen4 = processor(Way::dot_bf16, Way::dot_int8);
const Processor kSapphireRapids = processor(Way::amx_bf16, Way::amx_int8);
const Processor kIceLake = processor(Way::widened, Way::dot_int8);
const Processor kOld = processor(Way::widened, Way::widened);

model::StoredGates gates(double bf16, double int8, bool rounds_bf16 = true) {
  model::PrecisionGates g;
  g.pictures = 10;
  g.bf16 = {bf16, rounds_bf16};
  g.int8 = {int8, rounds_bf16};
  g.kept = {"up1"};
  return {g, {}};
}

PrecisionChoice automatic(const model::StoredGates& stored, const Processor& p) {
  return choose_precision(DeviceKind::cpu, Precision::automatic, stored, p);
}

TEST(PrecisionChoice, TheFastestWhoseGatePassed) {
  EXPECT_EQ(automatic(gates(0.0001, 0.0014), kZen4).precision, Precision::int8);
  EXPECT_EQ(automatic(gates(0.0001, 0.0014), kZen4).kept, std::vector<std::string>{"up1"});
  EXPECT_EQ(automatic(gates(0.0001, 0.0016), kZen4).precision, Precision::bf16);
  EXPECT_TRUE(automatic(gates(0.0001, 0.0016), kZen4).kept.empty());
  EXPECT_EQ(automatic(gates(0.0006, 0.0016), kZen4).precision, Precision::f32);
  EXPECT_EQ(automatic(gates(0.0001, 0.0014), kSapphireRapids).precision, Precision::int8);
  EXPECT_EQ(automatic(gates(0.0001, 0.0016), kSapphireRapids).precision, Precision::bf16);
  EXPECT_EQ(automatic(gates(0.0001, 0.0014), kIceLake).precision, Precision::int8);
  EXPECT_EQ(automatic(gates(0.0001, 0.0016), kIceLake).precision, Precision::f32);
  EXPECT_EQ(automatic(gates(0.0001, 0.0001), kOld).precision, Precision::f32);
  auto none_of_int8 = gates(0.0001, 0.0);
  none_of_int8.gates->int8.reset();
  EXPECT_EQ(automatic(none_of_int8, kZen4).precision, Precision::bf16);
}

TEST(PrecisionChoice, WhatWasMeasuredMustRoundAsMuch) {
  EXPECT_EQ(automatic(gates(0.0001, 0.0001, false), kZen4).precision, Precision::f32);
  EXPECT_EQ(automatic(gates(0.0001, 0.0001, false), kSapphireRapids).precision, Precision::f32);
  EXPECT_EQ(automatic(gates(0.0001, 0.0001, false), kIceLake).precision, Precision::int8);
}

TEST(PrecisionChoice, SaysWhy) {
  EXPECT_THAT(automatic({}, kZen4).why, HasSubstr("converting them with pictures"));
  EXPECT_THAT(automatic(gates(0.0001, 0.0014), kZen4).why,
              HasSubstr("int8 changes maps by 0.00140, no more than"));
  EXPECT_THAT(
      automatic(gates(0.0006, 0.0016), kZen4).why,
      HasSubstr("int8 changes maps by 0.00160, more than 0.0015; bf16 changes maps by 0.00060, more than"));
  EXPECT_THAT(automatic(gates(0.0, 0.0), kOld).why, HasSubstr("int8 is no faster on this processor"));
  EXPECT_THAT(automatic(gates(0.0, 0.0, false), kZen4).why, HasSubstr("rounds less"));
}

// The limits themselves are allowed: 0.0015 of int8, 0.0005 of bf16.
TEST(PrecisionChoice, AChangeOfTheLimitIsLittleEnough) {
  EXPECT_EQ(automatic(gates(1.0, 0.0015), kZen4).precision, Precision::int8);
  EXPECT_EQ(automatic(gates(0.0005, 0.0015001), kZen4).precision, Precision::bf16);
  EXPECT_EQ(automatic(gates(0.0005001, 0.0015001), kZen4).precision, Precision::f32);
}

TEST(PrecisionChoice, SaysOfEachInTurnWhy) {
  auto g = gates(0.0001, 0.0);
  g.gates->int8.reset();
  EXPECT_EQ(automatic(g, kZen4).why,
            "int8 was not measured of these weights; bf16 changes maps by 0.00010, no more than 0.0005");
  EXPECT_EQ(automatic(gates(0.0001, 0.0), kZen4).why, "int8 changes maps by 0.00000, no more than 0.0015");
  EXPECT_EQ(automatic(gates(0.1, 0.25), kIceLake).why,
            "int8 changes maps by 0.25000, more than 0.0015; bf16 is no faster on this processor");
}

TEST(PrecisionChoice, NothingButAutomaticFollowsGates) {
  const auto good = gates(0.0, 0.0);
  EXPECT_EQ(automatic({}, kZen4).precision, Precision::f32);
  const auto chosen = [&](DeviceKind device, Precision wanted) {
    const auto c = choose_precision(device, wanted, good, kZen4);
    EXPECT_EQ(c.why, "");
    return c.precision;
  };
  EXPECT_EQ(chosen(DeviceKind::cpu, Precision::standard), Precision::f32);
  EXPECT_EQ(chosen(DeviceKind::cpu, Precision::bf16), Precision::bf16);
  EXPECT_EQ(chosen(DeviceKind::cuda, Precision::automatic), Precision::bf16);
  EXPECT_EQ(chosen(DeviceKind::torch_cpu, Precision::automatic), Precision::f32);
  EXPECT_EQ(choose_precision(DeviceKind::cpu, Precision::int8, good, kOld).kept.size(), 1U);
  EXPECT_THROW(choose_precision(DeviceKind::cpu, Precision::tf32, good), UsageError);
}

}  // namespace
}  // namespace sam2unet::api
