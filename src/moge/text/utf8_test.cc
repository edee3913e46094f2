#include "moge/text/utf8.h"

#include <gtest/gtest.h>

namespace moge::text {
namespace {

TEST(Utf8, EveryScalarValueSurvivesARoundTrip) {
  std::string s;
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 61) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    s.clear();
    append_utf8(s, c);
    const CodePoint got = decode_utf8(s);
    ASSERT_TRUE(got.valid) << static_cast<uint32_t>(c);
    ASSERT_EQ(got.value, c);
    ASSERT_EQ(got.size, static_cast<int>(s.size()));
    ASSERT_EQ(utf8_length(s[0]), got.size);
  }
}

// The expected texts are Python's bytes.decode("utf-8", "replace").
TEST(Utf8, IllFormedPartsBecomeOneReplacementEach) {
  const std::string r(kReplacement);
  EXPECT_EQ(replace_invalid_utf8("a\xFFz"), "a" + r + "z");
  EXPECT_EQ(replace_invalid_utf8("\xE4\xB8"), r);  // truncated: one
  EXPECT_EQ(replace_invalid_utf8("\xE4\xB8z"), r + "z");
  EXPECT_EQ(replace_invalid_utf8("\xC0\x80"), r + r);          // overlong
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), r + r + r);  // surrogate
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // beyond U+10FFFF
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\xE4\xB8\xAD"), r + "\xE4\xB8\xAD");
}

TEST(Utf8, TruncatedTellsIncompleteFromWrong) {
  EXPECT_TRUE(decode_utf8("\xF0\x9F").truncated);
  EXPECT_FALSE(decode_utf8("\xF0\x9Fz").truncated);
  EXPECT_FALSE(decode_utf8("\xFF").truncated);
  EXPECT_TRUE(is_valid_utf8("na\xC3\xAFve"));
  EXPECT_FALSE(is_valid_utf8("na\xC3"));
}

}  // namespace
}  // namespace moge::text
