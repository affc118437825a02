// `bench` and --precision as a user runs them. Nothing here decides by the clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sam2unet/image.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

class Bench : public testing::Test {
 protected:
  Bench() { write_tiny_weights(dir_ / "tiny.safetensors"); }
  Finished sam2unet(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {}) {
    RunOptions options;
    options.folder = dir_.path();
    options.environment = environment;
    return run(program("sam2unet"), arguments, options);
  }
  TempDir dir_;
};

TEST_F(Bench, VariantsMayBeWrittenInCapitals) {
  const auto done = sam2unet({"bench", "--variant", "T", "--size", "32", "-n", "1", "--json", "-"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(nlohmann::json::parse(done.out).at("variant"), "t");
}

TEST_F(Bench, InstructionsAreRestrictedAsThoseOfOneDnn) {
  const auto computes = [&](const std::string& precision, const std::string& isa) {
    const auto done = sam2unet({"bench", "--weights", "tiny.safetensors", "--size", "64", "-n", "1",
                                "--precision", precision, "--json", "-"},
                               {"ONEDNN_MAX_CPU_ISA=" + isa});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    return nlohmann::json::parse(done.out).at("arithmetic").get<std::string>();
  };
  EXPECT_THAT(computes("int8", "AVX2"), HasSubstr("without instructions"));
  EXPECT_THAT(computes("bf16", "AVX2"), HasSubstr("no faster instruction"));
  for (const char* precision : {"bf16", "int8"})
    EXPECT_THAT(computes(precision, "AVX512_CORE_BF16"), testing::Not(HasSubstr("AMX")));
  EXPECT_THAT(computes("bf16", "AVX512_CORE_VNNI"), HasSubstr("no faster instruction"));
}

TEST_F(Bench, TellsEverythingAsJsonInEachPrecision) {
  for (const std::string precision : {"fp32", "bf16", "int8"}) {
    const auto done = sam2unet({"bench", "--weights", "tiny.safetensors", "--size", "64x96", "--batch", "2",
                                "-n", "3", "-j", "2", "--precision", precision, "--json", "-"});
    ASSERT_EQ(done.exit_code, 0) << done.err;
    const auto j = nlohmann::json::parse(done.out);
    EXPECT_EQ(j.at("precision"), precision == "fp32" ? "f32" : precision);
    EXPECT_EQ(j.at("batch"), 2);
    EXPECT_EQ(j.at("threads"), 2);
    const auto& latency = j.at("latency_ms");
    EXPECT_GT(latency.at("min").get<double>(), 0.0);
    EXPECT_LE(latency.at("min"), latency.at("median"));
    EXPECT_LE(latency.at("median"), latency.at("p90"));
    EXPECT_LE(latency.at("p90"), latency.at("p99"));
    for (const char* key :
         {"images_per_s", "gflop", "peak_gflops", "floor_ms", "ratio_to_floor", "peak_rss_mb"})
      EXPECT_GT(j.at(key).get<double>(), 0.0) << key;
    EXPECT_NEAR(j.at("ratio_to_floor").get<double>(),
                latency.at("min").get<double>() / j.at("floor_ms").get<double>(), 1e-9);
    std::vector<std::string> names;
    double sum = 0.0;
    for (const auto& s : j.at("stages")) {
      names.push_back(s.at("name"));
      sum += s.at("ms").get<double>();
      double inside = 0.0;
      for (const auto& kind : s.at("kinds").items()) inside += kind.value().get<double>();
      EXPECT_LE(inside, s.at("ms").get<double>() * (1 + 1e-9));
    }
    EXPECT_THAT(names, testing::ElementsAre("stage 1", "neck 1", "stage 2", "neck 2", "stage 3", "neck 3",
                                            "stage 4", "neck 4", "up 1", "up 2", "up 3", "head"));
    EXPECT_NEAR(sum, latency.at("min").get<double>(), 1e-6);
  }
}

// From the begin of the first round to the end of the last: no less than one stream's rounds one after the
// other, and no more than the program took at all.
TEST_F(Bench, StreamsAreTimedTogether) {
  const auto begin = std::chrono::steady_clock::now();
  const auto done = sam2unet({"bench", "--weights", "tiny.safetensors", "--size", "32", "--batch", "2", "-n",
                              "3", "-j", "2", "--streams", "2", "--json", "-"});
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto j = nlohmann::json::parse(done.out);
  EXPECT_EQ(j.at("rounds"), 6);
  const double total = 6 * 2 / j.at("images_per_s").get<double>();
  EXPECT_GE(total, 3 * j.at("latency_ms").at("min").get<double>() * 1e-3 * (1 - 1e-9));
  EXPECT_LE(total, took);
}

TEST_F(Bench, WritesAChromeTrace) {
  const auto done = sam2unet(
      {"bench", "--weights", "tiny.safetensors", "--size", "64", "-n", "1", "--profile", "trace.json"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("times the floor"));
  const auto read = run("/bin/cat", {(dir_ / "trace.json").string()}, {});
  const auto events = nlohmann::json::parse(read.out).at("traceEvents");
  ASSERT_GT(events.size(), 20U);
  double before = 0.0;
  for (const auto& e : events) {
    EXPECT_EQ(e.at("ph"), "X");
    EXPECT_GE(e.at("ts").get<double>(), before);  // operations follow each other
    before = e.at("ts").get<double>() + e.at("dur").get<double>() - 1e-3;
  }
}

TEST_F(Bench, WrongUsageIsTold) {
  const std::vector<std::vector<std::string>> wrong{{"--variant", "t", "--weights", "tiny.safetensors"},
                                                    {"--variant", "x"},
                                                    {"--size", "33"},
                                                    {"--batch", "0"},
                                                    {"--rounds", "0"},
                                                    {"--precision", "fp8"},
                                                    {"--precision", "int8", "--device", "torch-cpu"},
                                                    {"--streams", "3", "--threads", "2"},
                                                    {"--streams", "0"}};
  for (auto arguments : wrong) {
    arguments.insert(arguments.begin(), "bench");
    const auto done = sam2unet(arguments);
    EXPECT_EQ(done.exit_code, 2) << arguments[1] << " " << arguments[2] << ": " << done.err;
    EXPECT_EQ(done.out, "");
  }
}

TEST_F(Bench, PredictTakesThePrecisionAndSaysWhatComputes) {
  Image image(40, 30, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 7);
  write_png(dir_ / "a.png", image);
  for (const std::string precision : {"f32", "fp32", "bf16", "int8", "auto"}) {
    const auto done = sam2unet({"predict", "a.png", "-o", "out", "--weights", "tiny.safetensors", "--size",
                                "64", "-v", "--precision", precision});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    const std::string said = precision == "bf16" || precision == "int8" ? precision : "f32";
    EXPECT_THAT(done.err, HasSubstr("computes " + said));
  }
}

}  // namespace
}  // namespace sam2unet::test
