// `sam2unet report` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "report/run_writer.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    for (int i = 0; i < 2; ++i) {
      RunWriter w{.folder = dir / ("runs/run" + std::to_string(i)), .seed = std::to_string(i)};
      w.add_epoch(1, 0.80 + 0.04 * i, 0.1);
      w.write();
    }
  }
  Finished report(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "report");
    return run(program("sam2unet"), arguments, {.folder = dir.path()});
  }
  std::string get(const std::string& name) {
    const auto bytes = read_file(dir / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  TempDir dir;
};

TEST_F(ReportTest, PrintsRunsMeansAndDifferences) {
  const Finished r = report({"runs", "--html", "c.html", "--json", "c.json"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("run0"), HasSubstr("0.840"), HasSubstr("mean of 2"), HasSubstr("0.820"),
                           HasSubstr("deviation"), HasSubstr("0.028"), HasSubstr("seed        0     1")));
  EXPECT_THAT(get("c.html"), HasSubstr("2 training runs"));
  EXPECT_EQ(nlohmann::json::parse(get("c.json")).at("groups").size(), 1u);
}

TEST_F(ReportTest, OneRunIsItsOwnPage) {
  const Finished r = report({"runs/run1", "--html", "-"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("<title>run1 - training run"), Not(HasSubstr("<h1>1 training runs"))));
}

TEST_F(ReportTest, WhatIsNoRunIsSaid) {
  const Finished r = report({"runs/run1", "nowhere"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, AllOf(HasSubstr("nowhere"), HasSubstr("No such file")));
  EXPECT_EQ(report({}).exit_code, 2);
  EXPECT_EQ(report({"runs", "--html", "x.html", "--json", "x.html"}).exit_code, 2);
}

// Losses are 2; means and deviations of 0.80 and 0.84.
TEST_F(ReportTest, TheTableToTheCharacter) {
  EXPECT_EQ(report({"runs"}).out,
            "run          epochs  best  mDice    MAE   loss\n"
            "run0            1/3     1  0.800  0.100  2.000\n"
            "run1            1/3     1  0.840  0.100  2.000\n"
            "mean of 2                  0.820  0.100  2.000\n"
            "  deviation                0.028  0.000  0.000\n"
            "run0, run1 differ in seed or fold alone; deviation: of a sample (n - 1)\n"
            "\n"
            "differs  run0  run1\n"
            "seed        0     1\n");
  // One that has not begun, with a line that is none.
  RunWriter w{.folder = dir / "n\xC3\xA9w", .epochs = "7"};
  w.log = {"{\"epoch\":"};
  w.write();
  const Finished r = report({"n\xC3\xA9w"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.out, "run  epochs  best  loss\nn\xC3\xA9w     0/7     -     -\n");
  EXPECT_EQ(r.err, "sam2unet: warning: n\xC3\xA9w: 1 lines of log.jsonl could not be read\n");
  // What one has and the other has not.
  w.log.clear();
  w.lr = "0.1";
  w.fold = "1/3";
  w.write();
  EXPECT_THAT(
      report({"n\xC3\xA9w", "runs/run1"}).out,
      HasSubstr(
          "\ndiffers  n\xC3\xA9w   run1\nlr       0.1  0.001\nepochs     7      3\nfold     1/3      -\n"));
}

// The values are the best epoch's, the number before the slash is the last one's. Two that differ in the
// seed, of which one is not validated yet: of what one lacks there is no mean.
TEST_F(ReportTest, TheBestEpochIsNotTheLast) {
  RunWriter w{.folder = dir / "long", .seed = "5", .lr = "0.01"};
  w.add_epoch(1, 0.5, 0.25);
  w.add_epoch(2, 0.75, 0.125);
  w.add_epoch(3, 0.625, 0.0625);
  w.write();
  RunWriter young{.folder = dir / "young", .seed = "6", .lr = "0.01"};
  young.log = {R"({"epoch":1,"step":10,"lr":0.01,"loss":1.5})"};
  young.write();
  EXPECT_EQ(report({"long"}).out,
            "run   epochs  best  mDice    MAE   loss\n"
            "long     3/3     2  0.750  0.125  1.000\n");
  EXPECT_EQ(report({"long", "young"}).out,
            "run          epochs  best  mDice    MAE   loss\n"
            "long            3/3     2  0.750  0.125  1.000\n"
            "young           1/3     -      -      -  1.500\n"
            "mean of 2                      -      -  1.250\n"
            "  deviation                              0.354\n"
            "long, young differ in seed or fold alone; deviation: of a sample (n - 1)\n"
            "\n"
            "differs  long  young\n"
            "seed        5      6\n");
  EXPECT_TRUE(report({"long", "young", "--json", "-"}).out.starts_with("{"));
  const std::string page = report({"long", "young", "--html", "-"}).out;
  EXPECT_TRUE(page.starts_with("<!doctype html>")) << page.substr(0, 80);
  EXPECT_THAT(page, HasSubstr("2 training runs"));
}

}  // namespace
}  // namespace sam2unet::test
