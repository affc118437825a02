#include "formats/text.h"

#include <gtest/gtest.h>

namespace sam2unet::formats {
namespace {

TEST(Text, Utf8IsTheShortestFormWithoutSurrogates) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("encoder.pos_embed"));
  EXPECT_TRUE(is_valid_utf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));  // two, three and four bytes
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));                      // U+10FFFF
  // The first and the last of each length, and about the surrogates.
  for (const char* edge : {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF3\xBF\xBF\xBF"}) {
    EXPECT_TRUE(is_valid_utf8(edge)) << edge;
  }
  for (const char* broken : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xC3\x40", "\xE2\x82\xC0",
                             "\xF0\x9F\x98", "\xF5\x80\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
                             "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xFF", "a\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(broken)) << broken;
  }
}

TEST(Text, MessagesStayOneShortLine) {
  EXPECT_EQ(printable("a\nb\x1b[2Jc\x7f"), "a?b?[2Jc?");
  EXPECT_EQ(printable("\xC3\xA9\xFF"), "\xC3\xA9?");
  EXPECT_EQ(printable(std::string(5000, 'x')), std::string(100, 'x') + "...");
  EXPECT_EQ(printable(std::string(100, 'x')), std::string(100, 'x'));  // nothing is left out
  EXPECT_EQ(printable("a b~\x1F"), "a b~?");
}

}  // namespace
}  // namespace sam2unet::formats
