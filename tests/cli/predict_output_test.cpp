// What `sam2unet predict` says beside its results, and the limits of its options.
#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <array>

#include "predict_fixture.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class PredictOutput : public PredictTest {};

TEST_F(PredictOutput, NumbersHaveLimits) {
  put_picture("a.png", 8, 8);
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--batch", "257"},
                                                        {"--batch", "-1"},
                                                        {"--threads", "1025"},
                                                        {"--threads", "-1"},
                                                        {"--max-failures", "-1"},
                                                        {"--simplify", "1000001"},
                                                        {"--simplify", "-0.5"},
                                                        {"--pillow", "14"}}) {
    const Finished r = predict({"a.png", "-o", "out", option, value});
    EXPECT_EQ(r.exit_code, 2) << option << value;
    EXPECT_THAT(r.err, HasSubstr(option));
  }
  EXPECT_EQ(predict({"a.png", "-o", "out", "--batch", "256", "--simplify", "1000000", "--threads", "0",
                     "--max-failures", "0"})
                .exit_code,
            0);
}

TEST_F(PredictOutput, FiveDeepPicturesAreNamed) {
  const auto file = repository_data() / "image" / "files" / "wide.pgm";
  std::filesystem::create_directories(dir / "in");
  std::filesystem::copy_file(file, dir / "in/1.pgm");
  EXPECT_EQ(predict({"in", "-o", "out"}).err,
            "sam2unet: warning: 1 picture is gray of 16 bits or floating point, whose levels above 255 are "
            "clipped as Pillow clips them: in/1.pgm; scale to 8 bits first\n");
  for (const char* name : {"2", "3", "4", "5"})
    std::filesystem::copy_file(file, dir / "in" / (std::string(name) + ".pgm"));
  EXPECT_THAT(predict({"in", "-o", "out"}).err,
              HasSubstr(": in/1.pgm, in/2.pgm, in/3.pgm, in/4.pgm, in/5.pgm; "));
  for (const char* name : {"6", "7"})
    std::filesystem::copy_file(file, dir / "in" / (std::string(name) + ".pgm"));
  EXPECT_THAT(predict({"in", "-o", "out"}).err,
              AllOf(HasSubstr("warning: 7 pictures are gray"),
                    HasSubstr(": in/1.pgm, in/2.pgm, in/3.pgm, in/4.pgm, in/5.pgm and 2 more; ")));
}

TEST_F(PredictOutput, VerboseNamesEveryResult) {
  put_picture("a.png", 9, 7);
  EXPECT_THAT(predict({"a.png", "-o", "out", "-v", "--save", "mask,json"}).err,
              ContainsRegex("\na.png: 9 x 7 pixels, [0-9]+\\.[0-9][0-9] s -> out/a_mask.png out/a.json\n$"));
  // To standard output there is no name to tell.
  EXPECT_THAT(predict({"-", "-v"}, {.input = get("a.png")}).err,
              ContainsRegex("\nstdin: 9 x 7 pixels, [0-9]+\\.[0-9][0-9] s\n$"));
  EXPECT_THAT(predict({"a.png", "-o", "out"}).err, Not(HasSubstr("pixels")));
}

// Of 80 columns the bar takes forty. It is gone when all is done.
TEST_F(PredictOutput, TheBarAndTheLastLine) {
  for (int i = 0; i < 3; ++i) put_picture("in/" + std::to_string(i) + ".png", 8, 8);
  put("in/3.png", "no picture");
  const Finished r = predict({"in", "-o", "out"}, {.terminal = true});
  EXPECT_EQ(r.exit_code, 1);
  const std::string begin = "\r\033[K[" + std::string(40, '.') + "] 0/4 pictures\r\033[K";
  EXPECT_EQ(r.err.substr(0, begin.size()), begin);
  EXPECT_THAT(r.err, ContainsRegex("#{40}\\] 4/4 pictures  [0-9.]+/s  0:00 left\r\033\\[K"));
  EXPECT_THAT(r.err, HasSubstr("in/3.png"));
  EXPECT_THAT(r.err.substr(r.err.rfind("\033[K")),
              ContainsRegex("K3 of 4 pictures in [0-9]+\\.[0-9] s, results in out\r\n$"));
  // One picture needs no bar, and to standard output nothing is said of a folder.
  const Finished one = predict({"in/0.png", "-o", "out"}, {.terminal = true});
  EXPECT_THAT(one.err, MatchesRegex("1 of 1 pictures in [0-9]+\\.[0-9] s, results in out\r\n"));
  EXPECT_EQ(predict({"-"}, {.input = get("in/0.png"), .terminal = true}).err, "");
}

// The names of the results are for who reads them from a pipe; on a terminal they would hide the bar.
TEST_F(PredictOutput, NamesGoToPipesAlone) {
  put_picture("in/a.png", 9, 7);
  put_picture("in/b.png", 9, 7);
  int shown = -1, terminal = -1;
  std::array<char, 256> name{};
  ASSERT_EQ(::openpty(&shown, &terminal, name.data(), nullptr, nullptr), 0);
  for (const char* output : {"out", "out.tar"}) {
    const std::string folder = std::string(output) + "/";
    EXPECT_EQ(predict({"in", "-o", output}).out, folder + "a.png\n" + folder + "b.png\n");
    std::filesystem::remove_all(dir / output);
    EXPECT_EQ(predict({"in", "-o", output}, {.out_to = name.data()}).exit_code, 0);
    EXPECT_TRUE(exists(output));
  }
  ::fcntl(shown, F_SETFL, O_NONBLOCK);
  char c = 0;
  EXPECT_EQ(::read(shown, &c, 1), -1);  // nothing came
  ::close(terminal);
  ::close(shown);
}

// More than a pipe holds at once.
TEST_F(PredictOutput, ALargePictureThroughAPipe) {
  put_picture("a.png", 400, 300);
  ASSERT_GT(get("a.png").size(), 300'000U);
  ASSERT_EQ(predict({"a.png", "-o", "out"}).exit_code, 0);
  const Finished r = predict({"-"}, {.input = get("a.png")});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(r.out == get("out/a.png"));
}

TEST_F(PredictOutput, ANameThatNoFileCanHave) {
  put_picture("a.png", 8, 8);
  const Finished r = predict({std::string(300, 'n') + ".png", "a.png", "-o", "out"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.err, "sam2unet: cannot open " + std::string(300, 'n') + ".png: File name too long\n");
  EXPECT_EQ(r.out, "out/a.png\n");
}

TEST_F(PredictOutput, PrecisionsHaveTheirNames) {
  put_picture("a.png", 40, 30);
  const auto map = [&](const std::string& precision) {
    const Finished r = predict({"a.png", "-o", "-", "--precision", precision});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out;
  };
  const std::string exact = map("f32");
  EXPECT_TRUE(map("standard") == exact);
  EXPECT_TRUE(map("fp32") == exact);
  EXPECT_THAT(predict({"a.png", "-o", "-", "--precision", "fp8"}).err, HasSubstr("fp8"));
}

}  // namespace
}  // namespace sam2unet::test
