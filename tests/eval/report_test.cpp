// What is written about evaluations: JSON, CSV, the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "folders.h"
#include "sam2unet/errors.h"
#include "support/occurrences.h"
#include "support/shared_data.h"

namespace sam2unet {
namespace {

using nlohmann::json;
using test::MapFolders;
using testing::HasSubstr;
using testing::Not;

std::vector<Evaluation> two_methods(const MapFolders& f) {
  f.put_discs(4);
  EvaluateOptions o;
  o.resamples = 40;
  std::vector<Evaluation> out{evaluate(f.pred(), f.gt(), o)};
  o.name = "<perfect & \"quoted\", too>";
  std::filesystem::copy(f.gt(), f.dir / "perfect");  // a folder is not scored against itself
  out.push_back(evaluate(f.dir / "perfect", f.gt(), o));
  return out;
}

// Every key of the reference's file, at the same place.
TEST(Json, HasTheKeysAndNestingOfTheReference) {
  const MapFolders f;
  const std::vector<Evaluation> all = two_methods(f);
  const json ours = json::parse(to_json(std::span(all).first(1)));
  const json theirs =
      json::parse(std::ifstream(test::repository_data() / "metrics" / "expected.json")).at("dss40");
  for (const auto& [key, value] : theirs.at("dataset").items()) {
    ASSERT_TRUE(ours.at("dataset").contains(key)) << key;
    if (!value.is_object()) continue;
    for (const auto& [inner, number] : value.items())
      EXPECT_TRUE(ours.at("dataset").at(key).at(inner).is_number()) << key << inner;
  }
  for (const auto& [key, value] : theirs.at("per_image").at(0).items())
    EXPECT_TRUE(ours.at("per_image").at(0).contains(key)) << key;
  EXPECT_EQ(ours.at("count"), 4);
  EXPECT_EQ(ours.at("per_image").at(1).at("name"), "b.png");
  EXPECT_TRUE(ours.at("dataset").at("CCM").is_null());
  EXPECT_EQ(ours.at("dataset").at("S").get<double>(), all[0].value("S"));  // to the last bit
  EXPECT_EQ(ours.at("curves").at("precision").size(), 256u);
  const json interval = ours.at("intervals").at("fm").at("max");
  EXPECT_LE(interval.at(0), interval.at(1));
}

// A map that is white all over finds everything, and half of what it says is right: at every threshold, for
// what is equal to it counts as above.
TEST(Json, CurvesOfAWhiteMap) {
  const MapFolders f;
  Image white(40, 20, 1), truth(40, 20, 1);
  white.pixels.assign(white.pixels.size(), 255);
  std::fill_n(truth.row(0), 40 * 10, std::uint8_t{255});
  f.put("a", white, truth);
  EvaluateOptions o;
  o.resamples = 0;
  const std::vector<Evaluation> all{evaluate(f.pred(), f.gt(), o)};
  const json curves = json::parse(to_json(all)).at("curves");
  for (const std::size_t threshold : {0, 100, 255}) {
    EXPECT_NEAR(curves.at("precision").at(threshold).get<double>(), 0.5, 1e-9) << threshold;
    EXPECT_NEAR(curves.at("recall").at(threshold).get<double>(), 1.0, 1e-9) << threshold;
  }
}

TEST(Json, SeveralMethodsByName) {
  const MapFolders f;
  const std::vector<Evaluation> all = two_methods(f);
  const json ours = json::parse(to_json(all));
  EXPECT_EQ(ours.size(), 2u);
  EXPECT_EQ(ours.at("<perfect & \"quoted\", too>").at("dataset").at("MAE"), 0);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(Csv, ARowPerPictureAndPerValue) {
  const MapFolders f;
  const std::vector<Evaluation> all = two_methods(f);
  const std::vector<std::string> images = lines_of(images_csv(all));
  ASSERT_EQ(images.size(), 9u);
  EXPECT_THAT(images[0], HasSubstr("method,name,width,height,empty_truth,counted,resized,S,E_adp"));
  EXPECT_THAT(images[1], HasSubstr("maps,a.png,60,40,0,1,0,"));
  EXPECT_THAT(images[5], HasSubstr("\"<perfect & \"\"quoted\"\", too>\",a.png"));
  const auto commas = [](const std::string& s) { return std::count(s.begin(), s.end(), ','); };
  EXPECT_EQ(commas(images[0]), commas(images[1]));
  const std::vector<std::string> values = lines_of(dataset_csv(all));
  EXPECT_EQ(values.size(), 1 + 2 * all[0].dataset.size());
  EXPECT_EQ(values[0], "name,key,value,low,high");
}

// RFC 4180, 2.6 and 2.7: what holds a comma, a quote or an end of a line stands in quotes; nothing else does.
TEST(Csv, EachOfWhatNeedsQuotesHasThem) {
  Evaluation e;
  e.name = "it";
  e.dataset = {{"MAE", 0.25}};
  const auto row = [&](const char* name) {
    e.name = name;
    const std::string text = dataset_csv({&e, 1});
    return text.substr(text.find('\n') + 1);
  };
  EXPECT_THAT(row("a b"), testing::StartsWith("a b,MAE,0.25,"));
  EXPECT_THAT(row("a\"b"), testing::StartsWith("\"a\"\"b\",MAE,"));
  EXPECT_THAT(row("a,b"), testing::StartsWith("\"a,b\",MAE,"));
  EXPECT_THAT(row("a\nb"), testing::StartsWith("\"a\nb\",MAE,"));
  EXPECT_THAT(row("a\rb"), testing::StartsWith("\"a\rb\",MAE,"));
}

TEST(Html, IsOneFileWithEverythingInIt) {
  const MapFolders f;
  const std::vector<Evaluation> all = two_methods(f);
  ReportOptions o;
  o.title = "Discs <1>";
  o.protocol = "cod";
  o.worst = 2;
  o.published = find_published("CAMO");
  const std::string page = to_html(all, o);
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page, HasSubstr("Discs &lt;1&gt;"));
  EXPECT_THAT(page, HasSubstr("&lt;perfect &amp; &quot;quoted&quot;, too&gt;"));
  EXPECT_THAT(page, HasSubstr("SAM2-UNet (published)"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("data:image/png;base64,iVBOR"));
  // Nothing is fetched, nothing runs.
  for (const char* outside : {"src=\"http", "href=", "<script", "@import", "url("})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  EXPECT_EQ(test::occurrences(page, "<img"), 2u * 2u * 2u);  // two methods, two worst, truth and prediction
}

TEST(Html, TheBestOfAnErrorIsTheSmallest) {
  const MapFolders f;
  std::vector<Evaluation> all(3, two_methods(f)[0]);
  const std::vector<double> s{0.712, 0.831, 0.623}, mae{0.043, 0.052, 0.031};
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].name = std::string(1, static_cast<char>('a' + i));
    for (MetricValue& v : all[i].dataset) {
      v.value = v.key == "S" ? s[i] : v.key == "MAE" ? mae[i] : std::nan("");
    }
  }
  const std::string page = to_html(all, {});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto marked = [&](double value) {
      return page.find("<td class=\"best\">" + std::to_string(value).substr(0, 5)) != std::string::npos;
    };
    EXPECT_EQ(marked(s[i]), i == 1) << i;
    EXPECT_EQ(marked(mae[i]), i == 2) << i;
  }
}

TEST(Html, ShowsWhatThePredictorMakes) {
  const MapFolders f;
  f.put_discs(2);
  EvaluateOptions e;
  e.pictures = f.pred();
  e.resamples = 0;
  ReportOptions o;
  o.predictor = [](const ImageView& picture) { return Image(picture.width, picture.height, 1); };
  const std::vector<Evaluation> all{evaluate(o.predictor, f.gt(), e)};
  EXPECT_THAT(to_html(all, o), HasSubstr(">prediction<"));
  std::filesystem::remove(f.gt() / "a.png");  // gone since: said in its place
  EXPECT_THAT(to_html(all, o), HasSubstr("a.png"));
}

TEST(Columns, AreThoseOfTheFieldsTables) {
  const auto titles = [](const char* protocol) {
    std::string out;
    for (const TableColumn& c : table_columns(protocol)) out += c.title + " ";
    return out;
  };
  EXPECT_EQ(titles("cod"), "S F E MAE ");
  EXPECT_EQ(titles("sod"), "S E MAE ");
  EXPECT_EQ(titles("marine"), "mIoU S wF mE MAE ");
  EXPECT_EQ(titles("mirror"), "IoU F MAE ");
  EXPECT_EQ(titles("polyp"), "mDice mIoU ");
  EXPECT_THROW(table_columns("other"), UsageError);
  const MapFolders f;
  f.put_discs(1);
  const Evaluation e = evaluate(f.pred(), f.gt());
  for (const char* p : {"common", "cod", "sod", "marine", "mirror", "polyp"}) {
    for (const TableColumn& c : table_columns(p)) EXPECT_TRUE(std::isfinite(e.value(c.key))) << c.key;
  }
  EXPECT_EQ(table_columns("all").size(), e.dataset.size());
}

TEST(Json, SaysHowItWasCountedAndWhatWentWrong) {
  const MapFolders f;
  f.put_discs(3);
  f.put("z", Image(30, 30, 1), Image(30, 30, 1));
  std::ofstream(f.pred() / "b.png") << "no picture";
  std::filesystem::remove(f.gt() / "c.png");
  EvaluateOptions o;
  o.resamples = 17;
  o.seed = 5;
  o.empty = EmptyPolicy::skip;
  const auto written = [&] {
    const std::vector<Evaluation> all{evaluate(f.pred(), f.gt(), o)};
    return json::parse(to_json(all));
  };
  json j = written();
  EXPECT_EQ(j.at("name"), "maps");
  EXPECT_EQ(j.at("count"), 1);
  EXPECT_EQ(j.at("empty_truths"), 1);
  EXPECT_EQ(j.at("empty"), "skip");
  EXPECT_EQ(j.at("bootstrap"), json({{"resamples", 17}, {"seed", 5}, {"level", 0.95}}));
  EXPECT_EQ(j.at("per_image").at(0).at("width"), 60);
  EXPECT_EQ(j.at("per_image").at(0).at("height"), 40);
  EXPECT_EQ(j.at("per_image").at(0).at("counted"), true);
  EXPECT_EQ(j.at("per_image").at(1).at("counted"), false);
  EXPECT_EQ(j.at("per_image").at(1).at("empty_truth"), true);
  o.empty = EmptyPolicy::paper;
  EXPECT_EQ(written().at("per_image").at(1).at("counted"), true);
  EXPECT_EQ(written().at("per_image").at(1).at("empty_truth"), true);
  o.empty = EmptyPolicy::skip;
  EXPECT_EQ(j.at("unpaired"), json::array({(f.pred() / "c.png").string()}));
  EXPECT_EQ(j.at("warnings").size(), 1u);
  EXPECT_EQ(j.at("failures").at(0).at("file"), (f.pred() / "b.png").string());
  EXPECT_TRUE(j.at("failures").at(0).at("error").is_string());
  for (const char* curve : {"precision", "recall", "fm", "E"})
    EXPECT_EQ(j.at("curves").at(curve).size(), 256u);
  o.empty = EmptyPolicy::one_if_correct;
  o.resamples = 0;
  j = written();
  EXPECT_EQ(j.at("empty"), "one-if-correct");
  EXPECT_EQ(j.at("count"), 2);
  EXPECT_FALSE(j.contains("bootstrap"));
  EXPECT_FALSE(j.contains("intervals"));
  o.empty = EmptyPolicy::paper;
  EXPECT_EQ(written().at("empty"), "paper");
}

TEST(Csv, ColumnsOfAPictureThatDoesNotCount) {
  const MapFolders f;
  f.put("a", Image(8, 6, 1), Image(16, 12, 1));
  EvaluateOptions o;
  o.empty = EmptyPolicy::skip;
  o.name = "two\nlines";
  const std::vector<Evaluation> all{evaluate(f.pred(), f.gt(), o)};
  EXPECT_THAT(images_csv(all), HasSubstr("\n\"two\nlines\",a.png,16,12,1,0,1,"));
  // What is not computed is nothing, not "nan".
  EXPECT_THAT(dataset_csv(all), HasSubstr(",S,,,\n"));
  EXPECT_THAT(images_csv(all), Not(HasSubstr("nan")));
}

TEST(Csv, NumbersAreWrittenWholeAndFieldsQuotedWhereNeeded) {
  Evaluation e;
  e.name = "a\rb";
  e.dataset = {{"S", 0.1, 0.05, 0.25}, {"MAE", 1.0 / 3}};
  e.image_keys = {"S", "MAE"};
  EvaluatedImage image;
  image.name = "x.png";
  image.width = 3;
  image.height = 2;
  image.empty_truth = image.resized = true;
  image.counted = false;
  image.values = {std::nan(""), 0.5};
  e.images = {image};
  EXPECT_EQ(dataset_csv(std::span(&e, 1)),
            "name,key,value,low,high\n\"a\rb\",S,0.1,0.05,0.25\n\"a\rb\",MAE,0.3333333333333333,,\n");
  EXPECT_EQ(images_csv(std::span(&e, 1)),
            "method,name,width,height,empty_truth,counted,resized,S,MAE\n\"a\rb\",x.png,3,2,1,0,1,,0.5\n");
}

TEST(Html, IntervalsPoliciesAndTroubles) {
  Evaluation e;
  e.name = "m";
  e.counted = 7;
  e.empty_truths = 3;
  e.dim_truths = 1;  // which is told by a warning, and is not called empty
  e.resamples = 5;
  e.seed = 9;
  e.image_keys = {"S"};
  e.dataset = {{"S", 0.5, 0.25, 0.75}, {"MAE", 0.125}};
  e.warnings = {"<careful>"};
  e.failures = {{"x.png", "x.png: damaged"}};
  const auto page = [&] { return to_html(std::span(&e, 1), {.protocol = "cod"}); };
  EXPECT_THAT(
      page(),
      HasSubstr("<li>m: 7 pictures counted; 2 with an empty ground truth, scored as PySODMetrics does; "
                "<strong>1 could not be scored</strong></li><li>m: &lt;careful&gt;</li><li>m: x.png: "
                "damaged</li><li>Small figures: 95 % intervals of 5 bootstrap resamples, seed 9</li>"));
  EXPECT_THAT(page(), HasSubstr("<tr><td>m</td><td>7</td><td>0.500<small>0.250 &ndash; 0.750</small></td>"
                                "<td>&ndash;</td><td>&ndash;</td><td>0.125</td></tr>"));
  EXPECT_THAT(
      page(),
      HasSubstr("<th>S&thinsp;&uarr;</th><th>F&thinsp;&uarr;</th><th>E&thinsp;&uarr;</th><th>MAE&thinsp;"
                "&darr;</th>"));
  e.empty = EmptyPolicy::skip;
  EXPECT_THAT(page(), HasSubstr("empty ground truth, left out;"));
  e.empty = EmptyPolicy::one_if_correct;
  e.resamples = 0;
  EXPECT_THAT(page(), HasSubstr("counted as 1 where the prediction is empty too"));
  EXPECT_THAT(page(), Not(HasSubstr("Small figures")));
}

TEST(Columns, TitlesAreTheTables) {
  EXPECT_EQ(column_title("dice.mean"), "mDice");
  EXPECT_EQ(column_title("E_max"), "maxE");
  EXPECT_EQ(column_title("HCE"), "HCE");
}

}  // namespace
}  // namespace sam2unet
