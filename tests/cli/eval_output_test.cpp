// What `sam2unet eval` prints, to the character, and which options it refuses.
#include <cmath>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "eval/folders.h"
#include "predict_fixture.h"
#include "support/occurrences.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// 8 x 8; the truth is the left half, `half` has half of that: 16 of 64 pixels are wrong.
class EvalOutput : public PredictTest {
 protected:
  EvalOutput() {
    for (const char* folder : {"gt", "good", "half"}) std::filesystem::create_directories(dir / folder);
    for (const char* name : {"a.png", "b.png"}) {
      write_png(dir / "gt" / name, left(4));
      write_png(dir / "good" / name, left(4));
      write_png(dir / "half" / name, left(2));
    }
  }
  static Image left(int columns, std::uint8_t value = 255) {
    Image m(8, 8, 1);
    for (int y = 0; y < 8; ++y) std::fill_n(m.row(y), columns, value);
    return m;
  }
  Finished eval(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "eval");
    return predict_plain(arguments);
  }
};

// S of the half: 0.5 (2 * 0.5 / (0.25 + 1 + 0.508)) + 0.5 for objects, nothing for regions, their mean. E of
// a perfect map: 64 / 63 at all thresholds but the first, where everything is foreground: 16 / 63. F of half
// the foreground and nothing else: 1.3 * 0.5 / (0.3 + 0.5).
TEST_F(EvalOutput, ARowPerMethodAndOneForTheIntervals) {
  const Finished r = eval({"--pred", "good", "--pred", "half", "--gt", "gt", "--protocol", "cod", "--paper",
                           "CAMO", "--bootstrap", "10", "--seed", "3", "--worst", "1"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(
      r.out,
      "method                 images            S            F            E          MAE\n"
      "good                        2        1.000        1.000        1.013        0.000\n"
      "  95 %                         1.000-1.000  1.000-1.000  1.013-1.013  0.000-0.000\n"
      "half                        2        0.392        0.812        0.647        0.250\n"
      "  95 %                         0.392-0.392  0.812-0.812  0.647-0.647  0.250-0.250\n"
      "SAM2-UNet (published)                0.884        0.861        0.932        0.042\n"
      "good: 0 of 2 ground truths are empty (scored as PySODMetrics does)\n"
      "half: 0 of 2 ground truths are empty (scored as PySODMetrics does)\n"
      "95 % intervals: 10 bootstrap resamples, seed 3\n"
      "published: CAMO, SAM2-UNeXT, arXiv 2508.03566, Table 2 (a later paper of the same first authors)\n"
      "\nworst by S, good\n  a.png  1.000\n"
      "\nworst by S, half\n  a.png  0.392\n");
}

TEST_F(EvalOutput, ARowPerValueWhereALineIsTooShort) {
  const std::string out = eval({"--pred", "good", "--pred", "half", "--gt", "gt", "--protocol", "all",
                                "--paper", "CAMO", "--bootstrap", "10"})
                              .out;
  for (const char* line : {"value               good         95 %   half         95 %  published\n",
                           "\nMAE                0.000  0.000-0.000  0.250  0.250-0.250      0.042\n",
                           "\nfm.adp             1.000  1.000-1.000  0.812  0.812-0.812      0.861\n",
                           "\nsample_iou         1.000  1.000-1.000  0.500  0.500-0.500\n",
                           "\nCCM                    -                   -\n"})
    EXPECT_THAT(out, HasSubstr(line));
  // Without intervals there is no column for them.
  EXPECT_THAT(eval({"--pred", "half", "--gt", "gt", "--protocol", "all", "--bootstrap", "0"}).out,
              AllOf(HasSubstr("value               half\n"), HasSubstr("\nMAE                0.250\n"),
                    Not(HasSubstr("intervals"))));
}

// Columns are of characters, whatever bytes they take.
TEST_F(EvalOutput, NamesOfManyBytesTakeNoMoreRoom) {
  EXPECT_EQ(eval({"--pred", "k\xC3\xA4se=good", "--gt", "gt", "--protocol", "sod", "--bootstrap", "0"}).out,
            "method  images      S      E    MAE\n"
            "k\xC3\xA4se         2  1.000  1.013  0.000\n"
            "k\xC3\xA4se: 0 of 2 ground truths are empty (scored as PySODMetrics does)\n");
}

// One picture is perfect, the other half wrong: of a thousand resamples of two a quarter have one of them
// alone, so the interval is from the better to the worse.
TEST_F(EvalOutput, IntervalsAreFromTheLowerToTheHigher) {
  write_png(dir / "half/a.png", left(4));
  EXPECT_THAT(eval({"--pred", "half", "--gt", "gt", "--protocol", "sod"}).out,
              testing::ContainsRegex("\n  95 % .*  0.000-0.250\n"));
  EXPECT_THAT(eval({"--pred", "half", "--gt", "gt", "--protocol", "all"}).out,
              HasSubstr("\nMAE                0.125  0.000-0.250\n"));
}

// Of what no picture has there is no interval.
TEST_F(EvalOutput, WhatIsNotComputedIsADash) {
  write_png(dir / "gt/a.png", Image(8, 8, 1));
  write_png(dir / "gt/b.png", Image(8, 8, 1));
  EXPECT_EQ(eval({"--pred", "half", "--gt", "gt", "--empty", "skip", "--protocol", "sod"}).out,
            "method  images  S  E  MAE\n"
            "half         0  -  -    -\n"
            "half: 2 of 2 ground truths are empty (left out)\n"
            "95 % intervals: 1000 bootstrap resamples, seed 0\n");
}

TEST_F(EvalOutput, NothingIsSaidOfTruthsWhereNoMapCouldBeRead) {
  put("half/a.png", "no picture");
  put("half/b.png", "no picture");
  const Finished r =
      eval({"--pred", "good", "--pred", "half", "--gt", "gt", "--protocol", "sod", "--bootstrap", "0"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.out, AllOf(HasSubstr("\ngood: 0 of 2 ground truths are empty"),
                           HasSubstr("\nhalf         0      -      -      -\n"), Not(HasSubstr("half: "))));
}

TEST_F(EvalOutput, DimTruthsAreToldApartFromEmptyOnes) {
  write_png(dir / "gt/a.png", left(4, 1));
  write_png(dir / "gt/b.png", Image(8, 8, 1));
  const Finished r = eval({"--pred", "half", "--gt", "gt"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_THAT(r.out, HasSubstr("half: 1 of 2 ground truths are empty (scored as PySODMetrics does)\n"
                               "half: 1 of 2 ground truths hold something that does not count as foreground "
                               "(see the warning)\n"));
  EXPECT_THAT(r.err, HasSubstr("warning: half: "));
}

// In a.png one pixel of 24 is wrong, and with it all of class 1; in b.png two of the twelve of class 1 are,
// and one pixel does not count.
class ClassOutput : public EvalOutput {
 protected:
  ClassOutput() {
    put("road.toml", "[[class]]\nid = 1\nname = \"road\"\n[[class]]\nid = 2\nname = \"car\"\n");
    for (const char* folder : {"p", "g"}) std::filesystem::create_directories(dir / folder);
    Image one(6, 4, 1), half(6, 4, 1);
    one.pixels[0] = 1;
    std::fill_n(half.pixels.begin(), 12, std::uint8_t{1});
    half.pixels[23] = 255;
    write_png(dir / "g/a.png", one);
    write_png(dir / "g/b.png", half);
    one.pixels[0] = half.pixels[0] = half.pixels[1] = half.pixels[23] = 0;
    write_png(dir / "p/a.png", one);
    write_png(dir / "p/b.png", half);
  }
};

TEST_F(ClassOutput, ARowPerClassAndTheMeans) {
  const Finished r =
      eval({"--pred", "p", "--gt", "g", "--classes", "road.toml", "--bootstrap", "0", "--worst", "1"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out,
            "p: 2 pictures, 1 pixels ignored\n"
            "class           IoU   Dice  precision  recall  truth pixels  predicted\n"
            "0 background  0.919  0.958      0.919   1.000            34         37\n"
            "1 road        0.769  0.870      1.000   0.769            13         10\n"
            "2 car             -      -          -       -             0          0\n"
            "\n"
            "                       mIoU  mDice   mAcc   aAcc\n"
            "all classes           0.844  0.914  0.885  0.936\n"
            "without background    0.769  0.870  0.769  0.769\n"
            "mean over pictures    0.659  0.701  0.708  0.936\n"
            "  without background  0.417  0.455  0.417  0.417\n"
            "\nworst by mIoU, p\n  a.png  0.479\n");
}

// A quarter of the resamples is of one picture alone.
TEST_F(ClassOutput, IntervalsAreFromTheLowerToTheHigher) {
  EXPECT_THAT(eval({"--pred", "p", "--gt", "g", "--classes", "road.toml"}).out,
              AllOf(HasSubstr("\n0 background  0.919 (0.846-0.958)  0.958 (0.917-0.979)  "),
                    HasSubstr("\nall classes           0.844 (0.479-0.8")));
}

// Two pictures alike: whichever are drawn, the values are the same.
TEST_F(ClassOutput, IntervalsStandBehindTheValues) {
  for (const char* folder : {"p", "g"})
    std::filesystem::copy_file(dir / folder / "b.png", dir / folder / "a.png",
                               std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy(dir / "p", dir / "q");
  const std::string out = eval({"--pred", "p", "--pred", "q", "--gt", "g", "--classes", "road.toml",
                                "--bootstrap", "5", "--seed", "8"})
                              .out;
  for (const char* part :
       {"p: 2 pictures, 2 pixels ignored\n", "\n\nq: 2 pictures, 2 pixels ignored\n",
        "\n1 road        0.833 (0.833-0.833)  0.909 (0.909-0.909)  1.000 (1.000-1.000)  0.833 (0.833-0.833)  "
        " ",
        "\nall classes           0.840 (0.840-0.840)  0.913 (0.913-0.913)  0.917 (0.917-0.917)  0.913 "
        "(0.913-0.913)\n"})
    EXPECT_THAT(out, HasSubstr(part));
  EXPECT_TRUE(out.ends_with("95 % intervals: 5 bootstrap resamples, seed 8\n")) << out;
  EXPECT_THAT(out, Not(HasSubstr("worst by")));
}

TEST_F(ClassOutput, ThePageHasAsManyOfTheWorstAsAskedFor) {
  const auto pictures = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--pred", "p", "--gt", "g", "--classes", "road.toml", "--html", "-"});
    const std::string page = eval(more).out;
    EXPECT_THAT(page, HasSubstr("Evaluation on g"));
    return occurrences(page, "<h3>");
  };
  EXPECT_EQ(pictures({}), 2U);
  EXPECT_EQ(pictures({"--worst", "1"}), 1U);
  EXPECT_THAT(eval({"--pred", "p", "--gt", "g", "--classes", "3", "--worst-by", "S"}).err,
              AllOf(HasSubstr("--worst-by S: with --classes use one of mIoU, mDice, mAcc, aAcc")));
}

// Both results are in the files, so what is printed can be worked out from them.
class GainOutput : public EvalOutput {
 protected:
  GainOutput() {
    for (int i = 0; i < 3; ++i) {
      const std::string name = std::to_string(i) + ".png";
      put_picture("images/" + name, 50 + i, 40);
      std::filesystem::create_directories(dir / "truths");
      write_png(dir / "truths" / name, disc(50 + i, 40, 20 + 3 * i, 20, 10));
    }
  }
  Finished gain(std::vector<std::string> how) {
    how.insert(how.begin(), {"--images", "images", "--gt", "truths", "--weights", "tiny.safetensors",
                             "--size", "64", "--json", "o.json"});
    Finished r = eval(how);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r;
  }
  static std::string row_of(const std::string& table, const std::string& name) {
    const auto at = table.find("\n" + name + " ") + 1;
    return table.substr(at, table.find('\n', at) - at);
  }
};

TEST_F(GainOutput, EachGainIsTheDifferenceOfTheMeans) {
  const std::string out = gain({"--tta", "hflip,rot90", "--bootstrap", "0"}).out;
  const std::string table = out.substr(out.find("\ngain of hflip,rot90 over one pass\n"));
  EXPECT_THAT(table, HasSubstr("\nmean over pictures  one pass  as asked     gain  95 %\n"));
  const Json all = Json::parse(get("o.json"));
  const Json with = all.at("tiny, hflip,rot90").at("dataset"),
             without = all.at("tiny, one pass").at("dataset");
  int checked = 0;
  for (const auto& [title, key] : {std::pair("S", "S"), {"wF", "wF"}, {"MAE", "MAE"}}) {
    const std::string row = row_of(table, title);
    if (row.empty()) continue;
    const double a = without.at(key), b = with.at(key);
    ++checked;
    EXPECT_THAT(row, HasSubstr(fmt::format("{:.3f}     {:.3f}  {}{:.4f}", a, b, b > a ? "+" : "", b - a)))
        << out;
  }
  EXPECT_EQ(checked, 3) << out;
  EXPECT_THAT(table, testing::ContainsRegex("\na picture takes [0-9]+\\.[0-9] times as long\n"));
  // With resamples an interval stands behind each.
  EXPECT_THAT(row_of(gain({"--tta", "hflip"}).out.substr(out.find("\ngain of ")), "MAE"),
              testing::ContainsRegex("[-+]?[0-9.]+ to [-+]?[0-9.]+$"));
}

// Results are called by what was asked for.
TEST_F(GainOutput, TheNameSaysHow) {
  const auto names = [&](const std::vector<std::string>& how) {
    const std::string out = gain(how).out;
    const Json all = Json::parse(get("o.json"));
    std::string found;
    for (const auto& [name, value] : all.items()) found += name + "|";
    const auto at = out.find("\ngain of ") + 9;
    return found + out.substr(at, out.find(" over one pass", at) - at);
  };
  EXPECT_EQ(names({"--tile", "40"}), "tiny, one pass|tiny, tiles of 40 pixels|tiles of 40 pixels");
  EXPECT_EQ(names({"--tile", "auto", "--tile-context", "0.25", "--tta", "hflip"}),
            "tiny, automatic tiles with 0.25 of the whole, hflip|tiny, one pass|automatic tiles with 0.25 of "
            "the whole, hflip");
  EXPECT_EQ(names({"--tta", "vflip", "--name", "mine"}), "mine, one pass|mine, vflip|vflip");
}

// One after the other on the page; of what is predicted only as it was asked for.
TEST_F(GainOutput, ThePageIsOfWhatWasAskedFor) {
  gain({"--tta", "hflip", "--html", "o.html", "--worst", "1", "--worst-by", "MAE"});
  EXPECT_THAT(get("o.html"), AllOf(HasSubstr("<td>tiny, hflip</td>"), HasSubstr("Worst by MAE: tiny, hflip"),
                                   Not(HasSubstr("one pass"))));
  eval({"--pred", "good", "--pred", "half", "--gt", "gt", "--html", "p.html", "--paper", "CAMO", "--protocol",
        "all"});
  EXPECT_THAT(get("p.html"), AllOf(HasSubstr("<td>good</td>"), HasSubstr("<td>half</td>"),
                                   HasSubstr("Published row: CAMO"), HasSubstr("Worst by S: half")));
}

// As test.py opens them: what is shown beside the map is the picture as it is stored.
TEST_F(EvalOutput, ThePageShowsPicturesAsTheyWereScored) {
  const auto photo = repository_data() / "image" / "files" / "exif6.jpg";
  std::filesystem::create_directories(dir / "photos");
  std::filesystem::create_directories(dir / "truths");
  const Image stored = read_image(photo, {.apply_exif_orientation = false});
  write_png(dir / "truths/a.png", Image(stored.width, stored.height, 1));
  const auto page = [&] {
    return eval({"--images", "photos", "--gt", "truths", "--weights", "tiny.safetensors", "--size", "64",
                 "--official", "--bootstrap", "0", "--html", "-"})
        .out;
  };
  std::filesystem::copy_file(photo, dir / "photos/a.jpg");
  const std::string turned = page();
  std::filesystem::remove(dir / "photos/a.jpg");
  write_png(dir / "photos/a.png", stored);
  EXPECT_EQ(turned, page());
  EXPECT_THAT(turned, HasSubstr(">picture<"));
}

TEST_F(EvalOutput, WhatIsForPredictingIsRefusedForMapsThatAreThere) {
  for (const auto& option : std::vector<std::vector<std::string>>{{"--weights", "tiny.safetensors"},
                                                                  {"--size", "64"},
                                                                  {"--official"},
                                                                  {"--device", "cpu"},
                                                                  {"--precision", "fp32"},
                                                                  {"--streams", "1"},
                                                                  {"--batch", "1"},
                                                                  {"--fit", "squash"},
                                                                  {"--tile", "64"},
                                                                  {"--overlap", "0.5"},
                                                                  {"--tile-context", "0.5"},
                                                                  {"--tta", "hflip"}}) {
    std::vector<std::string> arguments{"--pred", "good", "--gt", "gt"};
    arguments.insert(arguments.end(), option.begin(), option.end());
    const Finished r = eval(arguments);
    EXPECT_EQ(r.exit_code, 2) << option[0];
    EXPECT_THAT(r.err, HasSubstr("leave one out")) << option[0];
  }
}

TEST_F(EvalOutput, NumbersHaveLimits) {
  for (const auto& [option, low, high] : {std::tuple("--worst", "-1", "100001"),
                                          {"--bootstrap", "-1", "1000001"},
                                          {"--threads", "-1", "1025"}}) {
    for (const char* value : {low, high}) {
      const Finished r = eval({"--pred", "good", "--gt", "gt", option, value});
      EXPECT_EQ(r.exit_code, 2) << option << value;
      EXPECT_THAT(r.err, HasSubstr(option));
    }
  }
  EXPECT_EQ(eval({"--pred", "good", "--gt", "gt", "--worst", "100000", "--threads", "1024"}).exit_code, 0);
}

TEST_F(EvalOutput, WhichRowsArePublishedIsTold) {
  EXPECT_THAT(eval({"--pred", "good", "--gt", "gt", "--paper"}).err,
              AllOf(HasSubstr("no published row is known for a folder of gt; name one with --paper NAME: "),
                    HasSubstr("CAMO, "), HasSubstr(", COD10K")));
  EXPECT_THAT(eval({"--pred", "good", "--gt", "gt", "--paper", "none"}).err,
              HasSubstr("no published row is known for none; "));
  // A part of the path that is a folder's whole name.
  std::filesystem::create_directories(dir / "CAMO");
  std::filesystem::copy(dir / "gt", dir / "CAMO/gt");
  EXPECT_THAT(eval({"--pred", "good", "--gt", "CAMO/../CAMO/gt", "--paper"}).out,
              HasSubstr("published: CAMO, "));
}

TEST_F(EvalOutput, ABarOnATerminal) {
  const Finished r = predict_plain({"eval", "--pred", "good", "--gt", "gt"}, {.terminal = true});
  EXPECT_THAT(r.err, HasSubstr(" 2/2 pictures"));
}

}  // namespace
}  // namespace sam2unet::test
