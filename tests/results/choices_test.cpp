// How sizes and classes are named by a user.
#include "results/choices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"

namespace sam2unet::results {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Choices, ASizeIsTheHeightAndThenTheWidth) {
  EXPECT_EQ(parse_size("", "--size"), InputSize::square(0));
  EXPECT_EQ(parse_size("352", "--size"), InputSize::square(352));
  EXPECT_EQ(parse_size("480x640", "--size"), InputSize::of(640, 480));
  EXPECT_EQ(parse_size("32x8192", "--size"), InputSize::of(8192, 32));
  for (const char* wrong : {"0", "31", "48", "100", "8224", "64x", "x64", "64x0", "64x100", "64x8224",
                            "64x64x64", "-64", "+64", " 64", "64 ", "999999999999", "1e3", "64X64"}) {
    EXPECT_THAT(test::message_of<UsageError>([&] { (void)parse_size(wrong, "--size"); }),
                HasSubstr("--size " + std::string(wrong) +
                          ": give N or HxW, multiples of 32 from 32 to 8192, such as 352 or 480x640"))
        << wrong;
  }
}

TEST(Choices, ClassesAreShownInTheOrderTheyWereNamedIn) {
  const ClassTable table =
      parse_class_table("[[class]]\nid = 1\nname = \"road\"\n[[class]]\nid = 2\nname = \"car\"\n");
  EXPECT_THAT(shown_classes(table, {}, "--class"), ElementsAre(1, 2));
  EXPECT_THAT(shown_classes(table, {"car", "background"}, "--class"), ElementsAre(2, 0));
  EXPECT_THAT(shown_classes(table, {"2"}, "--class"), ElementsAre(2));
  EXPECT_THAT(test::message_of<UsageError>([&] { (void)shown_classes(table, {"bus"}, "--class"); }),
              HasSubstr("--class bus: there is no such class; there are background, road, car"));
}

}  // namespace
}  // namespace sam2unet::results
