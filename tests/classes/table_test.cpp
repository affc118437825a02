#include <gmock/gmock.h>

#include "sam2unet/classes.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ClassTable, DefaultColoursAreVocs) {
  // The first and some later colours of VOCdevkit's VOClabelcolormap, and its border's.
  const std::vector<std::pair<int, std::string>> known{
      {0, "#000000"},  {1, "#800000"},  {2, "#008000"},  {3, "#808000"},  {4, "#000080"},
      {5, "#800080"},  {6, "#008080"},  {7, "#808080"},  {8, "#400000"},  {9, "#c00000"},
      {15, "#c08080"}, {16, "#004000"}, {20, "#004080"}, {255, "#e0e0c0"}};
  for (const auto& [id, color] : known) EXPECT_EQ(to_string(voc_color(id)), color) << id;
  const ClassTable t = default_class_table(21);
  EXPECT_EQ(t.size(), 21);
  EXPECT_EQ(t.classes[0].name, "background");
  EXPECT_EQ(t.classes[20].name, "class 20");
  EXPECT_EQ(t.classes[20].color, voc_color(20));
  EXPECT_EQ(t.ignore, 255);
  EXPECT_EQ(t.ignore_color, voc_color(255));
  EXPECT_NO_THROW(default_class_table(255));
}

TEST(ClassTable, RefusesCountsThatMasksHaveNoRoomFor) {
  EXPECT_THAT([] { default_class_table(1); }, ThrowsMessage<UsageError>(HasSubstr("one class is given")));
  EXPECT_THAT([] { default_class_table(0); }, ThrowsMessage<UsageError>(HasSubstr("no classes are given")));
  EXPECT_THAT([] { default_class_table(-5); }, ThrowsMessage<UsageError>(HasSubstr("no classes are given")));
  EXPECT_THAT([] { default_class_table(256); }, ThrowsMessage<UsageError>(HasSubstr("256 classes")));
  EXPECT_THAT([] { default_class_table(2000000000); },
              ThrowsMessage<UsageError>(HasSubstr("2000000000 classes: masks of 8 bits have room for 255")));
}

TEST(ClassTable, JsonComesBackTheSameWithoutRemappings) {
  ClassTable t = default_class_table(5);
  t.classes[3].name =
      "Stra\xC3\x9F"
      "e \"x\"";
  t.ignore = 200;
  ClassTable read = class_table_from_json(to_json(t));
  EXPECT_EQ(read, t);
  t.remap_ids = {{7, 1}};
  EXPECT_EQ(class_table_from_json(to_json(t)), read);
}

TEST(ClassTable, JsonOfAHostileFileIsRefused) {
  const std::vector<std::string> bad{
      "",
      "{",
      "[]",
      "{}",
      R"({"classes":3,"ignore":255})",
      R"({"classes":[],"ignore":255})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"}],"ignore":255})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":2,"name":"b","color":"#000001"}],"ignore":255})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"a","color":"#000001"}],"ignore":255})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"b","color":"#00000"}],"ignore":255})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"b","color":"#000001"}],"ignore":1})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"b","color":"#000001"}],"ignore":99999999999})",
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"b","color":"#000001"}]})",
  };
  for (const std::string& text : bad) {
    EXPECT_THAT([&] { class_table_from_json(text); },
                ThrowsMessage<FormatError>(HasSubstr("the table of classes is damaged")))
        << text;
  }
  std::string many = R"({"ignore":255,"classes":[)";
  for (int i = 0; i < 100000; ++i) many += i == 0 ? "{}" : ",{}";
  EXPECT_THROW(class_table_from_json(many + "]}"), FormatError);
  // More than can be, before their ids and names are looked at.
  const auto of = [](int count) {
    std::string text = R"({"ignore":0,"classes":[)";
    for (int i = 0; i < count; ++i) {
      const std::string id = std::to_string(i);
      text += (i == 0 ? "" : ",") + (R"({"id":)" + id) + R"(,"name":"c)" + id + R"(","color":")" +
              to_string(voc_color(i)) + R"("})";
    }
    return text + "]}";
  };
  EXPECT_THAT([&] { class_table_from_json(of(256)); },
              ThrowsMessage<FormatError>(HasSubstr("\"classes\" is no list of up to 255 classes")));
  EXPECT_THAT([&] { class_table_from_json(of(255)); },
              ThrowsMessage<FormatError>(HasSubstr("the ignored id 0 is that of class 'c0'")));
}

TEST(ClassTable, JsonMayLeaveTheColourOfIgnoredPixelsOut) {
  const ClassTable t = class_table_from_json(
      R"({"classes":[{"id":0,"name":"a","color":"#000000"},{"id":1,"name":"b","color":"#000001"}],"ignore":9})");
  EXPECT_EQ(t.ignore_color, voc_color(255));
  EXPECT_EQ(t.ignore, 9);
  EXPECT_EQ(t.classes[1], (ClassInfo{"b", {0, 0, 1}}));
}

// What is just allowed comes back from a file's metadata; one more does not.
TEST(ClassTable, LimitsAreAllowedThemselves) {
  const ClassTable most = default_class_table(ClassTable::kMaxClasses);
  EXPECT_EQ(most.size(), 255);
  EXPECT_EQ(class_table_from_json(to_json(most)), most);
  ClassTable t = default_class_table(3);
  t.ignore = 3;  // right behind the classes
  t.classes[1].name = std::string(64, 'x');
  EXPECT_EQ(class_table_from_json(to_json(t)), t);
  EXPECT_EQ(mask_values(t)[3], 3);
  EXPECT_EQ(mask_values(t)[255], -1);
  t.classes[1].name += 'x';
  EXPECT_THAT([&] { check_class_table(t); }, ThrowsMessage<UsageError>(HasSubstr("65 bytes")));
  t.classes[1].name = "tab\t";
  EXPECT_THAT([&] { check_class_table(t); }, ThrowsMessage<UsageError>(HasSubstr("control characters")));
  t.classes[1].name = "del\x7F";
  EXPECT_THAT([&] { check_class_table(t); }, ThrowsMessage<UsageError>(HasSubstr("control characters")));
  t.classes[1].name = "road";
  for (const int ignore : {2, -1, 256}) {
    t.ignore = ignore;
    EXPECT_THROW(check_class_table(t), UsageError) << ignore;
  }
  t.ignore = 255;
  t.ignore_color = t.classes[2].color;
  EXPECT_THAT([&] { check_class_table(t); }, ThrowsMessage<UsageError>(HasSubstr("the ignored pixels")));
}

// Remapped ids are applied once: to themselves, to the ignored id and from 255.
TEST(ClassTable, RemappingsAtTheEdges) {
  ClassTable t = default_class_table(3);
  t.remap_ids = {{255, 0}, {1, 1}};
  EXPECT_NO_THROW(check_class_table(t));
  EXPECT_EQ(mask_values(t)[255], 0);
  EXPECT_EQ(mask_values(t)[1], 1);
  t.remap_ids = {{254, 255}, {0, 255}};
  EXPECT_NO_THROW(check_class_table(t));
  EXPECT_EQ(mask_values(t)[254], 255);
  EXPECT_EQ(mask_values(t)[0], 255);
  t.remap_ids = {{254, 255}, {255, 0}};  // of two steps
  EXPECT_THROW(check_class_table(t), UsageError);
  for (const IdRemap wrong :
       {IdRemap{256, 1}, IdRemap{-1, 1}, IdRemap{9, 3}, IdRemap{9, -1}, IdRemap{1, 2}}) {
    t.remap_ids = {wrong};
    if (wrong.from == 1) t.remap_ids.push_back({1, 0});  // twice
    EXPECT_THROW(check_class_table(t), UsageError) << wrong.from << " to " << wrong.to;
  }
}

TEST(ClassTable, ClassesAreFoundByNameOrNumber) {
  ClassTable t = default_class_table(4);
  t.classes[2].name = "3";
  EXPECT_EQ(find_class(t, "background"), 0);
  EXPECT_EQ(find_class(t, "1"), 1);
  EXPECT_EQ(find_class(t, "3"), 2) << "a name goes before a number";
  EXPECT_EQ(find_class(t, "4"), std::nullopt);
  EXPECT_EQ(find_class(t, "-1"), std::nullopt);
  EXPECT_EQ(find_class(t, "1x"), std::nullopt);
  EXPECT_EQ(find_class(t, ""), std::nullopt);
  EXPECT_EQ(find_class(t, "99999999999999999999"), std::nullopt);
}

TEST(ClassTable, ValuesOfMasks) {
  ClassTable t = default_class_table(3);
  t.remap_ids = {{7, 1}, {8, 255}, {0, 2}};
  check_class_table(t);
  const auto values = mask_values(t);
  EXPECT_EQ(values[0], 2);
  EXPECT_EQ(values[1], 1);
  EXPECT_EQ(values[2], 2);
  EXPECT_EQ(values[3], -1);
  EXPECT_EQ(values[7], 1);
  EXPECT_EQ(values[8], 255);
  EXPECT_EQ(values[255], 255);
}

TEST(ClassTable, OneClassTooManyIsToldAsThat) {
  ClassTable t = default_class_table(ClassTable::kMaxClasses);
  t.classes.push_back({"last", {1, 2, 3}});
  EXPECT_THAT(
      [&] { check_class_table(t); },
      ThrowsMessage<UsageError>("256 classes: masks of 8 bits have room for 255, ids 0 to 254 and one for "
                                "ignored pixels"));
}

TEST(ClassTable, TheColourOfIgnoredPixelsComesBackFromJson) {
  ClassTable t = default_class_table(3);
  t.ignore_color = {1, 2, 3};
  EXPECT_EQ(class_table_from_json(to_json(t)).ignore_color, (Color{1, 2, 3}));
}

// A caller's name need not be UTF-8, but JSON must be.
TEST(ClassTable, NamesThatAreNoTextAreStillJson) {
  ClassTable t = default_class_table(2);
  t.classes[1].name = "a\xFF";
  EXPECT_EQ(to_json(t),
            "{\"classes\":[{\"id\":0,\"name\":\"background\",\"color\":\"#000000\"},"
            "{\"id\":1,\"name\":\"a\xEF\xBF\xBD\",\"color\":\"#800000\"}],"
            "\"ignore\":255,\"ignore_color\":\"#e0e0c0\"}");
}

TEST(ClassTable, SameClassesAreSameNames) {
  ClassTable a = default_class_table(3), b = a;
  b.classes[1].color = {1, 2, 3};
  b.ignore = 254;
  EXPECT_TRUE(same_classes(a, b));
  b.classes[1].name = "other";
  EXPECT_FALSE(same_classes(a, b));
  EXPECT_FALSE(same_classes(a, default_class_table(4)));
}

TEST(Colours, TextAndBack) {
  EXPECT_EQ(parse_color("#804fFF"), (Color{0x80, 0x4F, 0xFF}));
  for (const char* bad : {"804fff", "#804ff", "#804fff0", "#80 fff", "#-04fff", "#xyzxyz", "x804fff", ""}) {
    EXPECT_EQ(parse_color(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace sam2unet
