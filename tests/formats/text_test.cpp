#include "formats/text.h"

#include <gtest/gtest.h>

namespace sam2unet::formats {
namespace {

TEST(Text, Utf8IsTheShortestFormWithoutSurrogates) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("encoder.pos_embed"));
  EXPECT_TRUE(is_valid_utf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));  // two, three and four bytes
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));                      // U+10FFFF
  for (const char* broken : {"\x80", "\xC0\xAF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                             "\xF4\x90\x80\x80", "\xFF", "a\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(broken)) << broken;
  }
}

TEST(Text, MessagesStayOneShortLine) {
  EXPECT_EQ(printable("a\nb\x1b[2Jc\x7f"), "a?b?[2Jc?");
  EXPECT_EQ(printable("\xC3\xA9\xFF"), "\xC3\xA9?");
  EXPECT_EQ(printable(std::string(5000, 'x')), std::string(100, 'x') + "...");
}

}  // namespace
}  // namespace sam2unet::formats
