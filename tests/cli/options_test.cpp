// Options of the commands one by one: each has a value under which something comes out otherwise.
#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "eval/folders.h"
#include "predict_fixture.h"
#include "support/occurrences.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// Three discs more and more beside their truths, and a fourth picture in which nothing is.
class EvalOptions : public testing::Test {
 protected:
  EvalOptions() {
    folders.put_discs(3);
    folders.put("z", Image(30, 20, 1), Image(30, 20, 1));
  }
  Finished eval(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "eval");
    return run(program("sam2unet"), arguments, {.folder = folders.dir.path()});
  }
  // With --pred maps --gt gt.
  Finished maps(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--pred", "maps", "--gt", "gt"});
    return eval(std::move(arguments));
  }
  Json json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "-"});
    const Finished r = maps(std::move(arguments));
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return Json::parse(r.out);
  }
  MapFolders folders;
};

TEST_F(EvalOptions, EmptyTruthsArePolicy) {
  EXPECT_EQ(json({}).at("empty"), "paper");
  EXPECT_EQ(json({"--empty", "skip"}).at("count"), 3);
  const Json one = json({"--empty", "one-if-correct"});
  EXPECT_EQ(one.at("empty"), "one-if-correct");
  EXPECT_EQ(one.at("per_image").at(3).at("S"), 1.0);
  EXPECT_THAT(maps({}).out, HasSubstr("1 of 4 ground truths are empty (scored as PySODMetrics does)"));
  EXPECT_THAT(maps({"--empty", "skip"}).out, HasSubstr("1 of 4 ground truths are empty (left out)"));
  EXPECT_THAT(maps({"--empty", "one-if-correct"}).out, HasSubstr("(1 where the prediction is empty too)"));
}

TEST_F(EvalOptions, BootstrapAndSeedAreTakenAndTold) {
  const Json j = json({"--bootstrap", "7", "--seed", "9"});
  EXPECT_EQ(j.at("bootstrap").at("resamples"), 7);
  EXPECT_EQ(j.at("bootstrap").at("seed"), 9);
  EXPECT_NE(json({"--bootstrap", "7", "--seed", "10"}).at("intervals"), j.at("intervals"));
  EXPECT_EQ(json({}).at("bootstrap").at("resamples"), 1000);
  EXPECT_THAT(maps({"--bootstrap", "7", "--seed", "9"}).out,
              HasSubstr("95 % intervals: 7 bootstrap resamples, seed 9"));
}

TEST_F(EvalOptions, ClassicLeavesTheRestOut) {
  EXPECT_TRUE(json({}).at("dataset").at("HCE").is_number());
  const Json classic = json({"--classic"}).at("dataset");
  EXPECT_TRUE(classic.at("HCE").is_null());
  EXPECT_TRUE(classic.at("SIfm").at("mean").is_null());
  EXPECT_TRUE(classic.at("S").is_number());
}

TEST_F(EvalOptions, TheWorstAreAsManyAsAskedForAndByTheValueAskedFor) {
  const Finished r = maps({"--worst", "2", "--worst-by", "MAE"});
  const std::string list = r.out.substr(r.out.find("worst by"));
  EXPECT_THAT(list, HasSubstr("worst by MAE, maps\n  c.png"));
  EXPECT_LT(list.find("c.png"), list.find("b.png"));
  EXPECT_EQ(list.find("a.png"), std::string::npos);
  EXPECT_THAT(maps({}).out, Not(HasSubstr("worst by")));
}

TEST_F(EvalOptions, ProtocolsAreTheColumns) {
  EXPECT_THAT(maps({"--protocol", "polyp"}).out, testing::ContainsRegex("images +mDice +mIoU\n"));
  EXPECT_THAT(maps({"--protocol", "cod"}).out, testing::ContainsRegex("images +S +F +E +MAE\n"));
  // What does not fit into a line stands in one column: a row per value.
  const std::string all = maps({"--protocol", "all", "--paper", "CAMO"}).out;
  EXPECT_THAT(all, testing::ContainsRegex("value +maps +95 % +published\n"));
  EXPECT_THAT(all, testing::ContainsRegex("\nMAE [^\n]* 0.042\n"));
  EXPECT_THAT(all, HasSubstr("\nmirror.BER "));
}

TEST_F(EvalOptions, NamesOfMethods) {
  EXPECT_EQ(json({"--name", "mine"}).at("name"), "mine");
  std::filesystem::copy(folders.pred(), folders.dir / "a=b");
  const auto name = [&](const std::string& pred) {
    return Json::parse(eval({"--pred", pred, "--gt", "gt", "--json", "-"}).out).at("name");
  };
  EXPECT_EQ(name("ours=maps"), "ours");
  EXPECT_EQ(name("a=b"), "a=b") << "a folder that is there is one";
  EXPECT_EQ(name("maps/*.png"), "maps");
  EXPECT_EQ(name("maps/"), "maps");
}

TEST_F(EvalOptions, AffixesAndSubfolders) {
  for (const char* side : {"p", "g", "i"}) std::filesystem::create_directories(folders.dir / side / "seq");
  write_png(folders.dir / "p/seq/m_0_x.png", disc(30, 20, 10, 10, 5));
  write_png(folders.dir / "g/seq/t_0_y.png", disc(30, 20, 10, 10, 5));
  write_png(folders.dir / "i/seq/r_0_z.png", picture(30, 20, 3));
  const std::vector<std::string> all = {"--pred",
                                        "p",
                                        "--gt",
                                        "g",
                                        "--images",
                                        "i",
                                        "--pred-prefix",
                                        "m_",
                                        "--pred-suffix",
                                        "_x",
                                        "--gt-prefix",
                                        "t_",
                                        "--gt-suffix",
                                        "_y",
                                        "--image-prefix",
                                        "r_",
                                        "--image-suffix",
                                        "_z",
                                        "-r",
                                        "--json",
                                        "-"};
  const Finished r = eval(all);
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.err, "");
  const Json j = Json::parse(r.out);
  EXPECT_EQ(j.at("per_image").at(0).at("name"), "seq/t_0_y.png");
  EXPECT_TRUE(j.at("dataset").at("CCM").is_number());
  // Each of them is needed.
  for (std::size_t i = 6; i < 18; i += 2) {
    std::vector<std::string> less = all;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i),
               less.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    EXPECT_NE(eval(less).err, "") << all[i];
  }
  std::vector<std::string> flat = all;
  flat.erase(std::find(flat.begin(), flat.end(), "-r"));
  EXPECT_EQ(eval(flat).exit_code, 2);
}

TEST_F(EvalOptions, EachResultMayGoToStandardOutputAlone) {
  EXPECT_TRUE(maps({"--csv", "-"}).out.starts_with("method,name,width,"));
  EXPECT_TRUE(maps({"--dataset-csv", "-"}).out.starts_with("name,key,value,low,high\n"));
  EXPECT_TRUE(maps({"--html", "-"}).out.starts_with("<!doctype html>"));
}

TEST_F(EvalOptions, ThePageHasTheWorstAndTheColumnsAskedFor) {
  const auto pictures = [](const std::string& page) { return occurrences(page, "<img"); };
  const std::string page = maps({"--html", "-", "--worst", "1", "--protocol", "mirror"}).out;
  EXPECT_EQ(pictures(page), 2u);  // truth and prediction
  EXPECT_THAT(page,
              AllOf(HasSubstr("Evaluation on gt"), HasSubstr("<th>IoU&thinsp;"), Not(HasSubstr("maxE"))));
}

TEST_F(EvalOptions, ThePublishedRowOfTheFolder) {
  std::filesystem::create_directories(folders.dir / "COD10K");
  std::filesystem::copy(folders.gt(), folders.dir / "COD10K" / "GT");
  const Finished r = eval({"--pred", "maps", "--gt", "COD10K/GT", "--paper"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("published: COD10K, "));
  EXPECT_THAT(maps({}).out, Not(HasSubstr("published")));
}

// In a.png one pixel of 24 is wrong, and with it all of class 1; in b.png two of the twelve of class 1 are.
TEST_F(EvalOptions, OfClasses) {
  Image one(6, 4, 1), half(6, 4, 1);
  one.pixels[0] = 1;
  std::fill_n(half.pixels.begin(), 12, std::uint8_t{1});
  for (const char* side : {"p", "g"}) std::filesystem::create_directories(folders.dir / side);
  write_png(folders.dir / "g" / "a.png", one);
  write_png(folders.dir / "g" / "b.png", half);
  one.pixels[0] = half.pixels[0] = half.pixels[1] = 0;
  write_png(folders.dir / "p" / "a.png", one);
  write_png(folders.dir / "p" / "b.png", half);
  std::vector<std::string> with = {"--pred", "p", "--gt", "g", "--classes", "3"};
  const Finished r = eval({"--pred", "p", "--gt", "g", "--classes", "3", "--worst", "1", "--worst-by", "aAcc",
                           "--bootstrap", "5", "--seed", "2"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.out, AllOf(HasSubstr("p: 2 pictures, 0 pixels ignored"), HasSubstr("worst by aAcc, p\n"),
                           HasSubstr("  b.png  0.917\n"), HasSubstr("5 bootstrap resamples, seed 2")));
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{{"--empty", "skip"},
                                                                                     {"--classic"},
                                                                                     {"--protocol", "cod"},
                                                                                     {"--paper", "CAMO"},
                                                                                     {"--worst-by", "S"}}) {
    std::vector<std::string> arguments = with;
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    EXPECT_EQ(eval(arguments).exit_code, 2) << wrong[0];
  }
  for (const auto& [option, begins] :
       {std::pair("--csv", "method,name,"), std::pair("--dataset-csv", "name,class,"),
        std::pair("--html", "<!doctype"), std::pair("--json", "{")}) {
    EXPECT_TRUE(eval({"--pred", "p", "--gt", "g", "--classes", "3", option, "-"}).out.starts_with(begins))
        << option;
  }
  write_file(folders.dir / "p" / "a.png", std::string_view("nothing"));
  EXPECT_EQ(eval(with).exit_code, 1);
}

class DoctorOptionsTest : public testing::Test {
 protected:
  DoctorOptionsTest() {
    for (int i = 0; i < 4; ++i)
      folders.put(std::string(1, static_cast<char>('a' + i)), disc(50, 40, 10 + 9 * i, 12 + 5 * i, 6, 20),
                  disc(50, 40, 20, 20, 9));
  }
  Finished doctor(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"doctor", "--images", "maps", "--masks", "gt"});
    return run(program("sam2unet"), arguments, {.folder = folders.dir.path()});
  }
  MapFolders folders;
};

TEST_F(DoctorOptionsTest, TestPicturesAreComparedWithTheOthers) {
  ASSERT_EQ(doctor({}).exit_code, 0) << doctor({}).out;
  std::filesystem::create_directories(folders.dir / "test");
  std::filesystem::copy_file(folders.pred() / "b.png", folders.dir / "test" / "x.png");
  const Finished r = doctor({"--test-images", "test"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.out,
              AllOf(HasSubstr("train-test-duplicate: 1 picture is"), HasSubstr("maps/b.png ~ test/x.png"),
                    HasSubstr("5 pictures, 4 pairs: one kind of trouble")));
  EXPECT_THAT(doctor({"--test-images", "test", "--show", "1"}).out, Not(HasSubstr("more")));
}

TEST_F(DoctorOptionsTest, AsManyFilesAreNamedAsAskedFor) {
  for (const char* name : {"a.png", "b.png", "c.png"}) write_png(folders.gt() / name, Image(50, 40, 1));
  EXPECT_THAT(doctor({"--show", "2"}).out, HasSubstr("    gt/a.png\n    gt/b.png\n    and 1 more\n  mend: "));
  EXPECT_THAT(doctor({"--show", "3"}).out, AllOf(HasSubstr("gt/c.png\n"), Not(HasSubstr("more"))));
}

TEST_F(DoctorOptionsTest, ClassesAreCounted) {
  const Finished r = doctor({"--classes", "2"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.out, AllOf(HasSubstr("pixels of each class:\n"), HasSubstr("0 background, in 4 masks\n"),
                           HasSubstr("zero-255-mask: 4 masks hold")));
  Json j = Json::parse(doctor({"--classes", "2", "--json", "-"}).out);
  EXPECT_EQ(j.at("classes").at("pixels"), 4 * 50 * 40);
  EXPECT_EQ(doctor({"--classes", "1"}).exit_code, 2);
  j = Json::parse(doctor({"--json", "-"}).out);
  EXPECT_FALSE(j.contains("classes"));
  EXPECT_EQ(j.at("images"), 4);
}

TEST_F(DoctorOptionsTest, TheFindingsGoIntoAFileToo) {
  const Finished r = doctor({"--json", "o.json"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_THAT(r.out, HasSubstr("nothing found"));
  const auto bytes = read_file(folders.dir / "o.json");
  EXPECT_EQ(Json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())).at("clean"),
            true);
  EXPECT_EQ(doctor({"--json", "gt"}).exit_code, 2);
}

TEST_F(DoctorOptionsTest, AffixesAndSubfolders) {
  std::filesystem::create_directories(folders.dir / "i/s");
  std::filesystem::create_directories(folders.dir / "m/s");
  std::filesystem::copy_file(folders.pred() / "a.png", folders.dir / "i/s/im_a_x.png");
  std::filesystem::copy_file(folders.gt() / "a.png", folders.dir / "m/s/gt_a_y.png");
  const std::vector<std::string> all = {
      "doctor", "--images",      "i",   "--masks",       "m",  "--image-prefix", "im_", "--image-suffix",
      "_x",     "--mask-prefix", "gt_", "--mask-suffix", "_y", "--recursive"};
  const RunOptions here{.folder = folders.dir.path()};
  EXPECT_EQ(run(program("sam2unet"), all, here).exit_code, 0) << run(program("sam2unet"), all, here).err;
  for (std::size_t i = 5; i < 13; i += 2) {
    std::vector<std::string> less = all;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i),
               less.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    EXPECT_EQ(run(program("sam2unet"), less, here).exit_code, 2) << all[i];
  }
}

class InfoOptions : public PredictTest {};

TEST_F(InfoOptions, TensorsAreListedWhereAskedFor) {
  const Finished plain = predict_plain({"info", "tiny.safetensors"});
  const Finished all = predict_plain({"info", "tiny.safetensors", "--tensors"});
  EXPECT_THAT(plain.out, Not(HasSubstr("head.weight")));
  EXPECT_THAT(all.out, HasSubstr("\nf32   [1, 64, 1, 1]  head.weight\n"));
}

TEST_F(InfoOptions, ConvertWritesTheTypeAskedFor) {
  const auto dtypes = [&](const std::string& dtype) {
    const std::string file = dtype + ".safetensors";
    EXPECT_EQ(predict_plain({"convert", "tiny.safetensors", file, "--dtype", dtype}).exit_code, 0);
    const Json j = Json::parse(predict_plain({"info", file, "--json"}).out);
    std::string most;
    std::int64_t tensors = 0;
    for (const auto& [name, n] : j.at("dtypes").items()) {
      if (n.get<std::int64_t>() > tensors) most = name;
      tensors = std::max(tensors, n.get<std::int64_t>());
    }
    return most;
  };
  EXPECT_EQ(dtypes("f32"), "f32");
  EXPECT_EQ(dtypes("f16"), "f16");
  EXPECT_EQ(dtypes("bf16"), "bf16");
  EXPECT_EQ(predict_plain({"convert", "tiny.safetensors", "x.safetensors", "--dtype", "f8"}).exit_code, 2);
}

TEST_F(InfoOptions, ModelsSaysWhatItCannotDo) {
  const auto code = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "models");
    return predict_plain(arguments, {.environment = {"SAM2UNET_OFFLINE=1"}}).exit_code;
  };
  EXPECT_EQ(code({}), 2);
  EXPECT_EQ(code({"remove"}), 2);
  for (const char* action : {"path", "add", "fetch"}) EXPECT_EQ(code({action}), 2) << action;
  EXPECT_EQ(code({"list", "x"}), 2);
  EXPECT_EQ(code({"list", "--sha256", "00"}), 2);
  const std::string sum(64, '0'), a = "https://example.org/a.pth", b = "https://example.org/b.pth";
  EXPECT_EQ(code({"fetch", a, b, "--sha256", sum}), 2);
  EXPECT_NE(code({"fetch", a, "--sha256", sum}), 2);  // but there is no network
  EXPECT_EQ(code({"list"}), 0);
  EXPECT_EQ(code({"path", "sam2unet-cod"}), 1);
}

TEST_F(InfoOptions, AGraphIsOfTheSizeAndTypeAskedFor) {
  const auto says = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"export", "o.onnx", "-w", "tiny.safetensors"});
    return predict_plain(more).out;
  };
  EXPECT_THAT(says({"--size", "64x96"}),
              AllOf(HasSubstr("core graph"), HasSubstr(", 64x96, "), HasSubstr(", f32, ")));
  EXPECT_THAT(says({"--size", "64", "--dtype", "f16", "--graph", "full"}),
              AllOf(HasSubstr("full graph"), HasSubstr(", 64x64, "), HasSubstr(", f16, ")));
}

TEST_F(InfoOptions, BenchRunsAsOftenAsAskedFor) {
  const Finished r = predict_plain({"bench", "-w", "tiny.safetensors", "--size", "64x96", "-n", "3",
                                    "--batch", "2", "-j", "1", "--json", "-"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const Json j = Json::parse(r.out);
  EXPECT_EQ(j.at("rounds"), 3);
  EXPECT_EQ(j.at("batch"), 2);
  EXPECT_EQ(j.at("threads"), 1);
  EXPECT_EQ(j.at("size"), Json::array({64, 96}));
  EXPECT_EQ(j.at("streams"), 1);
  EXPECT_EQ(j.at("device"), "cpu");
  EXPECT_EQ(predict_plain({"bench", "-w", "tiny.safetensors", "--variant", "t"}).exit_code, 2);
}

}  // namespace
}  // namespace sam2unet::test
