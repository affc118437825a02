// `sam2unet predict` with bad input of every kind a user meets: a clear line on stderr, the right exit code,
// and nothing half-written.
#include <algorithm>
#include <csignal>

#include "predict_fixture.h"

namespace sam2unet {
namespace {

using test::Finished;
using test::PredictTest;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

int lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

class PredictFailures : public PredictTest {
 protected:
  // One line that begins with the program's name and says `what`.
  void expect_failure(const Finished& r, int exit_code, const std::string& what) {
    EXPECT_EQ(r.exit_code, exit_code) << r.err;
    EXPECT_EQ(lines(r.err), 1) << r.err;
    EXPECT_THAT(r.err, AllOf(StartsWith("sam2unet: "), HasSubstr(what)));
  }
};

TEST_F(PredictFailures, MissingFile) {
  expect_failure(predict({"no.jpg", "-o", "out"}), 1, "cannot open no.jpg: no such file");
  EXPECT_FALSE(exists("out"));
}

TEST_F(PredictFailures, FolderWithoutPictures) {
  put("in/readme.txt", "x");
  expect_failure(predict({"in", "-o", "out"}), 1, "no pictures in in");
}

TEST_F(PredictFailures, GlobWithoutMatch) {
  expect_failure(predict({"*.gif", "-o", "out"}), 1, "nothing matches *.gif");
}

TEST_F(PredictFailures, OneUnreadableAmongMany) {
  const auto jpeg = read_file(test::repository_data() / "image" / "files" / "rgb.jpg");
  std::filesystem::create_directories(dir / "in");
  write_file(dir / "in" / "b.jpg", std::span(jpeg).first(jpeg.size() - 30));
  put_picture("in/a.png", 8, 8);
  put_picture("in/c.png", 8, 8);
  const Finished r = predict({"in", "missing.png", "-o", "out"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(lines(r.err), 2) << r.err;
  EXPECT_THAT(r.err,
              AllOf(HasSubstr("missing.png: no such file"), HasSubstr("in/b.jpg"), HasSubstr("cut off")));
  EXPECT_EQ(r.out, "out/a.png\nout/c.png\n");
  EXPECT_THAT(list("out"), ElementsAre("a.png", "c.png"));
}

TEST_F(PredictFailures, OddFiles) {
  put("empty.png", "");
  put("text.jpg", "this is not a picture");
  put("zero.pgm", "P5 0 0 255\n");
  put("huge.pgm", "P5 20000 20000 255\n");
  put("lying.pgm", "P5 20000 300 255\nxx");
  std::filesystem::create_directories(dir / "folder.png");
  expect_failure(predict({"empty.png", "-o", "out"}), 1, "empty.png: the file is empty");
  expect_failure(predict({"text.jpg", "-o", "out"}), 1, "not a JPEG, PNG");
  expect_failure(predict({"zero.pgm", "-o", "out"}), 1, "0 x 0 pixels");
  expect_failure(predict({"huge.pgm", "-o", "out"}), 1, "20000 x 20000 pixels, more than");
  expect_failure(predict({"lying.pgm", "-o", "out"}), 1, "after 0 of 300 rows");
  expect_failure(predict({"folder.png", "-o", "out"}), 1, "no pictures in folder.png");
  EXPECT_THAT(list("out"), IsEmpty());
}

TEST_F(PredictFailures, WrongWeights) {
  put_picture("a.png", 8, 8);
  const auto with = [&](const std::string& weights) {
    return predict_plain({"predict", "a.png", "-o", "out", "--weights", weights});
  };
  expect_failure(with("none.pth"), 1, "none.pth");
  put("text.pth", "hello");
  expect_failure(with("text.pth"), 1, "text.pth");
  const std::string whole = get("tiny.safetensors");
  put("cut.safetensors", whole.substr(0, whole.size() / 2));
  expect_failure(with("cut.safetensors"), 1, "cut.safetensors");
  test::write_tiny_weights(dir / "trunk.safetensors", true);
  expect_failure(with("trunk.safetensors"), 1, "trunk");
  EXPECT_THAT(list("out"), IsEmpty());
}

TEST_F(PredictFailures, UnwritableOutput) {
  put_picture("a.png", 8, 8);
  put("file", "x");
  expect_failure(predict({"a.png", "-o", "file"}), 1, "file");
  expect_failure(predict({"a.png", "-o", "file/below"}), 1, "cannot write into the folder file/below");
  EXPECT_EQ(get("file"), "x");
  std::filesystem::create_directories(dir / "out" / "a.png");  // where the map should go
  expect_failure(predict({"a.png", "-o", "out"}), 1, "out/a.png");
  EXPECT_THAT(list("out"), ElementsAre("a.png"));
}

TEST_F(PredictFailures, FullDisk) {
  put_picture("a.png", 200, 200);
  put_picture("b.png", 200, 200);
  // LLVM's OpenMP keeps a file of 1,024 bytes itself; with no room for it release 14 ends the program.
  const Finished r = predict({"a.png", "b.png", "-o", "out"}, {.file_size_limit = 1024});
  expect_failure(r, 1, "cannot write out/");
  EXPECT_THAT(list("out"), IsEmpty());  // nothing half-written, no temporary files
  expect_failure(predict({"a.png", "-o", "-"}, {.out_to = "/dev/full"}), 1, "disk is full");
  expect_failure(predict({"a.png", "-o", "out"}, {.out_to = "/dev/full"}), 1, "disk is full");
}

TEST_F(PredictFailures, StandardInput) {
  expect_failure(predict({"-", "-o", "out"}), 1, "standard input is empty");
  expect_failure(predict({"-", "-o", "out"}, {.input = std::string("\0\1\2\3", 4)}), 1, "neither a picture");
  expect_failure(predict({"-", "-o", "out"}, {.input = "no.jpg\n"}), 1, "cannot open no.jpg");
  put_picture("a.png", 20, 20);
  const std::string cut = get("a.png").substr(0, 300);
  const Finished r = predict({"-"}, {.input = cut});
  expect_failure(r, 1, "standard input");
  EXPECT_EQ(r.out, "");
}

TEST_F(PredictFailures, WrongUsage) {
  put_picture("a.png", 8, 8);
  put_picture("b.png", 8, 8);
  expect_failure(predict({"a.png"}), 2, "-o DIR");
  expect_failure(predict({"-o", "out"}), 2, "INPUT");
  for (const char* size : {"0", "100", "-64", "64x", "x64", "64x100", "9999999999", "abc", "64 x 64"}) {
    expect_failure(predict_plain({"predict", "a.png", "-o", "out", "-w", "tiny.safetensors", "--size", size}),
                   2, "--size");
  }
  expect_failure(predict({"a.png", "-o", "out", "--save", "map,masks"}), 2, "masks");
  expect_failure(predict({"a.png", "-o", "out", "--threshold", "1.5"}), 2, "--threshold");
  expect_failure(predict({"a.png", "-o", "out", "--threshold", "nan"}), 2, "'nan' is not a number");
  expect_failure(predict({"a.png", "-o", "out", "--simplify", "-1"}), 2, "see `sam2unet predict --help`");
  expect_failure(predict({"a.png", "-o", "out", "--pillow", "11"}), 2, "--pillow");
  expect_failure(predict({"a.png", "-o", "out", "--no-such-option"}), 2, "--no-such-option");
  expect_failure(predict_plain({"predict", "--no-such-option"}), 2, "not expected: --no-such-option");
  expect_failure(predict_plain({"eval", "--no-such-option"}), 2, "not expected: --no-such-option");
  expect_failure(predict({"a.png", "b.png", "-o", "-"}), 2, "one picture's map");
  expect_failure(predict({"a.png", "-o", "-", "--save", "map,mask"}), 2, "one kind");
  expect_failure(predict_plain({"predictt", "a.png"}), 2, "unknown command");
  expect_failure(predict_plain({"--predict", "a.png"}), 2, "unknown option '--predict'");
  expect_failure(predict_plain({}), 2, "a command is required");
  EXPECT_FALSE(exists("out"));
}

// As many as are told of are there.
TEST_F(PredictFailures, InterruptionLeavesWholeResults) {
  constexpr int kPictures = 300;
  for (int i = 0; i < kPictures; ++i) put_picture("in/" + std::to_string(1000 + i) + ".png", 60, 60);
  for (const int signal : {SIGINT, SIGTERM}) {
    std::filesystem::remove_all(dir / "out");
    const Finished r = predict({"in", "-o", "out"}, {.interrupt_after_output = true, .interrupt_by = signal});
    const auto files = list("out");
    expect_failure(r, 1,
                   "sam2unet: interrupted after " + std::to_string(files.size()) + " of 300 pictures\n");
    EXPECT_GE(files.size(), 1u);
    EXPECT_LT(files.size(), static_cast<std::size_t>(kPictures));
    EXPECT_EQ(lines(r.out), static_cast<int>(files.size()));
    for (const auto& name : files) EXPECT_EQ(gray("out/" + name).width, 60) << name;
  }
}

// Whoever reads the names goes away: an error, which leaves no file half-written.
TEST_F(PredictFailures, AClosedPipeEndsTheRun) {
  for (int i = 0; i < 40; ++i) put_picture("in/" + std::to_string(100 + i) + ".png", 60, 60);
  const Finished r = test::run(
      "/bin/bash",
      {"-c", "\"$0\" predict in -o out --weights tiny.safetensors --size 64 | true; exit ${PIPESTATUS[0]}",
       test::program("sam2unet").string()},
      {.folder = dir.path()});
  expect_failure(r, 1, "sam2unet: cannot write to standard output: Broken pipe\n");
  for (const auto& name : list("out")) EXPECT_EQ(gray("out/" + name).width, 60) << name;
}

// Results of a large picture, or of tiles, are written while they are made.
TEST_F(PredictFailures, AFullDiskWhileBandsAreWritten) {
  put_picture("a.png", 200, 200);
  put_picture("b.png", 200, 200);
  const Finished r = predict({"a.png", "b.png", "-o", "out", "--tile", "100"}, {.file_size_limit = 1024});
  expect_failure(r, 1, "cannot write out/");
  EXPECT_THAT(list("out"), IsEmpty());
}

// What is wrong with the disk ends the run, and is told once and of no picture: in bands, which are opened
// before the network runs, as without.
TEST_F(PredictFailures, AFolderThatCannotBeMadeEndsTheRun) {
  put_picture("in/sub/a.png", 70, 40);
  put_picture("in/sub/b.png", 70, 40);
  put_picture("in/z.png", 70, 40);
  put("out/sub", "x");
  for (const std::vector<std::string>& tiles : {std::vector<std::string>{}, {"--tile", "40"}}) {
    std::vector<std::string> arguments{"in", "-r", "-o", "out"};
    arguments.insert(arguments.end(), tiles.begin(), tiles.end());
    const Finished r = predict(arguments);
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_THAT(r.err, StartsWith("sam2unet: cannot write into the folder out/sub: "));
    EXPECT_EQ(lines(r.err), 1) << r.err;
  }
}

// A name that no result can have fails alone, in bands too.
TEST_F(PredictFailures, ANameThatIsTooLongInBands) {
  const std::string longest(251, 'n');
  put_picture("in/" + longest + ".png", 70, 40);
  put_picture("in/z.png", 70, 40);
  const Finished r = predict({"in", "-o", "out", "--tile", "40", "--save", "mask"});
  expect_failure(r, 1, "name is too long");
  EXPECT_EQ(r.out, "out/z_mask.png\n");
  EXPECT_THAT(list("out"), ElementsAre("z_mask.png"));
}

}  // namespace
}  // namespace sam2unet
