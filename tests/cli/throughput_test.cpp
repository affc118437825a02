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
    const std::vector<std::string> common{"--weights", "tiny.safetensors", "--size", "64"};
    arguments.insert(arguments.end(), common.begin(), common.end());
    return on_device_as_is(arguments, in_flight, pass_ms);
  }
  Finished on_device_as_is(std::vector<std::string> arguments, int in_flight, int pass_ms,
                           const std::vector<std::string>& environment = {}) {
    arguments.insert(arguments.end(), {"--device", "cuda"});
    std::vector<std::string> all{"SAM2UNET_FAKE_LOG=" + (dir / "passes.jsonl").string(),
                                 "SAM2UNET_FAKE_BATCH=" + std::to_string(kBatch),
                                 "SAM2UNET_FAKE_IN_FLIGHT=" + std::to_string(in_flight),
                                 "SAM2UNET_FAKE_MS=" + std::to_string(pass_ms)};
    all.insert(all.end(), environment.begin(), environment.end());
    return alone(arguments, all);
  }
  std::vector<int> batches() {
    std::vector<int> out;
    for (const Pass& p : passes()) out.push_back(p.batch);
    std::sort(out.begin(), out.end());
    return out;
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

// A batch in which one picture makes no numbers is tried picture by picture, and only that one fails.
TEST_F(Throughput, APictureThatTheNetworkFailsOnFailsAlone) {
  install_cuda();
  put_pictures(4);
  Image white(30, 20, 3);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  write_png(dir / "photos/102.png", white);
  const auto f = on_device_as_is(
      {"predict", "photos", "-o", "out", "--weights", "tiny.safetensors", "--size", "64", "--manifest", "m"},
      2, 0, {"SAM2UNET_FAKE_NAN=1"});
  EXPECT_EQ(f.exit_code, 1);
  const std::string why =
      "photos/102.png: the network's result holds NaN or infinity: with these weights its "
      "numbers grow past what float holds; take an earlier checkpoint";
  EXPECT_EQ(f.err, "sam2unet: " + why + "\n");
  EXPECT_EQ(f.out, "out/100.png\nout/101.png\nout/103.png\n");
  EXPECT_THAT(batches(), testing::ElementsAre(1, 1, 1, 1, 4));
  std::istringstream lines(get("m"));
  for (std::string line; std::getline(lines, line);) {
    const auto j = nlohmann::json::parse(line);
    EXPECT_EQ(j.value("error", ""), j.at("key") == "102" ? why : "");
  }
}

// What a pass took is divided among its pictures, and all of it is told of one whose passes are its own.
TEST_F(Throughput, TimesAreThoseOfThePasses) {
  install_cuda();
  put_pictures(4);
  const auto least = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"predict", "photos", "-o", "out", "--manifest", "m"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::filesystem::remove(dir / "m");
    EXPECT_EQ(on_device(arguments, 2, 200).exit_code, 0);
    double out = 1e9;
    std::istringstream lines(get("m"));
    for (std::string line; std::getline(lines, line);)
      out = std::min(out, nlohmann::json::parse(line).at("milliseconds").get<double>());
    return out;
  };
  EXPECT_GE(least({}), 50.0);
  EXPECT_GE(least({"--tile", "32"}), 200.0);
}

// More at once than the device says is best, where that is asked for, and by eval too.
TEST_F(Throughput, BatchesAreAsLargeAsAskedFor) {
  install_cuda();
  put_pictures(6);
  ASSERT_EQ(on_device({"predict", "photos", "-o", "out", "--batch", "6"}, 1, 0).exit_code, 0);
  EXPECT_THAT(batches(), testing::ElementsAre(6));
  // A picture's tiles and turned variants fill batches.
  std::filesystem::remove(dir / "passes.jsonl");
  ASSERT_EQ(
      on_device({"predict", "photos/100.png", "-o", "out", "--batch", "6", "--tta", "hflip,vflip"}, 1, 0)
          .exit_code,
      0);
  EXPECT_THAT(batches(), testing::ElementsAre(3));
  put_picture("wide.png", 32 * 5, 32);
  std::filesystem::remove(dir / "passes.jsonl");
  ASSERT_EQ(on_device({"predict", "wide.png", "-o", "out", "--tile", "32", "--overlap", "0"}, 1, 0).exit_code,
            0);
  EXPECT_THAT(batches(), testing::ElementsAre(1, 4));
  for (const auto& [batch, want] : {std::pair("1", 1), {"3", 3}}) {
    std::filesystem::remove(dir / "passes.jsonl");
    ASSERT_EQ(on_device({"eval", "--images", "photos", "--gt", "truths", "--bootstrap", "0", "--batch", batch,
                         "-j", "2"},
                        1, 20)
                  .exit_code,
              0);
    EXPECT_LE(batches().back(), want);
  }
}

// That it is about four, as four passes take instead of one, is for a quiet machine.
TEST_F(Throughput, WhatVariantsCostIsToldInTimes) {
  install_cuda();
  put_pictures(4);
  const auto f = on_device({"eval", "--images", "photos", "--gt", "truths", "--bootstrap", "0", "--batch",
                            "1", "--tta", "hflip,vflip,rot90"},
                           1, 30);
  ASSERT_EQ(f.exit_code, 0) << f.err;
  const std::string before = "\na picture takes ";
  const auto at = f.out.find(before);
  ASSERT_NE(at, std::string::npos) << f.out;
  EXPECT_GT(std::stod(f.out.substr(at + before.size())), 0.0);
}

// As many pictures as the paper has are its test set; what is called like one and is none is told.
TEST_F(Throughput, ReproduceOfAWholeTestSet) {
  install_cuda();
  for (int i = 0; i < 60; ++i) {
    const std::string name = std::to_string(100 + i) + ".png";
    put_picture("data/CVC-300/images/" + name, 8, 9);
    std::filesystem::create_directories(dir / "data/CVC-300/masks");
    Image truth(8, 9, 1);
    std::fill_n(truth.pixels.begin(), 30, std::uint8_t{255});
    write_png(dir / "data/CVC-300/masks" / name, truth);
  }
  std::filesystem::create_directories(dir / "data/ECSSD");
  const auto reproduce = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"reproduce",        "--data", "data",  "--weights",
                                 "tiny.safetensors", "--json", "o.json"};
    all.insert(all.end(), more.begin(), more.end());
    std::filesystem::remove(dir / "passes.jsonl");
    return on_device_as_is(all, 2, 0);
  };
  const auto f = reproduce({});
  EXPECT_EQ(f.exit_code, 0) << f.err;
  EXPECT_EQ(
      f.err,
      "sam2unet: note: data/ECSSD is called like ECSSD, but holds no folders of pictures and masks of a test "
      "set (such as Imgs and GT, images and masks, test/image and test/mask)\n");
  EXPECT_THAT(f.out, HasSubstr("\n\nCVC-300: 60 of the papers' 60 pictures; published: "));
  int largest = 0;
  for (const Pass& p : passes()) {
    EXPECT_EQ(p.width, 352);
    largest = std::max(largest, p.batch);
  }
  EXPECT_EQ(largest, kBatch);
  const auto json = nlohmann::json::parse(get("o.json"));
  EXPECT_EQ(json.at("datasets").at(0).at("weights"), "tiny.safetensors");
  EXPECT_FALSE(json.at("datasets").at(0).contains("passes"));
  // The passes of one picture are one batch.
  const auto turned = reproduce({"--tta", "hflip,vflip"});
  EXPECT_EQ(turned.exit_code, 0) << turned.err;
  const std::vector<int> all = batches();
  EXPECT_EQ(all.size(), 60U);
  EXPECT_EQ(all.front(), 3);
  EXPECT_EQ(nlohmann::json::parse(get("o.json")).at("datasets").at(0).at("passes"), "hflip,vflip");
}

}  // namespace
}  // namespace sam2unet::test
