// Whether `predict` and `eval` keep a device busy, on a stand-in for the CUDA backend that tells of its
// passes. Nothing here decides by how long something took.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/alone_fixture.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

struct Pass {
  int batch = 0, in_flight = 0, width = 0;
  bool bytes = false;
};

class Throughput : public AloneTest {
 protected:
  static constexpr int kBatch = 4;

  void put_pictures(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string name = std::to_string(100 + i) + ".png";
      put_picture("photos/" + name, 20 + i, 30);
      Image truth(20 + i, 30, 1);
      std::fill_n(truth.pixels.begin(), truth.pixels.size() / 2, std::uint8_t{255});
      std::filesystem::create_directories(dir / "truths");
      write_png(dir / "truths" / name, truth);
    }
  }
  /// On the stand-in, a pass of which takes as long as decoding some pictures here.
  Finished on_device(std::vector<std::string> arguments, int in_flight = 2, int pass_ms = 100) {
    const std::vector<std::string> common{"--weights", "tiny.safetensors", "--size",
                                          "64",        "--device",         "cuda"};
    arguments.insert(arguments.end(), common.begin(), common.end());
    return alone(arguments, {"SAM2UNET_FAKE_LOG=" + (dir / "passes.jsonl").string(),
                             "SAM2UNET_FAKE_BATCH=" + std::to_string(kBatch),
                             "SAM2UNET_FAKE_IN_FLIGHT=" + std::to_string(in_flight),
                             "SAM2UNET_FAKE_MS=" + std::to_string(pass_ms)});
  }
  std::vector<Pass> passes() {
    std::vector<Pass> out;
    std::istringstream lines(get("passes.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto j = nlohmann::json::parse(line);
      out.push_back({j.at("batch"), j.at("in_flight"), j.at("width"), j.at("bytes")});
    }
    return out;
  }
  static int most_in_flight(const std::vector<Pass>& all) {
    int most = 0;
    for (const Pass& p : all) most = std::max(most, p.in_flight);
    return most;
  }
};

TEST_F(Throughput, PredictGivesFullBatchesAndTwoAtATime) {
  install_cuda();
  put_pictures(26);
  const auto f = on_device({"predict", "photos", "-o", "out"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  EXPECT_EQ(list("out").size(), 26U);
  const auto all = passes();
  ASSERT_EQ(all.size(), 7U);  // six full ones and the rest
  std::vector<int> batches;
  for (const Pass& p : all) {
    batches.push_back(p.batch);
    EXPECT_EQ(p.width, 64);
    EXPECT_TRUE(p.bytes);  // 8-bit pictures travel
  }
  std::sort(batches.begin(), batches.end());
  EXPECT_THAT(batches, testing::ElementsAre(2, 4, 4, 4, 4, 4, 4));
  EXPECT_EQ(most_in_flight(all), 2);
}

TEST_F(Throughput, MoreAtATimeWhereTheDeviceSaysSo) {
  install_cuda();
  put_pictures(24);
  ASSERT_EQ(on_device({"predict", "photos", "-o", "out"}, 3, 300).exit_code, 0);
  EXPECT_EQ(most_in_flight(passes()), 3);
}

TEST_F(Throughput, OneAtATimeWhereTheDeviceSaysSo) {
  install_cuda();
  put_pictures(12);
  ASSERT_EQ(on_device({"predict", "photos", "-o", "out", "--batch", "3"}, 1).exit_code, 0);
  const auto all = passes();
  EXPECT_EQ(all.size(), 4U);
  for (const Pass& p : all) EXPECT_EQ(p.batch, 3);
  EXPECT_EQ(most_in_flight(all), 1);
}

TEST_F(Throughput, APictureThatFailsHoldsNobodyUp) {
  install_cuda();
  put_pictures(9);
  put("photos/100.png", "no picture");
  const auto f = on_device({"predict", "photos", "-o", "out"});
  EXPECT_EQ(f.exit_code, 1);
  EXPECT_THAT(f.err, HasSubstr("100.png"));
  EXPECT_EQ(list("out").size(), 8U);
  EXPECT_EQ(passes().size(), 2U);
}

TEST_F(Throughput, EvalGivesBatchesAndTwoAtATime) {
  install_cuda();
  put_pictures(24);
  const auto f = on_device({"eval", "--images", "photos", "--gt", "truths", "--bootstrap", "0", "-j", "2"});
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const auto all = passes();
  int pictures = 0, largest = 0;
  for (const Pass& p : all) {
    pictures += p.batch;
    largest = std::max(largest, p.batch);
  }
  EXPECT_EQ(pictures, 24);
  EXPECT_EQ(largest, kBatch);
  EXPECT_EQ(most_in_flight(all), 2);
}

TEST_F(Throughput, TheNumberOfPassesAtATimeChangesNoResult) {
  install_cuda();
  put_pictures(10);
  ASSERT_EQ(on_device({"predict", "photos", "-o", "two", "--save", "map,mask,json"}, 2, 0).exit_code, 0);
  ASSERT_EQ(on_device({"predict", "photos", "-o", "one", "--save", "map,mask"}, 1, 0).exit_code, 0);
  for (const std::string& name : list("one")) EXPECT_EQ(get("two/" + name), get("one/" + name)) << name;
}

TEST_F(Throughput, BenchRunsStreamsAtTheSameTime) {
  install_cuda();
  const auto f = on_device({"bench", "--batch", "5", "-n", "3", "--streams", "2", "--json", "-"}, 2, 50);
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const auto j = nlohmann::json::parse(f.out);
  EXPECT_EQ(j.at("device"), "cuda:0");
  EXPECT_EQ(j.at("arithmetic"), "bf16 by a stand-in");
  EXPECT_EQ(j.at("precision"), "bf16");
  EXPECT_EQ(j.at("batch"), 5);
  EXPECT_EQ(j.at("streams"), 2);
  EXPECT_EQ(j.at("rounds"), 6);  // three each
  EXPECT_GE(j.at("latency_ms").at("min").get<double>(), 50.0);
  EXPECT_GT(j.at("images_per_s").get<double>(), 0.0);
  EXPECT_EQ(j.at("peak_gflops"), 0.0);
  for (const Pass& p : passes()) EXPECT_TRUE(p.bytes);
  EXPECT_EQ(passes().size(), 2U * (2 + 3));
  EXPECT_EQ(most_in_flight(passes()), 2);
  EXPECT_EQ(on_device({"bench", "-n", "1"}).exit_code, 0);
}

}  // namespace
}  // namespace sam2unet::test
