#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "sam2unet/classes.h"
#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

std::string class_text(int id, const std::string& name, const std::string& more = "") {
  return "[[class]]\nid = " + std::to_string(id) + "\nname = \"" + name + "\"\n" + more + "\n";
}

void expect_refused(const std::string& text, const std::string& message) {
  EXPECT_THAT(
      [&] { parse_class_table(text, "c.toml"); },
      ThrowsMessage<FormatError>(AllOf(HasSubstr("c.toml"), HasSubstr(message), Not(HasSubstr("\n")))))
      << text;
}

TEST(ClassFile, AllThatItCanSay) {
  const ClassTable t = parse_class_table(R"(
ignore = 254
ignore_color = "#ffffff"
[[class]]
id = 2
name = "sky"
colour = [1, 2, 3]
[[class]]
id = 1
name = "road"
color = "#804080"
[remap.ids]
7 = 1
255 = 254
[remap.colors]
"#e6e6e6" = 2
"#0a0a0a" = 254
)");
  ClassTable want;
  want.classes = {{"background", {0, 0, 0}}, {"road", {0x80, 0x40, 0x80}}, {"sky", {1, 2, 3}}};
  want.ignore = 254;
  want.ignore_color = {255, 255, 255};
  want.remap_ids = {{255, 254}, {7, 1}};
  want.remap_colors = {{{10, 10, 10}, 254}, {{0xE6, 0xE6, 0xE6}, 2}};
  EXPECT_EQ(t, want);
}

TEST(ClassFile, BackgroundMayBeNamedAndColoursLeftOut) {
  const ClassTable t = parse_class_table(class_text(0, "nothing", "color = '#112233'") + class_text(1, "a"));
  EXPECT_EQ(t.classes[0], (ClassInfo{"nothing", {0x11, 0x22, 0x33}}));
  EXPECT_EQ(t.classes[1], (ClassInfo{"a", {0x80, 0, 0}}));
}

TEST(ClassFile, OneLineForEachMistake) {
  expect_refused("", "no classes");
  expect_refused("class = 3", "[[class]]");
  expect_refused("[class]\nid = 1\nname = 'a'", "[[class]]");
  expect_refused("\nclass = []", "line 2: classes are written [[class]], one each");
  expect_refused("class = [1, 2]", "a class is a table");
  expect_refused("[[class]\nid = 1", "line 1");
  expect_refused("[[class]]\nname = 'a'", "line 1: a class without an id");
  expect_refused("[[class]]\nid = 1", "class 1 has no name");
  expect_refused(class_text(1, ""), "class 1 has no name");
  expect_refused("[[class]]\nid = 1\nname = 7", "class 1 has no name");
  expect_refused("[[class]]\nid = 1\nname = ''", "line 3: class 1 has no name");
  expect_refused(class_text(1, "a\\u001b[31m"), "control characters");
  expect_refused(class_text(1, std::string(65, 'x')), "more than the 64 allowed");
  expect_refused(class_text(1, "a") + class_text(1, "b"), "line 6: the id 1 is that of 'a' already");
  expect_refused(class_text(1, "a") + class_text(2, "a"), "two classes have the name 'a'");
  expect_refused(class_text(1, "a", "color = '#808080'") + class_text(2, "b", "color = [128,128,128]"),
                 "class 1 (a) and class 2 (b) have the same colour #808080");
  expect_refused(class_text(1, "a", "color = '#000000'"), "same colour");
  expect_refused(class_text(1, "a", "color = '#e0e0c0'"), "the ignored pixels");
  for (const char* color : {"'red'", "[1,2]", "[1,2,300]", "[1,2,-1]", "7", "[1.0,2,3]", "'#12345'"}) {
    expect_refused(class_text(1, "a", std::string("color = ") + color), "line 4: a colour is written");
  }
  expect_refused(class_text(1, "a") + class_text(3, "c"), "there is a class 3 ('c') but no class 2");
  expect_refused(class_text(-1, "a"), "is -1, but masks have values of 0 to 255");
  expect_refused(class_text(256, "a"), "is 256, but masks");
  expect_refused("[[class]]\nid = 1.0\nname = 'a'", "whole number");
  expect_refused("ignore = 1\n" + class_text(1, "a"), "the ignored id 1 is that of class 'a'");
  expect_refused("ignore = 0\n" + class_text(1, "a"), "the ignored id 0 is that of class 'background'");
  expect_refused("ignore = 300\n" + class_text(1, "a"), "ignore is 300");
  expect_refused("ignore = 'x'\n" + class_text(1, "a"), "whole number");
  expect_refused("ignored = 255\n" + class_text(1, "a"), "unknown key 'ignored'");
  expect_refused(class_text(1, "a", "alpha = 1"), "unknown key 'alpha'");
  expect_refused(class_text(0, "background"), "one class is given");
}

TEST(ClassFile, OneLineForEachMistakeInRemappings) {
  const std::string a = class_text(1, "a") + class_text(2, "b");
  expect_refused(a + "[remap]\n7 = 1", "unknown key '7'");
  expect_refused(a + "remap = 1", "unknown key 'remap'");
  expect_refused("remap = 1\n" + a, "[remap.ids]");
  expect_refused(a + "[remap.ids]\nroad = 1", "'road' is no value of a mask");
  expect_refused(a + "[remap.ids]\n256 = 1", "'256' is no value of a mask");
  expect_refused(a + "[remap.ids]\n-1 = 1", "'-1' is no value of a mask");
  expect_refused(a + "[remap.ids]\n07 = 1", "'07' is no value of a mask");
  expect_refused(a + "[remap.ids]\n12-15 = 1", "'12-15' is no value of a mask");
  expect_refused(a + "[remap.ids]\n7x = 1", "'7x' is no value of a mask");
  expect_refused(a + "[remap.ids]\n7 = 3", "the id 7 is remapped to 3, which is neither a class (0 to 2)");
  expect_refused(a + "[remap.ids]\n7 = 1\n7 = 2", "line");
  expect_refused(a + "[remap.ids]\n1 = 2\n2 = 1", "applied once");
  expect_refused(a + "[remap.colors]\nred = 1", "lines like");
  expect_refused(a + "[remap.colors]\n'#800000' = 2", "it is the colour of class 1 (a) already");
  expect_refused(a + "[remap.colors]\n'#aabbcc' = 2\n'#AABBCC' = 1", "remapped to");
  expect_refused(a + "[remap.colors]\n'#123456' = 9", "neither a class");
}

// Both ends of a remapping, and whose they are.
TEST(ClassFile, RemappingsThatCannotBeAreToldInNumbers) {
  const std::string a = "ignore = 250\n" + class_text(1, "a") + class_text(2, "b");
  expect_refused(a + "[remap.ids]\n7 = 3",
                 "the id 7 is remapped to 3, which is neither a class (0 to 2) nor the ignored id (250)");
  expect_refused(
      a + "[remap.colors]\n'#123456' = 9",
      "the colour #123456 is remapped to 9, which is neither a class (0 to 2) nor the ignored id (250)");
  expect_refused(a + "[remap.ids]\n1 = 2\n2 = 0",
                 "the id 1 is remapped to 2, which is itself remapped to 0:");
  expect_refused(a + "[remap.colors]\n'#800000' = 2",
                 "the colour #800000 is remapped to 2, but it is the colour of class 1 (a) already");
  expect_refused(a + "[remap.colors]\n'#e0e0c0' = 2", "it is the colour of the ignored pixels already");
  expect_refused(a + "[remap.colors]\n'#AABBCC' = 1\n'#aabbcc' = 2",
                 "the colour #aabbcc is remapped to 2, but it is the colour of another remapping already");
  expect_refused(a + "[remap.ids]\n7 = 256",
                 "the class of a remapping is 256, but masks have values of 0 to 255");
  expect_refused(a + "[remap.colors]\n'#123456' = 1.5", "the class of a remapping must be a whole number");
  EXPECT_EQ(parse_class_table(a + "[remap.ids]\n7 = 2\n3 = 250\n").remap_ids.size(), 2u);
}

TEST(ClassFile, EitherSpellingOfColours) {
  const ClassTable t =
      parse_class_table("ignore_colour = '#0a0b0c'\n" + class_text(1, "a", "colour = [255, 0, 255]") +
                        "[remap.ids]\n0 = 1\n[remap.colours]\n'#010203' = 1\n");
  EXPECT_EQ(t.ignore_color, (Color{10, 11, 12}));
  EXPECT_EQ(t.classes[1].color, (Color{255, 0, 255}));
  EXPECT_EQ(t.remap_ids, (std::vector<IdRemap>{{0, 1}}));
  EXPECT_EQ(t.remap_colors, (std::vector<ColorRemap>{{{1, 2, 3}, 1}}));
}

// Where it is wrong, and what of two is meant.
TEST(ClassFile, MistakesAreToldWhereTheyStand) {
  expect_refused("[[class]]\nid = 1\nname = 7", "line 3: class 1 has no name");
  expect_refused(class_text(1, "a", "color = [1, 2, 3, 4]"), "line 4: a colour is written");
  expect_refused(class_text(1, "a", "color = [256, 2, 3]"), "line 4: a colour is written");
  expect_refused(class_text(1, "a") + class_text(1, "b"), "is that of 'a' already; 'b' needs another");
  const std::string a = class_text(1, "a");
  expect_refused(a + "[remap]\nids = 3", "line 6: [remap.ids] has lines like 7 = 1");
  expect_refused(a + "[remap]\ncolors = 3", "line 6: [remap.colors] has lines like");
  expect_refused(class_text(1, "a") + class_text(3, "c"),
                 "under [remap.ids] what the masks hold instead (3 = 2)");
}

// Dots are counted by the line, and a row of them is one.
TEST(ClassFile, DotsOfCommentsAreNoKeys) {
  std::string text = "# " + std::string(40, '.') + "\n";
  for (int i = 0; i < 40; ++i) text += "# e.g.\n";
  EXPECT_EQ(parse_class_table(text + class_text(1, "a")).size(), 2);
}

TEST(ClassFile, AMegabyteIsReadAndNoMore) {
  std::string text = class_text(1, "a") + "#";
  text.resize(std::size_t{1} << 20, '-');
  EXPECT_EQ(parse_class_table(text).size(), 2);
  expect_refused(text + "-", "has 1048577 bytes, which no class file needs");
}

TEST(ClassFile, ManyClasses) {
  std::string text;
  for (int i = 1; i <= 254; ++i) text += class_text(i, "c" + std::to_string(i));
  EXPECT_EQ(parse_class_table(text).size(), 255);
  for (int i = 255; i <= 300; ++i) text += class_text(i, "c" + std::to_string(i));
  EXPECT_THAT([&] { parse_class_table(text); }, ThrowsMessage<FormatError>(HasSubstr("255")));
}

TEST(ClassFile, KeysOfManyPartsAreRefused) {
  const auto key = [](int dots) {
    std::string text = "[[class]]\nid = 1\nname = 'a'\n[a";
    for (int i = 0; i < dots; ++i) text += ".a";
    return text + "]\n";
  };
  expect_refused(key(17), "line 4: too many dots");
  EXPECT_EQ(test::message_of<FormatError>([&] { parse_class_table(key(16)); }).find("too many dots"),
            std::string::npos);
}

// A key's parts may have blanks between them; a row of dots is one whatever lies between them.
TEST(ClassFile, BlanksBetweenDotsDoNotMatter) {
  const auto of = [](const std::string& between, int dots) {
    std::string text = "x";
    for (int i = 0; i < dots; ++i) text += between + "." + between + "x";
    return test::message_of<FormatError>([&] { parse_class_table(text + " = 1\n", "c.toml"); });
  };
  for (const std::string between : {"", " ", "\t"}) {
    EXPECT_EQ(of(between, 17), "c.toml, line 1: too many dots");
    EXPECT_THAT(of(between, 16), HasSubstr("unknown key 'x'"));
    std::string row = "#";
    for (int i = 0; i < 40; ++i) row += "." + between;
    EXPECT_EQ(parse_class_table(row + "\n" + class_text(1, "a")).size(), 2);
  }
}

TEST(ClassFile, HostileTextEndsInAnError) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "a.";
  EXPECT_THROW(parse_class_table("[" + deep + "a]"), FormatError);
  EXPECT_THROW(parse_class_table(deep + "a = 1"), FormatError);
  EXPECT_THROW(parse_class_table("class = " + std::string(100000, '[')), FormatError);
  EXPECT_THROW(parse_class_table(std::string(2 << 20, '#')), FormatError);
  EXPECT_THROW(parse_class_table(std::string("a\0b", 3)), FormatError);
  EXPECT_THROW(parse_class_table("\xFF\xFE"), FormatError);
}

TEST(ClassFile, ANumberIsOfDefaultClasses) {
  EXPECT_EQ(class_table_of("4"), default_class_table(4));
  EXPECT_THROW(class_table_of("1"), UsageError);
  EXPECT_EQ(class_table_of("255").size(), 255);
  EXPECT_THROW(class_table_of("256"), UsageError);
  EXPECT_THROW(class_table_of("300"), UsageError);
  EXPECT_THROW(class_table_of("-2"), UsageError);
  EXPECT_THROW(class_table_of("99999999999999999999"), UsageError);
  EXPECT_THROW(class_table_of(""), FileError);
  EXPECT_THROW(class_table_of("4x"), FileError);
}

TEST(ClassFile, FromAFile) {
  const auto file = std::filesystem::path(testing::TempDir()) / "classes_test.toml";
  std::ofstream(file) << class_text(1, "a");
  EXPECT_EQ(read_class_table(file).size(), 2);
  std::ofstream(file, std::ios::trunc).flush();
  EXPECT_THROW(read_class_table(file), FormatError);
  std::filesystem::remove(file);
  EXPECT_THROW(read_class_table(file), FileError);
}

}  // namespace
}  // namespace sam2unet
