// Weights of several classes in every command, and what is said where classes do not fit.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "formats/tensor_file.h"
#include "predict_fixture.h"

namespace sam2unet::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Json = nlohmann::json;

class Classes : public PredictTest {
 protected:
  Classes() {
    write_three_classes();
    put("road.toml", "[[class]]\nid = 1\nname = \"road\"\n[[class]]\nid = 2\nname = \"car\"\n");
    put_picture("images/a.png", 40, 30);
    Image ids(40, 30, 1);
    for (int x = 0; x < 20; ++x) ids.row(x)[x] = 1;
    std::filesystem::create_directories(dir / "ids");
    write_png(dir / "ids/a.png", ids);
  }
  void expect_line(const std::vector<std::string>& arguments, int code, const std::string& says) {
    const Finished r = predict_plain(arguments);
    EXPECT_EQ(r.exit_code, code) << r.err;
    EXPECT_THAT(r.err, HasSubstr(says));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
};

TEST_F(Classes, InfoNamesThem) {
  const Finished text = predict_plain({"info", "three.safetensors"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("road"), HasSubstr("car")));
  const Finished json = predict_plain({"info", "three.safetensors", "--json"});
  EXPECT_EQ(Json::parse(json.out).at("out_channels"), 3);
}

TEST_F(Classes, ConvertKeepsThemAndPthSaysThatItCannot) {
  ASSERT_EQ(predict_plain({"convert", "three.safetensors", "task.safetensors", "--task-only"}).exit_code, 0);
  // The trunk of another network, here of one foreground, that was trained on the same.
  ASSERT_EQ(predict_plain({"convert", "task.safetensors", "whole.safetensors", "--trunk", "tiny.safetensors"})
                .exit_code,
            0);
  const auto before = formats::TensorFile::open(dir / "three.safetensors");
  const auto after = formats::TensorFile::open(dir / "whole.safetensors");
  EXPECT_EQ(after.metadata().at("classes"), before.metadata().at("classes"));
  EXPECT_EQ(after.find("head.weight")->shape[0], 3);
  const auto maps = [&](const std::string& weights, const std::string& out) {
    const Finished r = predict_plain(
        {"predict", "images", "-o", out, "--size", "64", "--weights", weights, "--save", "map,json"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return get(out + "/a.png");
  };
  const std::string want = maps("three.safetensors", "one");
  EXPECT_EQ(maps("whole.safetensors", "two"), want);
  const Finished pth = predict_plain({"convert", "three.safetensors", "three.pth"});
  EXPECT_EQ(pth.exit_code, 0);
  EXPECT_THAT(pth.err, HasSubstr("cannot carry the classes' names"));
  expect_line({"predict", "images", "-o", "out", "--weights", "task.safetensors"}, 1, "task.safetensors");
}

TEST_F(Classes, VerifyChecksGoldenFilesOfOtherWidthsAndClasses) {
  const auto folder = repository_data() / "golden_widths";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with("forward_")) continue;
    const Finished r = predict_plain({"verify", entry.path().string()});
    EXPECT_EQ(r.exit_code, 0) << r.out << r.err;
    ++files;
  }
  EXPECT_GT(files, 0);
}

// A folder of pictures with what this program made of them.
TEST_F(Classes, VerifyComparesPicturesOfThem) {
  ASSERT_EQ(
      predict_plain({"predict", "images", "-o", "set/pred", "--weights", "three.safetensors"}).exit_code, 0);
  std::filesystem::copy(dir / "images", dir / "set/image");
  const Finished same = predict_plain({"verify", "set", "--weights", "three.safetensors"});
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_THAT(same.out, HasSubstr("a.png prediction"));
  Image other = read_image(dir / "set/pred/a.png", {.mode = ColorMode::ids});
  for (int i = 0; i < 100; ++i) other.pixels[static_cast<std::size_t>(i)] ^= 1U;
  write_png(dir / "set/pred/a.png", other);
  EXPECT_EQ(predict_plain({"verify", "set", "--weights", "three.safetensors"}).exit_code, 1);
}

TEST_F(Classes, WhatDoesNotFitIsOneLine) {
  put("twice.toml", "[[class]]\nid = 1\nname = \"a\"\n[[class]]\nid = 1\nname = \"b\"\n");
  put("colour.toml",
      "[[class]]\nid = 1\nname = \"a\"\ncolor = \"#102030\"\n[[class]]\nid = 2\nname = \"b\"\ncolor = "
      "\"#102030\"\n");
  std::string many;
  for (int i = 1; i < 300; ++i)
    many += "[[class]]\nid = " + std::to_string(i) + "\nname = \"c" + std::to_string(i) + "\"\n";
  put("many.toml", many);
  put("four.toml",
      "[[class]]\nid = 1\nname = \"a\"\n[[class]]\nid = 2\nname = \"b\"\n[[class]]\nid = 3\nname = \"c\"\n");
  put("broken.toml", "[[class]\nid = ");
  const auto eval = [](const std::string& classes) {
    return std::vector<std::string>{"eval", "--classes", classes, "--pred", "ids", "--gt", "images"};
  };
  expect_line(eval("twice.toml"), 1, "twice.toml");
  expect_line(eval("colour.toml"), 1, "colour.toml");
  expect_line(eval("many.toml"), 1, "many.toml");
  expect_line(eval("broken.toml"), 1, "broken.toml");
  expect_line(eval("none.toml"), 1, "none.toml");
  expect_line(eval("300"), 2, "300");
  expect_line(eval("1"), 2, "one class is given");
  const auto predict = [](const std::string& weights, const std::string& classes) {
    return std::vector<std::string>{"predict",   "images", "-o",        "out",
                                    "--weights", weights,  "--classes", classes};
  };
  expect_line(predict("tiny.safetensors", "road.toml"), 2, "these weights have one foreground");
  expect_line(predict("three.safetensors", "four.toml"), 2, "it has 4 classes, the weights have 3");
  expect_line({"predict", "images", "-o", "out", "--weights", "three.safetensors", "--class", "bus"}, 2,
              "there is no such class; there are background, road, car");
  expect_line({"predict", "images", "-o", "out", "--weights", "three.safetensors", "--official"}, 2,
              "several classes");
  expect_line({"predict", "images", "-o", "out", "--weights", "tiny.safetensors", "--class", "1"}, 2,
              "one foreground");
  for (const auto& [option, value] : {std::pair("--tta", "hflip"), std::pair("--tile", "256")})
    expect_line(
        {"predict", "images", "-o", "out", "--weights", "tiny.safetensors", "--official", option, value}, 2,
        std::string(option) + ": not with --official");
  const auto eval_model = [](const std::string& weights, const std::string& classes) {
    return std::vector<std::string>{"eval",      "--images", "images",    "--gt", "ids",
                                    "--weights", weights,    "--classes", classes};
  };
  expect_line(eval_model("tiny.safetensors", "road.toml"), 2, "these weights have one foreground");
  expect_line(eval_model("three.safetensors", "four.toml"), 2, "it has 4 classes, the weights have 3");
}

// Of another size: scored at the ground truth's, with a warning; unless --strict.
TEST_F(Classes, MasksOfAnotherSizeAreTold) {
  std::filesystem::create_directories(dir / "small");
  write_png(dir / "small/a.png", Image(20, 15, 1));
  const Finished loose = predict_plain({"eval", "--classes", "road.toml", "--pred", "small", "--gt", "ids"});
  EXPECT_EQ(loose.exit_code, 0);
  EXPECT_THAT(loose.err, HasSubstr("warning: "));
  EXPECT_THAT(loose.err, HasSubstr("20"));
  expect_line({"eval", "--classes", "road.toml", "--pred", "small", "--gt", "ids", "--strict"}, 2, "a.png");
}

}  // namespace
}  // namespace sam2unet::test
