// The pages' parts, number by number: where points lie, what tables hold, which commands are named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "html/chart.h"
#include "html/page.h"
#include "report/pictures.h"
#include "report/run_folder.h"
#include "run_writer.h"
#include "sam2unet/image.h"
#include "sam2unet/runs.h"
#include "support/occurrences.h"
#include "support/pictures.h"
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

// RFC 4648.
std::vector<std::byte> decoded(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> out;
  unsigned bits = 0, group = 0;
  for (const char c : text) {
    if (c == '=') break;
    group = group << 6 | static_cast<unsigned>(digits.find(c));
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::byte>(group >> bits & 0xFFU));
    }
  }
  EXPECT_EQ(text.size() % 4, 0u);
  return out;
}
std::vector<std::byte> picture_in(const std::string& figure) {
  const std::string begin = "base64,";
  const std::size_t at = figure.find(begin) + begin.size();
  return decoded(figure.substr(at, figure.find('"', at) - at));
}

TEST(Html, TextAndNumbers) {
  EXPECT_EQ(html::escaped("a & b < c > d \"e\" 'f'"), "a &amp; b &lt; c &gt; d &quot;e&quot; 'f'");
  EXPECT_EQ(html::number(0.12361), "0.124");
  EXPECT_EQ(html::number(2), "2.000");
  EXPECT_EQ(html::number(NAN), "&ndash;");
  EXPECT_EQ(html::number(INFINITY), "&ndash;");
  const std::string page = html::page("<t>", "body");
  EXPECT_TRUE(page.starts_with("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"));
  EXPECT_THAT(page, HasSubstr("<title>&lt;t&gt;</title>"));
  EXPECT_TRUE(page.ends_with("</head><body>body</body></html>\n"));
}

TEST(Html, FiguresHoldTheirPictures) {
  // Of every remainder of three bytes.
  for (const auto& [w, h] : {std::pair{6, 3}, {5, 5}, {1, 1}, {7, 2}, {3, 9}}) {
    const Image image = test::picture(w, h, 3);
    const std::string figure = html::figure(image, "a <caption>", 200);
    EXPECT_EQ(picture_in(figure), encode_png(image)) << w << "x" << h;
    EXPECT_THAT(figure, AllOf(HasSubstr("alt=\"a &lt;caption&gt;\""),
                              HasSubstr("<figcaption>a &lt;caption&gt;</figcaption></figure>")));
  }
  const Image wide = test::picture(400, 101, 3), thin = test::picture(1, 401, 3);
  EXPECT_THAT(html::figure(wide, "", 200), HasSubstr("<img width=\"200\" height=\"51\" "));  // 50.5
  EXPECT_EQ(decode_image(picture_in(html::figure(wide, "", 200))).pixels,
            resize_pillow(wide, 200, 51, ResizeFilter::bilinear).pixels);
  EXPECT_THAT(html::figure(thin, "", 200), HasSubstr("<img width=\"1\" height=\"200\" "));
  EXPECT_THAT(html::figure(test::picture(200, 200, 3), "", 200),
              HasSubstr("<img width=\"200\" height=\"200\" "));
}

html::Chart square() {
  html::Chart c{.title = "a title", .x_label = "along", .y_label = "up"};
  c.x_max = 10;
  return c;
}

// 430 x 330 with 54, 14, 30 and 44 around the axes: the middle is at 54 + 362 / 2 and 286 - 256 / 2.
TEST(ChartParts, PointsLieWhereTheirNumbersAre) {
  html::Chart c = square();
  c.lines = {{"line", {0, 5, 10}, {0, 0.5, 1}}, {"over", {5}, {7}, 1}};
  c.mark = 5;
  const std::string svg = html::to_svg(c);
  EXPECT_TRUE(svg.starts_with("<svg viewBox=\"0 0 430 330\" role=\"img\" aria-label=\"a title\">"));
  EXPECT_THAT(svg,
              HasSubstr("<polyline class=\"curve\" style=\"stroke:#0072b2\" points=\"54.0,286.0 235.0,158.0 "
                        "416.0,30.0 \"><title>line</title></polyline>"));
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"235.0\" cy=\"158.0\" r=\"2.6\" style=\"fill:#0072b2\"/>"));
  EXPECT_THAT(
      svg, HasSubstr("<circle cx=\"235.0\" cy=\"30.0\" r=\"2.6\" style=\"fill:#d55e00\"/>"));  // at the edge
  EXPECT_THAT(svg, HasSubstr("<line class=\"mark\" x1=\"235.0\" y1=\"286.0\" x2=\"235.0\" y2=\"30.0\"/>"));
  // Axes: steps of 2 and of 0.2.
  EXPECT_EQ(occurrences(svg, "<line class=\"grid\""), 12u);
  EXPECT_THAT(svg, HasSubstr("<line class=\"grid\" x1=\"126.4\" y1=\"286.0\" x2=\"126.4\" y2=\"30.0\"/>"
                             "<text x=\"126.4\" y=\"302.0\" text-anchor=\"middle\">2</text>"));
  EXPECT_THAT(svg, HasSubstr("<line class=\"grid\" x1=\"54.0\" y1=\"132.4\" x2=\"416.0\" y2=\"132.4\"/>"
                             "<text x=\"48.0\" y=\"136.4\" text-anchor=\"end\">0.6</text>"));
  EXPECT_THAT(
      svg, HasSubstr("<text class=\"title\" x=\"215.0\" y=\"18\" text-anchor=\"middle\">a title</text>"
                     "<text x=\"235.0\" y=\"320.0\" text-anchor=\"middle\">along</text>"
                     "<text transform=\"translate(13 158.0) rotate(-90)\" text-anchor=\"middle\">up</text>"));
  for (const double outside : {-0.1, 10.1}) {
    c.mark = outside;
    EXPECT_THAT(html::to_svg(c), Not(HasSubstr("class=\"mark\"")));
  }
  c.mark = 10;
  EXPECT_THAT(html::to_svg(c), HasSubstr("class=\"mark\""));
}

TEST(ChartParts, DecadesAreEvenlySpaced) {
  html::Chart c = square();
  c.y_scale = html::Scale::logarithmic;
  c.y_min = 0.01;
  c.y_max = 1;
  c.lines = {{"line", {0, 5, 10}, {0.1, 0, 0.01}}};
  const std::string svg = html::to_svg(c);
  EXPECT_THAT(svg, HasSubstr("points=\"54.0,158.0 416.0,286.0 \""));  // zero has no place
  EXPECT_THAT(svg, AllOf(HasSubstr(">0.01<"), HasSubstr(">0.1<"), HasSubstr(">1<")));
  c.lines = {{"line", {1, 2}, {0.02, 0.03}}};  // within one decade
  c.fit();
  EXPECT_NEAR(c.y_min, 0.01, 1e-12);
  EXPECT_NEAR(c.y_max, 0.1, 1e-12);
  c.lines = {{"line", {1, 2}, {0.1, 0.1}}};  // on its edge
  c.fit();
  EXPECT_NEAR(c.y_max / c.y_min, 10, 1e-9);
}

TEST(ChartParts, FaintLinesLieBehindAndHaveNoDots) {
  html::Chart c = square();
  c.lines = {{"front", {1, 2}, {0.5, 0.6}},
             {.label = "behind", .x = {1, 2}, .y = {0.5, 0.6}, .color = 2, .is_faint = true}};
  const std::string svg = html::to_svg(c);
  EXPECT_LT(svg.find("behind"), svg.find("front"));
  EXPECT_THAT(svg, HasSubstr("<polyline class=\"curve faint\" style=\"stroke:#009e73\""));
  EXPECT_EQ(occurrences(svg, "<circle"), 2u);
  const auto dots = [](std::size_t n) {
    html::Chart many = square();
    many.lines = {{"line", std::vector<double>(n, 1.0), std::vector<double>(n, 0.5)}};
    return occurrences(html::to_svg(many), "<circle");
  };
  EXPECT_EQ(dots(40), 40u);
  EXPECT_EQ(dots(41), 0u);  // longer lines are lines enough
}

// At most five steps of 1, 2 or 5 times a power of ten.
TEST(ChartParts, AxesEndAtRoundNumbers) {
  const auto ends = [](double low, double high) {
    html::Chart c = square();
    c.lines = {{"line", {3, 3}, {low, high}}};
    c.fit();
    EXPECT_EQ(c.x_min, 3);
    EXPECT_EQ(c.x_max, 4);  // one place only
    return std::vector<double>{c.y_min, c.y_max};
  };
  using testing::DoubleNear;
  using testing::ElementsAre;
  const auto near = [](double a, double b) { return ElementsAre(DoubleNear(a, 1e-9), DoubleNear(b, 1e-9)); };
  EXPECT_THAT(ends(0.3, 4.9), near(0, 5));     // 1
  EXPECT_THAT(ends(0.3, 5.5), near(0, 6));     // 5.2 long: 2
  EXPECT_THAT(ends(1, 12), near(0, 15));       // 11 long: 5
  EXPECT_THAT(ends(-30, 21), near(-40, 40));   // 51 long: 20
  EXPECT_THAT(ends(10, 10), near(9.4, 10.6));  // a twentieth of it around
  EXPECT_THAT(ends(0, 0), near(-0.01, 0.01));
}

// Labels are text; points that are no numbers, and those that have no partner, are none.
TEST(ChartParts, OfOddLabelsAndPoints) {
  html::Chart c{.title = "<t>", .x_label = "<x>", .y_label = "<y>"};
  c.lines = {{"<l>", {NAN, 2, INFINITY, 4, 6}, {9, 1, 9, 3, NAN, 7}}};
  c.fit();
  EXPECT_EQ(c.x_min, 2);
  EXPECT_EQ(c.x_max, 4);
  EXPECT_EQ(c.y_min, 1);
  EXPECT_EQ(c.y_max, 3);
  const std::string svg = html::to_svg(c);
  EXPECT_THAT(svg, HasSubstr("points=\"54.0,286.0 416.0,30.0 \"><title>&lt;l&gt;</title>"));
  EXPECT_THAT(svg, AllOf(HasSubstr("aria-label=\"&lt;t&gt;\""), HasSubstr(">&lt;t&gt;</text>"),
                         HasSubstr(">&lt;x&gt;</text>"), HasSubstr(">&lt;y&gt;</text>")));
  for (const char* tag : {"<t>", "<x>", "<y>", "<l>"}) EXPECT_THAT(svg, Not(HasSubstr(tag)));
}

// At what multiples of a step, or which decades, the upright axis has lines.
TEST(ChartParts, TicksReachFromEndToEnd) {
  const auto at = [](double low, double high, html::Scale scale) {
    html::Chart c = square();
    c.y_scale = scale;
    c.y_min = low;
    c.y_max = high;
    const std::string svg = html::to_svg(c), begin = "text-anchor=\"end\">";
    std::vector<std::string> out;
    for (std::size_t i = svg.find(begin); i != std::string::npos; i = svg.find(begin, i + 1)) {
      const std::size_t from = i + begin.size();
      out.push_back(svg.substr(from, svg.find('<', from) - from));
    }
    return out;
  };
  using testing::ElementsAre;
  constexpr auto kLinear = html::Scale::linear, kDecades = html::Scale::logarithmic;
  // Quotients of binary fractions lie a little above 7 and below 3: these are ends all the same.
  EXPECT_THAT(at(0.07, 0.11, kLinear), ElementsAre("0.07", "0.08", "0.09", "0.1", "0.11"));
  EXPECT_THAT(at(-0.1, 0.3, kLinear), ElementsAre("-0.1", "0", "0.1", "0.2", "0.3"));
  EXPECT_THAT(at(0.7, 30.2, kLinear),
              ElementsAre("10", "20", "30"));  // 29.5 long: five steps of 5 are too few
  EXPECT_THAT(at(0.02, 50, kDecades), ElementsAre("0.1", "1", "10"));
  EXPECT_THAT(at(1e-12, 1, kDecades), ElementsAre("1e-12", "1e-10", "1e-08", "1e-06", "0.0001", "0.01", "1"));
  EXPECT_THAT(at(1e-6, 1, kDecades), ElementsAre("1e-06", "1e-05", "0.0001", "0.001", "0.01", "0.1", "1"));
  EXPECT_EQ(at(1e-11, 1, kDecades).size(), 12u);   // each, up to twelve
  EXPECT_THAT(at(0, 1, kDecades), ElementsAre());  // decades without end
}

TEST(Html, FiguresAreAtMost240Wide) {
  EXPECT_THAT(html::figure(test::picture(480, 120, 3), ""), HasSubstr("<img width=\"240\" height=\"60\" "));
  EXPECT_THAT(html::figure(test::picture(120, 480, 3), ""), HasSubstr("<img width=\"60\" height=\"240\" "));
  EXPECT_THAT(html::figure(test::picture(401, 1, 1), "", 200), HasSubstr("<img width=\"200\" height=\"1\" "));
}

TEST(ChartParts, ColoursAndLegends) {
  EXPECT_EQ(html::line_color(0), "#0072b2");
  EXPECT_EQ(html::line_color(7), "#7f7f7f");
  EXPECT_EQ(html::line_color(8), html::line_color(0));
  for (std::size_t a = 0; a < 8; ++a)
    for (std::size_t b = 0; b < a; ++b) EXPECT_NE(html::line_color(a), html::line_color(b));
  EXPECT_EQ(html::legend({{"a&b", {}, {}, 1}, {"c", {}, {}, 0}}),
            "<ul class=\"legend\"><li><span style=\"background:#d55e00\"></span>a&amp;b</li>"
            "<li><span style=\"background:#0072b2\"></span>c</li></ul>");
}

// A run of two epochs of ten steps each, with more settings than usual.
struct Whole {
  TempDir dir;
  RunWriter w{.folder = dir / "run"};
  Whole() {
    w.add_epoch(0, 0.30, 0.09);
    w.add_epoch(1, 0.51, 0.08);
    w.add_epoch(2, 0.46, 0.11);
    w.write();
  }
  void set(const std::string& lines) const {
    const auto toml = read_file(w.folder / "train.toml");
    write_file(w.folder / "train.toml",
               std::string(reinterpret_cast<const char*>(toml.data()), toml.size()) + lines);
  }
  std::string html() const { return run_html(read_run(w.folder)); }
};

TEST(RunPageParts, TheHeadTellsHowFarItIs) {
  const Whole run;
  fs::last_write_time(
      run.w.folder / "log.jsonl",
      std::chrono::file_clock::from_sys(std::chrono::sys_seconds(std::chrono::seconds(1'600'000'000))));
  EXPECT_THAT(
      run.html(),
      HasSubstr("<h1>run</h1><p>2 of 3 epochs are done, the last at 2020-09-13 12:26:40 UTC. This page is "
                "written again after each epoch: reload it to see the newest.</p>"));
  EXPECT_THAT(run.html(), HasSubstr("<title>run - training run</title>"));
  write_file(run.w.folder / "run.json", R"({"status": "stopped"})");
  EXPECT_THAT(run.html(), HasSubstr(" UTC. The run was stopped. This page"));
  write_file(run.w.folder / "run.json", R"({"status": "finished"})");
  EXPECT_THAT(run.html(), Not(HasSubstr("The run was")));
}

TEST(RunPageParts, CardsHaveTheNumbersThatMatter) {
  const Whole run;
  run.set("recipe = \"official\"\nvariant = \"t\"\nsize = 352\nbatch = 12\nfold = \"1/3\"\n");
  EXPECT_THAT(
      run.html(),
      HasSubstr(
          "<div class=\"cards\"><div><b>0.510</b>mDice, best (epoch 1)</div><div><b>0.460</b>mDice, last "
          "epoch</div><div><b>0.300</b>mDice, before training</div><div><b>1.000</b>loss, last epoch</div>"
          "<div><b>official</b>recipe</div><div><b>t</b>variant</div><div><b>352</b>size</div>"
          "<div><b>12</b>batch</div><div><b>0.001</b>lr</div><div><b>1</b>seed</div><div><b>1/3</b>fold</"
          "div></div>"));
}

TEST(RunPageParts, TablesOfEpochsAndSettings) {
  const Whole run;
  const std::string html = run.html();
  EXPECT_THAT(
      html, HasSubstr("<h2>Epochs</h2><div class=\"wide\"><table><thead><tr><th>epoch</th><th>loss</th>"
                      "<th>mDice</th><th>MAE</th></tr></thead><tbody>"
                      "<tr><td>0</td><td>&ndash;</td><td>0.300</td><td>0.090</td></tr>"
                      "<tr class=\"best\"><td>1</td><td>2.000</td><td>0.510</td><td>0.080</td></tr>"
                      "<tr><td>2</td><td>1.000</td><td>0.460</td><td>0.110</td></tr></tbody></table></div>"));
  EXPECT_THAT(
      html,
      HasSubstr(
          "<h2>Configuration</h2><div class=\"wide\"><table><tbody><tr><td>images</td><td "
          "class=\"text\">a b/images, more</td></tr><tr><td>best_by</td><td class=\"text\">dice</td></tr>"));
}

TEST(RunPageParts, CommandsThatGoOn) {
  const Whole run;
  const std::string folder = run.w.folder.string();
  const auto command = [&](const std::string& what, const std::string& line) {
    return HasSubstr("<p>" + what + "</p><pre>" + line + "</pre>");
  };
  for (const char* file : {"best.safetensors", "state.safetensors"}) write_file(run.w.folder / file, "x");
  EXPECT_THAT(run.html(), command("Segment pictures", "sam2unet predict PICTURES -o out --weights " + folder +
                                                          "/best.safetensors"));
  EXPECT_THAT(run.html(), command("Score it, with intervals and its worst pictures",
                                  "sam2unet eval --weights " + folder +
                                      "/best.safetensors --images PICTURES --gt MASKS --html scores.html"));
  EXPECT_THAT(run.html(), command("Make it smaller", "sam2unet convert " + folder +
                                                         "/best.safetensors small.safetensors --dtype f16"));
  EXPECT_THAT(run.html(), command("Go on where it stopped", "sam2unet train --resume --out " + folder));
  EXPECT_THAT(run.html(), Not(HasSubstr("Make it longer")));
  EXPECT_THAT(run.html(),
              command("Train again with another seed, and compare",
                      "sam2unet train --config " + folder +
                          "/train.toml --seed 2 --out OTHER\nsam2unet report " + folder + " OTHER"));
  write_file(run.w.folder / "run.json", R"({"status": "stopped early"})");
  EXPECT_THAT(run.html(), Not(HasSubstr("Go on where it stopped")));
  run.set("val_images = [\"v/a b\", \"v/c\"]\nval_masks = \"it's\"\n");
  EXPECT_THAT(run.html(), HasSubstr("--images 'v/a b' --gt 'it'\\''s' --html"));
}

TEST(RunPageParts, HowMuchLongerAndWhichSeed) {
  const auto page = [](int epochs, const std::string& seed) {
    const TempDir dir;
    RunWriter w{.folder = dir / "run", .seed = seed, .epochs = std::to_string(epochs)};
    w.add_epoch(epochs, 0.3, 0.1);
    w.write();
    write_file(w.folder / "state.safetensors", "x");
    return run_html(read_run(w.folder));
  };
  EXPECT_THAT(page(1, "2"), AllOf(HasSubstr(" --epochs 2</pre>"), HasSubstr(" --seed 3 --out")));
  EXPECT_THAT(page(10, "1"), AllOf(HasSubstr("<p>Make it longer</p>"), HasSubstr(" --epochs 15</pre>"),
                                   HasSubstr(" --seed 2 --out")));
}

// Steps stand at the part of an epoch they are: the twentieth of two epochs of ten at 2, the right end.
TEST(RunPageParts, StepsAndEpochsShareAnAxis) {
  const Whole run;
  std::string steps;
  for (int i = 1; i <= 20; ++i)
    steps += "{\"step\":" + std::to_string(i) +
             ",\"loss\":1,\"lr\":0.001,\"gradient_norm\":2,\"pictures_per_s\":3}\n";
  write_file(run.w.folder / "steps.jsonl", steps);
  const std::string html = run.html();
  const std::size_t end = html.find("\"><title>single steps</title>");
  ASSERT_NE(end, std::string::npos);
  const std::string points = html.substr(html.rfind("points=\"", end), end - html.rfind("points=\"", end));
  EXPECT_THAT(points, HasSubstr(" 416.0,"));
  EXPECT_EQ(occurrences(points, ","), 20u);
  EXPECT_THAT(points, Not(HasSubstr(" 416.1")));
  EXPECT_THAT(html, AllOf(HasSubstr("mean of the epoch"), HasSubstr("sum over the outputs"),
                          HasSubstr(">before clipping<"), HasSubstr(">pictures a second<"),
                          HasSubstr("<title>learning rate</title>"),
                          HasSubstr("<p>The dashed line is the best epoch, by mDice.</p>"),
                          HasSubstr("<summary>Learning rate, gradients, speed</summary>")));
  EXPECT_EQ(occurrences(html, "class=\"mark\""), 2u);
}

TEST(RunPageParts, PicturesHaveThreePanels) {
  const Whole run;
  for (int i = 0; i < 14; ++i) run.w.add_picture("p" + std::to_string(100 + i), 90);
  write_png(run.w.folder / "validation" / "narrow.png", Image(2, 5, 3));
  const TrainingRun read = read_run(run.w.folder);
  const std::string rows = report::picture_rows(read);
  EXPECT_EQ(occurrences(rows, "<h3>"), 12u);  // the first of them
  EXPECT_THAT(rows, testing::StartsWith(
                        "<h2>Validation pictures, after the last epoch</h2><div class=\"case\"><h3>"));
  EXPECT_EQ(occurrences(rows, "<figcaption>picture</figcaption>"),
            occurrences(rows, "<figcaption>map</figcaption>"));
  EXPECT_EQ(occurrences(rows, "<figcaption>ground truth</figcaption>"),
            occurrences(rows, "<figcaption>map</figcaption>"));
  EXPECT_THAT(rows, HasSubstr("narrow.png: no three panels</p>"));
  // Each panel is its own: 40 of the picture, 255 of the truth, 90 of the map.
  std::size_t at = 0;  // in the order of their names, whichever the folder's is
  for (int i = 0; i < 11; ++i) {
    const std::size_t next = rows.find("<h3>p" + std::to_string(100 + i) + "</h3>");
    ASSERT_NE(next, std::string::npos) << i;
    EXPECT_GT(next, at) << i;
    at = next;
  }
  at = rows.find("<h3>p100</h3>");
  for (const int level : {40, 255, 90}) {
    at = rows.find("<figure>", at + 1);
    const Image panel = decode_image(picture_in(rows.substr(at)), {.mode = ColorMode::rgb});
    EXPECT_EQ(panel.width, 20);
    EXPECT_EQ(panel.height, 10);
    EXPECT_EQ(panel.pixels, std::vector<std::uint8_t>(600, static_cast<std::uint8_t>(level)));
  }
}

TEST(ComparePageParts, TablesOfValuesAndSettings) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (int i = 0; i < 2; ++i) {
    RunWriter w{.folder = dir / ("run" + std::to_string(i)), .lr = i == 0 ? "0.1" : "0.2"};
    w.add_epoch(1, 0.80 + 0.02 * i, 0.1 + 0.1 * i);
    w.add_epoch(2, 0.70, 0.3);
    w.write();
    for (int k = 0; k < 9; ++k) w.add_picture("shared" + std::to_string(k), 0);
    folders.push_back(w.folder);
  }
  const std::vector<TrainingRun> runs = read_runs(folders);
  const std::string html = runs_html(runs);
  EXPECT_THAT(
      html,
      HasSubstr(
          "<h1>2 training runs</h1><p>Each at its best epoch, by the value it was told to decide by.</p>"
          "<div class=\"wide\"><table><thead><tr><th>run</th><th>best epoch</th>"
          "<th>mDice&thinsp;&uarr;</th><th>MAE&thinsp;&darr;</th></tr></thead><tbody>"
          "<tr><td>run0</td><td>1 of 3</td><td>0.800</td><td class=\"best\">0.100</td></tr>"
          "<tr><td>run1</td><td>1 of 3</td><td class=\"best\">0.820</td><td>0.200</td></tr>"
          "</tbody></table></div><h2>In what they differ</h2><div class=\"wide\"><table><thead><tr>"
          "<th>setting</th><th>run0</th><th>run1</th></tr></thead><tbody>"
          "<tr><td>lr</td><td>0.1</td><td>0.2</td></tr></tbody></table></div>"
          "<h2>Curves</h2><div class=\"charts\"><div><svg"));
  EXPECT_THAT(html, AllOf(HasSubstr(">Loss of the epoch</text>"), HasSubstr(">mDice</text>"),
                          HasSubstr(">MAE</text>"), HasSubstr("<title>Training runs</title>"),
                          Not(HasSubstr("Mean &plusmn;"))));
  EXPECT_EQ(occurrences(html, "<div class=\"case\">"), 8u);  // of nine shared pictures
  EXPECT_EQ(occurrences(html, "<figcaption>run1</figcaption>"), 8u);
  const std::vector<TrainingRun> twice{runs[0], runs[0]};
  EXPECT_THAT(runs_html(twice), HasSubstr("<p>All settings are the same.</p>"));
  TrainingRun none;
  none.name = "none";
  const std::vector<TrainingRun> with_none{runs[0], none};
  EXPECT_THAT(runs_html(with_none),
              HasSubstr("<tr><td>none</td><td>&ndash;</td><td>&ndash;</td><td>&ndash;</td></tr>"));
}

TEST(ComparePageParts, GroupsHaveARowOfMeans) {
  const TempDir dir;
  std::vector<fs::path> folders;
  for (int i = 0; i < 2; ++i) {
    RunWriter w{.folder = dir / ("run" + std::to_string(i)), .seed = std::to_string(i)};
    w.add_epoch(1, 0.80 + 0.02 * i, 0.1);
    w.write();
    folders.push_back(w.folder);
  }
  EXPECT_THAT(
      runs_html(read_runs(folders)),
      AllOf(
          HasSubstr("<tr class=\"mean\"><td>mean of 2<small>run0, run1</small></td><td></td>"
                    "<td>0.810 &plusmn; 0.014<small>0.800 &ndash; 0.820</small></td>"
                    "<td>0.100 &plusmn; 0.000<small>0.100 &ndash; 0.100</small></td></tr>"),
          HasSubstr(
              "<p>Mean &plusmn; standard deviation (n &minus; 1), and the range, of runs that differ in seed "
              "or fold alone.</p>")));
}

TEST(ComparePageParts, CautionsNameWhatDiffers) {
  for (const char* key : {"val_images", "val_split", "fold"}) {
    std::vector<TrainingRun> runs(2);
    for (std::size_t i = 0; i < 2; ++i) runs[i].settings = {{key, std::to_string(i + 1)}};
    EXPECT_THAT(runs_html(runs),
                HasSubstr("<p class=\"warn\">These runs were not all validated on the same pictures (" +
                          std::string(key) + " differs): compare their values with care.</p>"));
  }
}

TEST(RunFolders, NumbersOutOfRangeAreCut) {
  const TempDir dir;
  RunWriter w{.folder = dir / "run", .epochs = "\"many\""};
  w.log = {R"({"epoch":-3,"step":-5,"loss":1})", R"({"epoch":1e300,"step":1e300,"loss":2})",
           R"({"epoch":7,"loss":3})"};
  w.write();
  const TrainingRun run = read_run(w.folder);
  ASSERT_EQ(run.epochs.size(), 3u);
  EXPECT_EQ(run.epochs[0].epoch, 0);
  EXPECT_EQ(run.epochs[0].step, 0);
  EXPECT_EQ(run.epochs[1].epoch, 1'000'000'000);
  EXPECT_EQ(run.epochs[1].step, 1'000'000'000'000'000);
  EXPECT_EQ(run.epochs[2].step, 0);
  EXPECT_EQ(run.epochs_planned, 0);
  EXPECT_EQ(run.epochs[0].values.size(), 1u);  // neither epoch nor step is a value
}

}  // namespace
}  // namespace sam2unet
