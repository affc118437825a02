// Whole pages of runs made here: where every curve lies, what is left out, what is warned of, and that all of
// it is text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"
#include "sam2unet/runs.h"
#include "support/occurrences.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;
using test::occurrences;
using test::TempDir;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

RunEpoch epoch(int number, std::int64_t step, std::vector<RunValue> values) {
  RunEpoch e;
  e.epoch = number;
  e.step = step;
  e.values = std::move(values);
  return e;
}

// Two epochs of ten steps each, the first of them the best.
TrainingRun two_epochs(const fs::path& folder = "gone") {
  TrainingRun run;
  run.folder = folder;
  run.name = "run";
  run.epochs_planned = 4;
  run.epochs = {epoch(1, 8, {{"loss", 3}, {"dice.mean", 0.51}, {"MAE", 0.093}}),
                epoch(2, 20, {{"loss", 1.5}, {"dice.mean", 0.31}, {"MAE", 0.052}})};
  run.best_key = "dice.mean";
  run.best = 0;
  return run;
}

void write_steps(const fs::path& folder) {
  write_file(folder / "steps.jsonl",
             std::string(R"({"step":5,"loss":4,"lr":0.05,"gradient_norm":20,"pictures_per_s":3})"
                         "\n"
                         R"({"step":10,"loss":2,"lr":0.005,"gradient_norm":2,"pictures_per_s":8})"
                         "\n"
                         R"({"step":20,"loss":1,"lr":0.0005,"gradient_norm":0.2,"pictures_per_s":8})"
                         "\n"));
}

std::string curve(const std::string& of_class, const std::string& color, const std::string& points,
                  const std::string& label) {
  return "<polyline class=\"" + of_class + "\" style=\"stroke:" + color + "\" points=\"" + points +
         " \"><title>" + label + "</title></polyline>";
}
std::string up_label(const std::string& label) {
  return "rotate(-90)\" text-anchor=\"middle\">" + label + "</text>";
}

// Axes lie between 54 and 416 and between 286 and 30 (chart.cpp's margins, tested in page_parts_test.cpp).
// Epochs 0.5 to 2: the first is at a third of them. Losses 1 to 4, dice 0.30 to 0.55, MAE 0.05 to 0.10.
TEST(RunCurves, LieWhereTheLogSays) {
  const TempDir dir;
  write_steps(dir.path());
  const std::string html = run_html(two_epochs(dir.path()));
  const std::string blue = "#0072b2";
  EXPECT_THAT(html,
              HasSubstr(curve("curve faint", "#56b4e9", "54.0,30.0 174.7,200.7 416.0,286.0", "single steps") +
                        curve("curve", blue, "174.7,115.3 416.0,243.3", "mean of the epoch")));
  EXPECT_THAT(html, HasSubstr(curve("curve", blue, "54.0,71.0 416.0,275.8", "mDice")));
  EXPECT_THAT(html, HasSubstr(curve("curve", blue, "54.0,65.8 416.0,275.8", "MAE")));
  // Decades from 0.0001 to 0.1 and from 0.1 to 100, and pictures from 3 to 8.
  EXPECT_THAT(html, HasSubstr(curve("curve", blue, "54.0,55.7 174.7,141.0 416.0,226.4", "learning rate")));
  EXPECT_THAT(html, HasSubstr(curve("curve", blue, "54.0,89.6 174.7,175.0 416.0,260.3", "norm")));
  EXPECT_THAT(html, HasSubstr(curve("curve", blue, "54.0,286.0 174.7,30.0 416.0,30.0", "speed")));
  // The best is epoch 1, on both charts of the validation.
  EXPECT_EQ(occurrences(html, "<line class=\"mark\" x1=\"54.0\""), 2u);
  EXPECT_EQ(occurrences(html, "class=\"legend\""), 1u);  // one curve alone is named at its axis
  EXPECT_THAT(html, AllOf(HasSubstr(up_label("mDice")), HasSubstr(up_label("MAE")),
                          HasSubstr(up_label("sum over the outputs")), HasSubstr(up_label("before clipping")),
                          HasSubstr(up_label("pictures a second"))));
  EXPECT_EQ(occurrences(html, ">epoch</text>"), 6u);
}

TEST(RunCurves, SeveralOfOneChartHaveColoursAndALegend) {
  TrainingRun run = two_epochs();
  for (RunEpoch& e : run.epochs) e.values.push_back({"S", e.epoch == 1 ? 0.40 : 0.50});
  const std::string html = run_html(run);
  EXPECT_THAT(html, HasSubstr("style=\"stroke:#0072b2\" points=\"54.0,71.0 416.0,275.8 \"><title>mDice"));
  EXPECT_THAT(html, HasSubstr("<title>S</title>"));
  EXPECT_THAT(html, HasSubstr("<ul class=\"legend\"><li><span style=\"background:#0072b2\"></span>mDice</li>"
                              "<li><span style=\"background:#d55e00\"></span>S</li></ul>"));
  EXPECT_THAT(html, AllOf(Not(HasSubstr(up_label("mDice"))), HasSubstr(up_label("MAE"))));
}

// Maxima and one more mean look like the curves that are shown; the one that decides is shown all the same.
TEST(RunCurves, NotAllThatIsMeasured) {
  TrainingRun run = two_epochs();
  for (const char* key : {"S", "E_max", "E_mean", "fm.max", "fm.adp", "wF", "iou.mean"})
    for (RunEpoch& e : run.epochs) e.values.push_back({key, 0.5});
  std::string html = run_html(run);
  for (const char* shown : {"S", "mE", "wF", "MAE", "mIoU", "mDice"})
    EXPECT_EQ(occurrences(html, "<title>" + std::string(shown) + "</title>"), 1u) << shown;
  for (const char* alike : {"maxE", "maxF", "adpF"}) {
    EXPECT_EQ(occurrences(html, "<title>" + std::string(alike) + "</title>"), 0u) << alike;
    EXPECT_EQ(occurrences(html, "<th>" + std::string(alike) + "</th>"), 1u)
        << alike;  // in the table they are
  }
  for (const auto& [key, title] : {std::pair{"E_max", "maxE"}, {"fm.max", "maxF"}, {"fm.adp", "adpF"}}) {
    run.best_key = key;
    EXPECT_THAT(run_html(run), HasSubstr("<title>" + std::string(title) + "</title>"));
  }
}

TEST(RunCurves, WhatHasNoPointsIsLeftOut) {
  const TempDir dir;
  TrainingRun run = two_epochs(dir.path());
  run.best_key.clear();
  for (RunEpoch& e : run.epochs) e.values.resize(1);  // the loss
  write_file(dir / "steps.jsonl", R"({"step":10,"loss":4,"lr":0,"gradient_norm":null})");
  const std::string html = run_html(run);
  EXPECT_THAT(html,
              AllOf(HasSubstr("<h2>Curves</h2>"), HasSubstr(">Loss</text>"), Not(HasSubstr("Validation:")),
                    Not(HasSubstr(">Learning rate</text>")), Not(HasSubstr(">Norm of the gradients</text>")),
                    Not(HasSubstr(">Speed</text>")), Not(HasSubstr("dashed line")),
                    Not(HasSubstr("class=\"mark\"")), Not(HasSubstr("class=\"best\""))));
  EXPECT_THAT(html, HasSubstr("<div class=\"cards\"><div><b>1.500</b>loss, last epoch</div></div>"));
  run.epochs.clear();
  write_file(dir / "steps.jsonl", std::string(R"({"step":10,"lr":0.5})"));
  EXPECT_THAT(run_html(run), AllOf(HasSubstr("<h2>Curves</h2>"), HasSubstr(">Learning rate</text>")));
  write_file(dir / "steps.jsonl", std::string());
  EXPECT_THAT(run_html(run), AllOf(Not(HasSubstr("Curves")), Not(HasSubstr("<h2>Epochs</h2>")),
                                   HasSubstr("<div class=\"cards\"></div>")));
}

// Before the first epoch is done its end is where the steps are.
TEST(RunCurves, StepsOfTheFirstEpoch) {
  const TempDir dir;
  write_steps(dir.path());
  TrainingRun run = two_epochs(dir.path());
  run.best_key.clear();
  run.epochs.clear();
  const std::string x = "text-anchor=\"middle\">";
  EXPECT_THAT(run_html(run),
              AllOf(HasSubstr(x + "0.4</text>"), HasSubstr(x + "1</text>"), Not(HasSubstr(x + "5</text>"))));
  run.epochs = {epoch(0, 7, {{"loss", NAN}})};  // the start says nothing of it, whatever its step
  EXPECT_THAT(run_html(run), HasSubstr("points=\"54.0,30.0 174.7,200.7 416.0,286.0 \"><title>single steps"));
  write_file(dir / "steps.jsonl", std::string(R"({"step":0,"loss":4})"));
  EXPECT_THAT(run_html(run), HasSubstr("stroke:#56b4e9\" points=\"54.0,"));
}

TEST(RunCurves, LongRunsAreSampled) {
  const TempDir dir;
  std::string steps;
  for (int i = 1; i <= 2000; ++i) steps += "{\"step\":" + std::to_string(i) + ",\"loss\":1}\n";
  write_file(dir / "steps.jsonl", steps);
  const std::string html = run_html(two_epochs(dir.path()));
  const std::size_t end = html.find("\"><title>single steps");
  const std::string points = html.substr(html.rfind('"', end - 1), end - html.rfind('"', end - 1));
  EXPECT_LE(occurrences(points, ","), 600u);
  EXPECT_GE(occurrences(points, ","), 590u);
}

TEST(RunHead, BeforeTheFirstEpochAndWithoutItsLog) {
  const TempDir dir;
  write_file(dir / "log.jsonl", std::string("{}"));
  TrainingRun run = two_epochs(dir.path());
  run.epochs = {epoch(0, 0, {{"dice.mean", 0.5}})};
  EXPECT_THAT(run_html(run), HasSubstr("<h1>run</h1><p>No epoch of 4 is done yet. This page"));
  EXPECT_THAT(run_html(two_epochs("gone")), HasSubstr("<h1>run</h1><p>2 of 4 epochs are done. This page"));
}

TEST(RunWarnings, AreWhatAReaderShouldNotOverlook) {
  TrainingRun run = two_epochs();
  EXPECT_THAT(run_html(run), Not(HasSubstr("class=\"warn\"")));  // the first epoch is not the start
  run.epochs.insert(run.epochs.begin(), epoch(0, 0, {{"loss", NAN}, {"dice.mean", 0.2}}));
  run.best = 1;
  EXPECT_THAT(run_html(run), AllOf(Not(HasSubstr("class=\"warn\"")), Not(HasSubstr("<ul><li"))));
  TrainingRun none = two_epochs();
  none.epochs.clear();
  none.best_key.clear();
  EXPECT_THAT(run_html(none), Not(HasSubstr("class=\"warn\"")));  // it has not begun
  run.best_key.clear();
  run.notes = {"2 lines <of> it"};
  run.epochs[2].values[0].value = INFINITY;
  EXPECT_THAT(
      run_html(run),
      HasSubstr("<ul><li class=\"warn\">2 lines &lt;of&gt; it</li><li class=\"warn\">No validation data: "
                "nothing here says how good the network is on other pictures. --val-images and "
                "--val-masks name some, --val-split takes them from the training pictures.</li>"
                "<li class=\"warn\">The loss of epoch 2 is no number.</li></ul>"));
}

TEST(RunCards, OfWhatThereIs) {
  TrainingRun run = two_epochs();
  run.settings = {{"fold", "1/2"}, {"lr", "0.1"}, {"pth", "x"}};
  EXPECT_THAT(run_html(run), HasSubstr("<div class=\"cards\"><div><b>0.510</b>mDice, best (epoch 1)</div>"
                                       "<div><b>0.310</b>mDice, last epoch</div><div><b>1.500</b>loss, last "
                                       "epoch</div><div><b>0.1</b>lr</div><div><b>1/2</b>fold</div></div>"));
}

// Paths as a shell takes them, and only commands that can be run.
TEST(RunCommands, AreWhatCanBeRun) {
  TrainingRun run = two_epochs("/r/./a.b-c+d=e:f,g@h%i_j/../\xC3\xA4-+=:,@%_z");
  EXPECT_THAT(run_html(run),
              HasSubstr("sam2unet train --config /r/\xC3\xA4-+=:,@%_z/train.toml --seed 2 --out "
                        "OTHER\nsam2unet report /r/\xC3\xA4-+=:,@%_z OTHER</pre>"));
  for (const char* letter : {"\xC3\x80", "\xC3\xBF", "\x7E"}) {  // of UTF-8 any byte is one of a word
    const std::string folder = "/r/" + std::string(letter);
    run.folder = folder;
    const std::string word = letter[0] == '~' ? "'" + folder + "'" : folder;
    EXPECT_THAT(run_html(run), HasSubstr("sam2unet report " + word + " OTHER</pre>"));
  }
  for (const char* odd : {"a b", "a$b", "a*b", "a;b", "a~b", "a!b", "a#b", "a(b", "a\\b"}) {
    run.folder = "/r/" + std::string(odd);
    EXPECT_THAT(run_html(run), HasSubstr("sam2unet report '/r/" + std::string(odd) + "' OTHER</pre>"));
  }
  const TempDir dir;
  run = two_epochs(dir.path());
  for (const char* file : {"best.safetensors", "state.safetensors"}) write_file(dir / file, std::string("x"));
  run.settings = {{"val_images", "v/images"}};
  EXPECT_THAT(run_html(run), HasSubstr(" --images PICTURES --gt MASKS --html"));  // one does not do
  run.settings = {{"val_masks", "v/masks"}};
  EXPECT_THAT(run_html(run), HasSubstr(" --images PICTURES --gt MASKS --html"));
  run.settings = {{"val_images", ", b"}, {"val_masks", "v/masks, w"}};
  EXPECT_THAT(run_html(run), HasSubstr(" --images '' --gt v/masks --html"));
  const std::string html = run_html(run);
  std::size_t at = html.find("<h2>How to go on</h2>");
  for (const char* what : {"Segment pictures", "Score it, with intervals and its worst pictures",
                           "Make it smaller", "Go on where it stopped", "Train again with another seed"}) {
    const std::size_t next = html.find("<p>" + std::string(what));
    ASSERT_NE(next, std::string::npos) << what;
    EXPECT_GT(next, at) << what;
    at = next;
  }
  run.epochs.clear();
  run.best_key.clear();
  run.epochs_planned = 0;  // is not known
  EXPECT_THAT(run_html(run), AllOf(Not(HasSubstr("Make it longer")), Not(HasSubstr("Go on where"))));
}

void write_row(const fs::path& file, int panel, int height, std::uint8_t map) {
  Image row(3 * panel, height, 3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < 9 * panel; ++x)
      row.row(y)[x] = x < 3 * panel ? std::uint8_t{40} : x < 6 * panel ? std::uint8_t{255} : map;
  fs::create_directories(file.parent_path());
  write_png(file, row);
}

TEST(RunPages, PartsComeInOneOrder) {
  const TempDir dir;
  write_row(dir / "validation" / "p.png", 400, 100, 7);
  write_file(dir / "validation" / "notes.txt", std::string("x"));
  fs::create_directories(dir / "validation" / "folder.png");
  TrainingRun run = two_epochs(dir.path());
  run.notes = {"a note"};
  const std::string html = run_html(run);
  std::size_t at = 0;
  for (const char* part :
       {"<h1>", "class=\"cards\"", "a note", "<h2>Curves", ">Loss</text>",
        ">Validation: higher is better</text>", ">Validation: lower is better</text>", "The dashed line",
        "<details>", "<h2>Validation pictures", "<h2>How to go on", "<h2>Epochs", "<h2>Configuration"}) {
    const std::size_t next = html.find(part);
    ASSERT_NE(next, std::string::npos) << part;
    EXPECT_GT(next, at) << part;
    at = next;
  }
  EXPECT_EQ(occurrences(html, "<h3>"), 1u);  // neither the text nor the folder is a picture
  EXPECT_EQ(occurrences(html, "<img width=\"200\" height=\"50\""), 3u);
}

// Names of runs, settings and values are what somebody wrote.
TEST(Pages, HoldNothingThatIsNotText) {
  std::vector<TrainingRun> runs{two_epochs(), two_epochs(), two_epochs()};
  for (std::size_t i = 0; i < 3; ++i) {
    runs[i].name = "<n" + std::to_string(i) + ">";
    runs[i].settings = {{"seed", std::to_string(i)}, {"<k>", i < 2 ? "<w>" : "<x>"}};
    runs[i].best_key = "<v>";
    runs[i].epochs.resize(1);
    runs[i].epochs[0].values = {{"loss", 1}, {"<v>", 0.25}, {"<u>", 0.5}};
  }
  const std::string one = run_html(runs[0]), several = runs_html(runs);
  for (const char* tag : {"<n0>", "<n1>", "<n2>", "<k>", "<w>", "<x>", "<v>", "<u>"}) {
    EXPECT_THAT(one, Not(HasSubstr(tag)));
    EXPECT_THAT(several, Not(HasSubstr(tag)));
  }
  EXPECT_THAT(one, AllOf(HasSubstr("<tr><td>&lt;k&gt;</td><td class=\"text\">&lt;w&gt;</td></tr>"),
                         HasSubstr("<th>&lt;v&gt;</th>"), HasSubstr("best epoch, by &lt;v&gt;.</p>"),
                         HasSubstr("</b>&lt;v&gt;, best (epoch 1)</div>"),
                         HasSubstr("<title>&lt;v&gt;</title>"), HasSubstr("</span>&lt;v&gt;</li>")));
  EXPECT_THAT(
      several,
      AllOf(HasSubstr("mean of 2<small>&lt;n0&gt;, &lt;n1&gt;</small>"), HasSubstr("<th>&lt;v&gt;&thinsp;"),
            HasSubstr("aria-label=\"&lt;v&gt;\""), HasSubstr("<th>setting</th><th>&lt;n0&gt;</th>"),
            HasSubstr("<title>&lt;n2&gt;</title>"),
            HasSubstr("<tr><td>&lt;k&gt;</td><td>&lt;w&gt;</td><td>&lt;w&gt;</td><td>&lt;x&gt;</td>")));
}

// Losses 1 to 4 of two runs over epochs 1 and 2.
TEST(ComparedRuns, CurvesHaveTheirRunsColours) {
  std::vector<TrainingRun> runs{two_epochs(), two_epochs()};
  for (std::size_t i = 0; i < 2; ++i) {
    runs[i].name = i == 0 ? "a" : "b";
    runs[i].settings = {{"lr", std::to_string(i)}};
    for (RunEpoch& e : runs[i].epochs) {
      e.values[0].value = 3.0 + 2.0 * static_cast<double>(i) - e.epoch;
      for (const char* key : {"S", "E_max", "E_mean", "fm.max", "fm.adp", "wF", "iou.mean"})
        e.values.push_back({key, 0.5});
    }
  }
  const std::string html = runs_html(runs);
  EXPECT_THAT(html, HasSubstr(curve("curve", "#0072b2", "54.0,200.7 416.0,286.0", "a")));
  EXPECT_THAT(html, HasSubstr(curve("curve", "#d55e00", "54.0,30.0 416.0,115.3", "b")));
  for (const char* color : {"#0072b2", "#d55e00"})
    EXPECT_THAT(html,
                HasSubstr("style=\"stroke:" + std::string(color) + "\" points=\"54.0,71.0 416.0,275.8 "));
  EXPECT_EQ(occurrences(html, "<svg "), 6u);  // the loss and the first five values
  EXPECT_EQ(occurrences(html, "&thinsp;"), 9u);
  EXPECT_THAT(html, AllOf(HasSubstr("</svg></div></div><ul class=\"legend\"><li><span "
                                    "style=\"background:#0072b2\"></span>a</li><li><span "
                                    "style=\"background:#d55e00\"></span>b</li></ul></body>")));
  EXPECT_EQ(occurrences(html, ">epoch</text>"), 6u);
  EXPECT_EQ(occurrences(html, "<td class=\"best\">0.510</td>"), 2u);  // as good as the other
  const std::string alone = runs_html(std::span(runs).first(1));
  EXPECT_THAT(alone, AllOf(HasSubstr("<h1>1 training runs</h1>"), Not(HasSubstr("class=\"best\"")),
                           HasSubstr("<p>All settings are the same.</p>")));
}

TEST(ComparedRuns, OfNoneThereIsAPageToo) {
  EXPECT_THAT(runs_html({}), AllOf(HasSubstr("<h1>0 training runs</h1>"), Not(HasSubstr("with care"))));
}

TEST(ComparedRuns, AMeanIsOfWhatAllHave) {
  std::vector<TrainingRun> runs{two_epochs(), two_epochs()};
  for (std::size_t i = 0; i < 2; ++i) {
    runs[i].name = i == 0 ? "a" : "b";
    runs[i].settings = {{"seed", std::to_string(i)},
                        {"val_images", "v" + std::to_string(i)},
                        {"val_split", "0." + std::to_string(i + 2)}};
    runs[i].best_key = "MAE";
    runs[i].epochs = {epoch(3, 1, {{"MAE", i == 0 ? 0.1 : 0.3}})};
  }
  runs[0].epochs[0].values.push_back({"S", 0.7});
  EXPECT_THAT(runs_html(runs), HasSubstr("(val_images differs)"));  // the first of what differs
  for (TrainingRun& r : runs) r.settings.resize(1);
  EXPECT_THAT(
      runs_html(runs),
      HasSubstr("<tr><td>a</td><td>3 of 4</td><td class=\"best\">0.100</td><td class=\"best\">0.700</td></tr>"
                "<tr><td>b</td><td>3 of 4</td><td>0.300</td><td>&ndash;</td></tr>"
                "<tr class=\"mean\"><td>mean of 2<small>a, b</small></td><td></td><td>0.200 &plusmn; "
                "0.141<small>0.100 &ndash; 0.300</small></td><td>&ndash;</td></tr></tbody>"));
  std::swap(runs[0], runs[1]);
  EXPECT_THAT(runs_html(runs), HasSubstr("<td class=\"best\">0.700</td>"));  // beside none before it
}

// What is in a run's map is that map; the rest is shown once, from the first run that has it.
TEST(ComparedRuns, PicturesAreEachRunsOwn) {
  const TempDir dir;
  std::vector<TrainingRun> runs;
  for (int i = 0; i < 3; ++i) {
    TrainingRun run = two_epochs(dir / std::to_string(i));
    run.name = "r" + std::to_string(i);
    run.epochs.clear();
    run.best_key.clear();
    write_row(run.folder / "validation" / "p.png", 20, 10, static_cast<std::uint8_t>(90 + i));
    runs.push_back(run);
  }
  write_file(dir / "0" / "validation" / "p.png", std::string("broken"));
  const std::string html = runs_html(runs);
  EXPECT_EQ(occurrences(html, "<figure>"), 4u);
  EXPECT_THAT(
      html, HasSubstr("<h2>Validation pictures, after the last epoch</h2><div class=\"case\"><h3>p</h3><p>"));
  // The same figures alone, which page_parts_test.cpp looks into.
  const std::string own = run_html(runs[1]), other = run_html(runs[2]);
  const auto figures = [](const std::string& page) {
    std::vector<std::string> out;
    const std::string src = "src=\"data:image/png;base64,";
    for (std::size_t at = page.find(src); at != std::string::npos; at = page.find(src, at + 1))
      out.push_back(page.substr(at, page.find("</figcaption>", at) - at));
    return out;
  };
  const auto shown = figures(html), first = figures(own), second = figures(other);
  ASSERT_EQ(shown.size(), 4u);
  ASSERT_EQ(first.size(), 3u);
  ASSERT_EQ(second.size(), 3u);
  EXPECT_EQ(shown[0], first[0]);
  EXPECT_EQ(shown[1], first[1]);
  const auto data = [](const std::string& figure) { return figure.substr(0, figure.find('>')); };
  EXPECT_EQ(data(shown[2]), data(first[2]));
  EXPECT_EQ(data(shown[3]), data(second[2]));
  EXPECT_THAT(shown[2], HasSubstr("<figcaption>r1"));
  EXPECT_THAT(shown[3], HasSubstr("<figcaption>r2"));
}

}  // namespace
}  // namespace sam2unet
