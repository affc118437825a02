// The pages: self-contained, escaped, and with what a reader looks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "html/chart.h"
#include "report/run_folder.h"
#include "run_writer.h"
#include "sam2unet/runs.h"
#include "support/occurrences.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using test::occurrences;
using test::RunWriter;
using test::TempDir;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Nothing is asked of a network or of other files, and nothing runs.
void expect_self_contained(const std::string& html) {
  EXPECT_THAT(html, AllOf(Not(HasSubstr("http")), Not(HasSubstr("<script")), Not(HasSubstr("<link")),
                          Not(HasSubstr("url(")), Not(HasSubstr("@import"))));
  const std::string source = "src=\"", inside = "data:image/png;";
  for (std::size_t at = html.find(source); at != std::string::npos; at = html.find(source, at + 1))
    EXPECT_EQ(html.substr(at + source.size(), inside.size()), inside);
  EXPECT_THAT(html, AllOf(HasSubstr("prefers-color-scheme:dark"), HasSubstr("width=device-width")));
}

RunWriter whole_run(const fs::path& folder) {
  RunWriter w{.folder = folder};
  w.add_epoch(0, 0.30, 0.09);
  w.add_epoch(1, 0.21, 0.08);
  w.add_epoch(2, 0.46, 0.11);
  w.write();
  w.add_picture("first", 10);
  w.add_picture("second", 20);
  std::string steps;
  for (int i = 1; i <= 20; ++i) {
    steps += "{\"step\":" + std::to_string(i) + ",\"epoch\":1,\"loss\":" + std::to_string(4.0 / i) +
             ",\"lr\":0.001,\"gradient_norm\":2.5,\"pictures_per_s\":3}\n";
  }
  write_file(folder / "steps.jsonl", steps);
  return w;
}

TEST(RunPage, ShowsTheStateTheCurvesThePicturesAndTheSettings) {
  const TempDir dir;
  whole_run(dir / "my run");
  const std::string html = run_html(read_run(dir / "my run"));
  expect_self_contained(html);
  EXPECT_THAT(html, AllOf(HasSubstr("2 of 3 epochs are done"), HasSubstr("<b>0.460</b>mDice, best (epoch 2)"),
                          HasSubstr("<b>0.300</b>mDice, before training"), HasSubstr("a b/images, more")));
  EXPECT_EQ(occurrences(html, "<img "), 6u);  // two pictures, three panels each
  EXPECT_THAT(html, AllOf(HasSubstr("<h3>first</h3>"), HasSubstr("<h3>second</h3>")));
  for (const char* chart : {"Loss", "Validation: higher is better", "Validation: lower is better",
                            "Learning rate", "Norm of the gradients", "Speed"})
    EXPECT_THAT(html, HasSubstr(">" + std::string(chart) + "</text>"));
}

TEST(RunPage, SaysHowToGoOnWithPathsThatAShellTakes) {
  const TempDir dir;
  whole_run(dir / "my run");
  const std::string quoted = "'" + (dir / "my run").string();
  EXPECT_THAT(run_html(read_run(dir / "my run")),
              Not(HasSubstr("sam2unet predict")));  // there is nothing to use
  write_file(dir / "my run" / "last.safetensors", "x");
  EXPECT_THAT(run_html(read_run(dir / "my run")), HasSubstr("--weights " + quoted + "/last.safetensors'"));
  write_file(dir / "my run" / "best.safetensors", "x");
  write_file(dir / "my run" / "state.safetensors", "x");
  const std::string html = run_html(read_run(dir / "my run"));
  EXPECT_THAT(html, AllOf(HasSubstr("--weights " + quoted + "/best.safetensors'"),
                          HasSubstr("sam2unet train --resume --out " + quoted + "'"),
                          HasSubstr("--config " + quoted + "/train.toml' --seed 2")));
}

TEST(RunPage, ARunThatIsDoneCanBeMadeLonger) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run", .epochs = "2"};
  w.add_epoch(1, 0.3, 0.1);
  w.add_epoch(2, 0.4, 0.1);
  w.write();
  write_file(w.folder / "state.safetensors", "x");
  write_file(w.folder / "run.json", R"({"status": "stopped early"})");
  const std::string html = run_html(read_run(w.folder));
  EXPECT_THAT(html, AllOf(HasSubstr("--epochs 3"), HasSubstr("The run was stopped early."),
                          Not(HasSubstr("Go on where it stopped"))));
  write_file(w.folder / "run.json", R"([{"status": 3)");  // damaged: it says nothing
  EXPECT_THAT(run_html(read_run(w.folder)), Not(HasSubstr("The run was")));
}

TEST(RunPage, NamesAndSettingsAreText) {
  const TempDir dir;
  RunWriter w{.folder = dir / "<b>&\"run\"", .lr = "\"<script>alert(1)</script>\""};
  w.log = {R"({"epoch":1,"loss":1,"dice.mean":0.5,"<img src=x>":0.1})"};
  w.write();
  w.add_picture("<i>", 1);
  write_file(w.folder / "validation" / "broken<u>.png", "no picture");
  const std::string one = run_html(read_run(w.folder));
  const std::vector<TrainingRun> runs{read_run(w.folder), read_run(w.folder)};
  for (const std::string& html : {one, runs_html(runs)}) {
    expect_self_contained(html);
    EXPECT_THAT(html, AllOf(Not(HasSubstr("<b>&\"")), Not(HasSubstr("<img src=x")), Not(HasSubstr("<i>")),
                            Not(HasSubstr("<u>"))));
    EXPECT_THAT(html, AllOf(HasSubstr("&lt;b&gt;&amp;&quot;run&quot;"), HasSubstr("&lt;i&gt;"),
                            HasSubstr("broken&lt;u&gt;")));
  }
}

TEST(RunPage, WarnsWhereNothingIsBetterThanTheStart) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  w.add_epoch(0, 0.5, 0.1);
  w.write();
  EXPECT_THAT(run_html(read_run(w.folder)), Not(HasSubstr("no epoch is better")));  // none is done
  w.add_epoch(1, 0.4, 0.1);
  w.write();
  EXPECT_THAT(run_html(read_run(w.folder)), HasSubstr("no epoch is better"));
  w.log = {R"({"epoch":1,"loss":null})"};
  w.write();
  EXPECT_THAT(run_html(read_run(w.folder)),
              AllOf(HasSubstr("No validation data"), HasSubstr("The loss of epoch 1 is no number")));
}

TEST(RunPage, IsThereBeforeTheFirstEpoch) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run"};
  w.write();
  fs::remove(w.folder / "log.jsonl");
  report::write_run_report(w.folder);
  const auto bytes = read_file(w.folder / "report.html");
  const std::string html(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_THAT(html, HasSubstr("No epoch of 3 is done yet"));
  EXPECT_EQ(html, run_html(read_run(w.folder)));
}

TEST(ComparePage, ShowsValuesDifferencesAndEveryRunsMap) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (int i = 0; i < 3; ++i) {
    RunWriter w{.folder = dir / ("run" + std::to_string(i)), .seed = std::to_string(i)};
    w.add_epoch(1, 0.80 + 0.02 * i, 0.1);
    w.write();
    w.add_picture("shared", static_cast<std::uint8_t>(50 * i));
    w.add_picture("only" + std::to_string(i), 0);
    folders.push_back(w.folder);
  }
  const std::string html = runs_html(read_runs(folders));
  expect_self_contained(html);
  EXPECT_THAT(html, AllOf(HasSubstr("mean of 3<small>run0, run1, run2</small>"),
                          HasSubstr("0.820 &plusmn; 0.020"), HasSubstr("<td class=\"best\">0.840</td>"),
                          HasSubstr("<tr><td>seed</td><td>0</td><td>1</td>")));
  EXPECT_EQ(occurrences(html, "<img "), 5u);  // picture, truth, three maps; what only one run has is left out
  EXPECT_THAT(html, Not(HasSubstr("with care")));
}

TEST(ComparePage, WarnsOfOtherValidationPictures) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (const char* fold : {"1/2", "2/2"}) {
    RunWriter w{.folder = dir / ("run" + std::string(1, fold[0])), .fold = fold};
    w.add_epoch(1, 0.8, 0.1);
    w.write();
    folders.push_back(w.folder);
  }
  std::vector<TrainingRun> runs = read_runs(folders);
  EXPECT_THAT(runs_html(runs), HasSubstr("(fold differs)"));
  for (TrainingRun& r : runs) {
    r.settings = {{"seed", r.name}, {"val_split", "0"}, {"val_images", "same"}};
  }
  EXPECT_THAT(runs_html(runs), Not(HasSubstr("with care")));
  for (TrainingRun& r : runs) r.settings[1].value = "0.2";  // other seeds take other pictures
  EXPECT_THAT(runs_html(runs), HasSubstr("(seed differs)"));
}

TEST(Charts, AxesEndAtRoundNumbersAroundAllPoints) {
  html::Chart c{.title = "t", .x_label = "x", .y_label = "y"};
  c.lines = {{"a", {1, 2, 3}, {0.31, std::nan(""), 0.87}}, {"b", {1, 9}, {0.5, 0.52}}};
  c.fit();
  EXPECT_DOUBLE_EQ(c.x_min, 1);
  EXPECT_DOUBLE_EQ(c.x_max, 9);
  EXPECT_NEAR(c.y_min, 0.2, 1e-12);  // steps of 0.2
  EXPECT_NEAR(c.y_max, 1.0, 1e-12);
  const std::string svg = to_svg(c);
  for (const char* tick : {">0.2<", ">0.4<", ">0.6<", ">0.8<", ">1<", ">2<", ">4<", ">8<"})
    EXPECT_THAT(svg, HasSubstr(tick));
  EXPECT_EQ(occurrences(svg, "<circle"), 4u);  // the point that is no number is none
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Charts, ALogarithmicAxisHasDecadesAndNoZero) {
  html::Chart c{.title = "t", .x_label = "x", .y_label = "y", .y_scale = html::Scale::logarithmic};
  c.lines = {{"rate", {1, 2, 3}, {1e-3, 5e-6, 0}}};
  c.fit();
  EXPECT_NEAR(c.y_min, 1e-6, 1e-15);
  EXPECT_NEAR(c.y_max, 1e-3, 1e-12);
  const std::string svg = to_svg(c);
  EXPECT_THAT(
      svg, AllOf(HasSubstr(">0.001<"), HasSubstr(">1e-05<"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  EXPECT_EQ(occurrences(svg, "<circle"), 2u);
}

// A run at a rate of nothing: no point has a place on the axis, which must end all the same.
TEST(Charts, ALogarithmicAxisOfZerosIsADecade) {
  html::Chart c{.title = "t", .x_label = "x", .y_label = "y", .y_scale = html::Scale::logarithmic};
  c.lines = {{.label = "l", .x = {1, 2}, .y = {0, 0}}};
  c.fit();
  EXPECT_EQ(c.y_min, 1);
  EXPECT_EQ(c.y_max, 10);
  EXPECT_LT(html::to_svg(c).size(), 10000u);
}

TEST(Charts, OneValueAloneIsADotInTheMiddle) {
  html::Chart c{.title = "t", .x_label = "x", .y_label = "y"};
  c.lines = {{"a", {1}, {0.5}}};
  c.fit();
  EXPECT_LT(c.y_min, 0.5);
  EXPECT_GT(c.y_max, 0.5);
  EXPECT_LT(c.x_min, c.x_max);
  EXPECT_THAT(to_svg(c), AllOf(HasSubstr("<circle"), Not(HasSubstr("nan"))));
}

}  // namespace
}  // namespace sam2unet
