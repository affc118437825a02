// The pages of evaluations number by number: where curves lie, what stands in which column and beside what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "folders.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/evaluate.h"
#include "support/occurrences.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using test::occurrences;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Evaluation evaluation(const std::string& name, double mae) {
  Evaluation e;
  e.name = name;
  e.counted = 3;
  e.dataset = {{"S", 0.5}, {"MAE", mae}};
  e.image_keys = {"S", "MAE"};
  e.curves = {{1, 0.5}, {0, 0.25}, {0.25, 0.75}, {0.5, 1}};  // precision, recall, F, E
  return e;
}

std::string curve(const std::string& color, const std::string& points, const std::string& label) {
  return "<polyline class=\"curve\" style=\"stroke:" + color + "\" points=\"" + points + " \"><title>" +
         label + "</title></polyline>";
}
std::string labels(const std::string& title, const std::string& along, const std::string& up) {
  return ">" + title + "</text><text x=\"235.0\" y=\"320.0\" text-anchor=\"middle\">" + along +
         "</text><text transform=\"translate(13 158.0) rotate(-90)\" text-anchor=\"middle\">" + up +
         "</text>";
}

// From 0 to 1 along 362 and up 256 pixels; thresholds go to 255.
TEST(EvaluationPage, CurvesLieWhereTheirNumbersAre) {
  const std::vector<Evaluation> all{evaluation("a", 0.1), evaluation("<b>", 0.2)};
  const std::string page = to_html(all);
  for (const auto& [color, name] : {std::pair("#0072b2", "a"), {"#d55e00", "&lt;b&gt;"}}) {
    EXPECT_THAT(page, HasSubstr(curve(color, "54.0,30.0 144.5,158.0", name)));  // precision by recall
    EXPECT_THAT(page, HasSubstr(curve(color, "54.0,222.0 55.4,94.0", name)));   // F by threshold
    EXPECT_THAT(page, HasSubstr(curve(color, "54.0,158.0 55.4,30.0", name)));   // E by threshold
  }
  EXPECT_THAT(page,
              AllOf(HasSubstr(labels("Precision and recall", "recall", "precision")),
                    HasSubstr(labels("F-measure by threshold", "threshold", "F (\xce\xb2\xc2\xb2 = 0.3)")),
                    HasSubstr(labels("E-measure by threshold", "threshold", "E"))));
  EXPECT_LT(page.find(">Precision and recall<"), page.find(">F-measure by threshold<"));
  EXPECT_LT(page.find(">F-measure by threshold<"), page.find(">E-measure by threshold<"));
  EXPECT_EQ(occurrences(page,
                        "<ul class=\"legend\"><li><span style=\"background:#0072b2\"></span>a</li><li><span "
                        "style=\"background:#d55e00\"></span>&lt;b&gt;</li></ul>"),
            1U);
}

// The last threshold is at the right end.
TEST(EvaluationPage, ThresholdsReachTo255) {
  Evaluation e = evaluation("a", 0.1);
  e.curves.f.assign(256, 0.25);
  e.curves.e.assign(256, 0.75);
  const std::string page = to_html(std::span(&e, 1));
  EXPECT_THAT(page, AllOf(HasSubstr(" 414.6,222.0 416.0,222.0 \"><title>a"),
                          HasSubstr(" 414.6,94.0 416.0,94.0 \"><title>a")));
}

TEST(EvaluationPage, TablesOfSeveralAndWhatWasPublished) {
  const std::vector<Evaluation> all{evaluation("a", 0.25), evaluation("<b>", 0.125)};
  const PublishedResult row{"cod", "<set>", {{"MAE", 0.375}, {"E_mean", 0.75}}, "<table>", false};
  ReportOptions options;
  options.title = "of two";
  options.protocol = "cod";
  options.published = &row;
  const std::string page = to_html(all, options);
  EXPECT_THAT(page, HasSubstr("<title>of two</title>"));
  EXPECT_THAT(page, HasSubstr("<h1>of two</h1><ul><li>a: 3 pictures counted;"));
  EXPECT_THAT(
      page,
      HasSubstr(
          "<tr><th>method</th><th>images</th><th>S&thinsp;&uarr;</th><th>F&thinsp;&uarr;</th><th>E&thinsp;"
          "&uarr;</th><th>MAE&thinsp;&darr;</th></tr></thead><tbody>"
          "<tr><td>a</td><td>3</td><td class=\"best\">0.500</td><td>&ndash;</td><td>&ndash;</td>"
          "<td>0.250</td></tr>"
          "<tr><td>&lt;b&gt;</td><td>3</td><td class=\"best\">0.500</td><td>&ndash;</td><td>&ndash;</td>"
          "<td class=\"best\">0.125</td></tr>"
          "<tr class=\"paper\"><td>SAM2-UNet (published)</td><td></td><td>&ndash;</td><td>&ndash;</td>"
          "<td>0.750</td><td>0.375</td></tr></tbody></table></div>"
          "<p>Published row: &lt;set&gt;, &lt;table&gt;.</p>"));
  EXPECT_THAT(
      page, HasSubstr("<details><summary>All values</summary><div class=\"wide\"><table><thead><tr><th>value"
                      "</th><th>a</th><th>&lt;b&gt;</th></tr></thead><tbody><tr><td>S</td>"));
  EXPECT_THAT(page, HasSubstr("<tr><td>MAE</td><td>0.250</td><td class=\"best\">0.125</td></tr>"));
  std::size_t at = 0;
  for (const char* part : {"<h1>", "<tr class=\"paper\">", "All values", "<h2>Curves</h2>"}) {
    EXPECT_GT(page.find(part), at) << part;
    at = page.find(part);
  }
  // Of one nothing is best, and nothing is said of what was not published.
  const std::string one = to_html(std::span(all).first(1));
  EXPECT_THAT(one,
              AllOf(Not(HasSubstr("class=\"best\"")), Not(HasSubstr("ublished")), Not(HasSubstr("Worst"))));
}

TEST(EvaluationPage, TheWorstByTheValueThatWasAskedFor) {
  const test::MapFolders f;
  Image picture(480, 20, 3);
  write_png(f.dir / "p.png", picture);
  write_png(f.dir / "t.png", Image(240, 120, 1));
  write_png(f.dir / "m.png", Image(30, 60, 1));
  Evaluation e = evaluation("<m>", 0.1);
  for (const auto& [name, mae] : {std::pair("<x>", 0.25), {"y", 0.75}, {"z", 0.5}}) {
    EvaluatedImage image;
    image.name = name;
    image.picture = f.dir / "p.png";
    image.truth = f.dir / "t.png";
    image.prediction = f.dir / "m.png";
    image.values = {0.0625, mae};
    e.images.push_back(image);
  }
  e.images[2].truth = f.dir / "gone<>.png";
  ReportOptions options;
  options.worst_by = "MAE";
  options.worst = 2;
  const std::string page = to_html(std::span(&e, 1), options);
  EXPECT_THAT(page,
              HasSubstr("<h2>Worst by MAE: &lt;m&gt;</h2><div class=\"case\"><h3>y &middot; MAE 0.750</h3>"
                        "<figure><img width=\"240\" height=\"10\" alt=\"picture\""));
  EXPECT_THAT(
      page,
      HasSubstr("</figcaption></figure><figure><img width=\"240\" height=\"120\" alt=\"ground truth\""));
  EXPECT_THAT(page,
              HasSubstr("</figcaption></figure><figure><img width=\"30\" height=\"60\" alt=\"prediction\""));
  EXPECT_THAT(page, HasSubstr("<h3>z &middot; MAE 0.500</h3>"));
  EXPECT_THAT(page, AllOf(HasSubstr("gone&lt;&gt;.png"), Not(HasSubstr("gone<"))));
  EXPECT_EQ(occurrences(page, "<h3>"), 2U);
  options.worst = 3;
  EXPECT_THAT(to_html(std::span(&e, 1), options), HasSubstr("<h3>&lt;x&gt; &middot; MAE 0.250</h3>"));
  // Where no map was written it is made again, of that picture.
  for (EvaluatedImage& image : e.images) image.prediction.clear();
  options.predictor = [](const ImageView& p) { return Image(p.width / 4, p.height, 1); };
  EXPECT_THAT(to_html(std::span(&e, 1), options),
              HasSubstr("<img width=\"120\" height=\"20\" alt=\"prediction\""));
}

// The photo is stored 11x6 and shown 6x11.
std::string shown(const std::string& what, bool upright) {
  return std::string("<img width=\"") + (upright ? "6\" height=\"11" : "11\" height=\"6") + "\" alt=\"" +
         what + "\"";
}

TEST(EvaluationPage, WhatIsShownIsTurnedAsItWasScored) {
  const auto photo = test::repository_data() / "image" / "files" / "exif6.jpg";
  Evaluation e = evaluation("m", 0.1);
  e.images.emplace_back();
  e.images[0].counted = true;
  e.images[0].values = {0.5, 0.1};
  e.images[0].picture = e.images[0].truth = e.images[0].prediction = photo;
  ReportOptions options;
  for (const bool upright : {true, false}) {
    options.apply_exif_orientation = upright;
    const std::string page = to_html(std::span(&e, 1), options);
    for (const char* what : {"picture", "ground truth", "prediction"})
      EXPECT_THAT(page, HasSubstr(shown(what, upright))) << upright;
  }
}

ClassEvaluation of_two_classes() {
  ClassEvaluation e;
  e.name = "<m>";
  e.table = default_class_table(2);
  e.table.classes[1].name = "<c>";
  e.classes.resize(2);
  e.classes[1] = {50, 60, 30, {"IoU", 0.1}, {"Dice", 0.2}, {"precision", 0.3}, {"recall", 0.4}};
  for (const char* key :
       {"mIoU", "mDice", "mAcc", "aAcc", "foreground.mIoU", "foreground.mDice", "per_image.mIoU"})
    e.dataset.push_back({key, 0.1 * static_cast<double>(e.dataset.size() + 1)});
  e.confusion = {3, 1, 0,  //
                 2, 6, 0};
  e.image_keys = class_image_keys();
  e.ignored = 4;
  return e;
}

TEST(ClassPage, EachValueInItsColumn) {
  const ClassEvaluation e = of_two_classes();
  const std::string page = to_html(std::span(&e, 1));
  EXPECT_THAT(page,
              HasSubstr("<th>method</th><th>images</th><th>mIoU</th><th>mDice</th><th>mAcc</th><th>aAcc</th>"
                        "<th>mIoU*</th><th>mDice*</th><th>mIoU&dagger;</th></tr></thead><tbody>"
                        "<tr><td>&lt;m&gt;</td><td>0</td><td>0.100</td><td>0.200</td><td>0.300</td><td>0.400"
                        "</td><td>0.500</td><td>0.600</td><td>0.700</td></tr>"));
  EXPECT_THAT(page, HasSubstr("<th>class</th><th>IoU</th><th>Dice</th><th>precision</th><th>recall</th>"
                              "<th>pixels in the truth</th><th>predicted</th></tr></thead><tbody>"));
  EXPECT_THAT(page,
              HasSubstr("1 &lt;c&gt;</td><td>0.100</td><td>0.200</td><td>0.300</td><td>0.400</td><td>50</td>"
                        "<td>60</td></tr></tbody>"));
  EXPECT_THAT(page, Not(HasSubstr("<c>")));
  // 150 and 130 pixels beside and above the cells of 56.
  EXPECT_THAT(page, HasSubstr("<rect x=\"206.0\" y=\"130.0\" width=\"56.0\" height=\"56.0\" fill=\"#d55e00\" "
                              "fill-opacity=\"0.250\""));
  EXPECT_THAT(page,
              HasSubstr("<text font-size=\"10\" text-anchor=\"middle\" x=\"234.0\" y=\"161.5\">25.0</text>"));
  EXPECT_THAT(page, HasSubstr("<rect x=\"206.0\" y=\"186.0\" width=\"56.0\" height=\"56.0\" fill=\"#0072b2\" "
                              "fill-opacity=\"0.750\""));
  EXPECT_THAT(
      page, HasSubstr("<text font-size=\"11.0\" transform=\"translate(237.0 124.0) rotate(-60)\">&lt;c&gt;"));
  EXPECT_THAT(page,
              HasSubstr("<text font-size=\"11.0\" text-anchor=\"end\" x=\"144.0\" y=\"217.7\">&lt;c&gt;"));
  EXPECT_THAT(page, HasSubstr("<li>&lt;m&gt;: 0 pictures scored; 4 pixels ignored</li>"));
  EXPECT_THAT(page, HasSubstr("<h2>Classes: &lt;m&gt;</h2>"));
  EXPECT_THAT(page, HasSubstr("<h2>Who is taken for whom: &lt;m&gt;</h2>"));
  const std::string csv = dataset_csv(std::span(&e, 1));
  EXPECT_THAT(csv, testing::EndsWith("<m>,<c>,IoU,0.1,,\n<m>,<c>,Dice,0.2,,\n<m>,<c>,precision,0.3,,\n"
                                     "<m>,<c>,recall,0.4,,\n<m>,<c>,truth_pixels,50,,\n"
                                     "<m>,<c>,predicted_pixels,60,,\n"));
}

// Where no ids were written they are made again, of the picture as it was scored, and shown in the classes'
// colours as those of a file are.
TEST(ClassPage, WhatIsShownOfTheWorst) {
  const test::MapFolders f;
  const auto ids_of = [](const ImageView& p) {
    Image out(p.width, p.height, 1);
    out.pixels[7] = 1;
    return out;
  };
  write_png(f.dir / "t.png", Image(6, 11, 1));
  ClassEvaluation e = of_two_classes();
  e.images.emplace_back();
  e.images[0].name = "<x>";
  e.images[0].truth = f.dir / "t.png";
  e.images[0].picture = test::repository_data() / "image" / "files" / "exif6.jpg";
  e.images[0].values.assign(e.image_keys.size(), 0.25);
  ReportOptions options;
  EXPECT_THAT(to_html(std::span(&e, 1), options), Not(HasSubstr("\"prediction\"")));
  options.predictor = ids_of;
  for (const bool upright : {true, false}) {
    options.apply_exif_orientation = upright;
    e.images[0].prediction.clear();
    const std::string page = to_html(std::span(&e, 1), options);
    EXPECT_THAT(
        page, AllOf(HasSubstr("<h2>Worst by mIoU: &lt;m&gt;</h2>"),
                    HasSubstr("<h3>&lt;x&gt; &middot; mIoU 0.250</h3>"), HasSubstr(shown("picture", upright)),
                    HasSubstr(shown("ground truth", true)), HasSubstr(shown("prediction", upright))));
    write_png(f.dir / "p.png", ids_of(upright ? Image(6, 11, 3) : Image(11, 6, 3)));
    e.images[0].prediction = f.dir / "p.png";
    EXPECT_EQ(to_html(std::span(&e, 1), options), page);
  }
  options.worst = 0;
  EXPECT_THAT(to_html(std::span(&e, 1), options), Not(HasSubstr("Worst")));
}

// Of the measures that classes have; the default is one that only maps have.
TEST(ClassPage, TheWorstAreByTheMeasureThatIsNamed) {
  ClassEvaluation e = of_two_classes();
  const auto column = static_cast<std::size_t>(std::find(e.image_keys.begin(), e.image_keys.end(), "aAcc") -
                                               e.image_keys.begin());
  ASSERT_LT(column, e.image_keys.size());
  for (const double first : {0.25, 0.75}) {
    e.images.emplace_back();
    e.images.back().name = first < 0.5 ? "low" : "high";
    e.images.back().values.assign(e.image_keys.size(), first);
    e.images.back().values[column] = 1 - first;
  }
  ReportOptions options;
  options.worst = 1;
  EXPECT_THAT(to_html(std::span(&e, 1), options),
              AllOf(HasSubstr("<h3>low &middot; mIoU 0.250</h3>"), Not(HasSubstr("<h3>high"))));
  options.worst_by = "aAcc";
  EXPECT_THAT(to_html(std::span(&e, 1), options),
              AllOf(HasSubstr("<h2>Worst by aAcc: "), HasSubstr("<h3>high &middot; aAcc 0.250</h3>"),
                    Not(HasSubstr("<h3>low"))));
}

TEST(ClassPage, TheJsonOfEachClass) {
  ClassEvaluation e = of_two_classes();
  e.table.classes[1].color = {1, 2, 255};
  nlohmann::json each = nlohmann::json::parse(to_json(std::span(&e, 1))).at("classes").at("each").at(1);
  EXPECT_EQ(each, nlohmann::json::parse(R"({"id": 1, "name": "<c>", "color": "#0102ff", "truth_pixels": 50,
      "predicted_pixels": 60, "right_pixels": 30, "IoU": 0.1, "Dice": 0.2, "precision": 0.3, "recall": 0.4})"));
  const nlohmann::json confusion =
      nlohmann::json::parse(to_json(std::span(&e, 1))).at("classes").at("confusion");
  EXPECT_EQ(confusion,
            nlohmann::json::parse(R"({"rows": "ground truth", "columns": ["background", "<c>", null],
      "pixels": [[3, 1, 0], [2, 6, 0]]})"));
}

}  // namespace
}  // namespace sam2unet
