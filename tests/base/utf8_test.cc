#include "base/utf8.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(CleanUtf8Test, WhatIsValidStays) {
  for (const std::string text : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8e\x89"}) {
    EXPECT_EQ(CleanUtf8(text, 100), text);
  }
}

TEST(CleanUtf8Test, EachWildByteIsReplaced) {
  EXPECT_EQ(CleanUtf8("a\xff"
                      "b",
                      100),
            "a?b");
  EXPECT_EQ(CleanUtf8("\xc3(", 100), "?(");
  EXPECT_EQ(CleanUtf8("\xe2\x82", 100), "??") << "cut short";
  EXPECT_EQ(CleanUtf8("\xc0\xaf", 100), "??") << "overlong";
  EXPECT_EQ(CleanUtf8("\xed\xa0\x80", 100), "???") << "a surrogate";
  EXPECT_EQ(CleanUtf8("\xf4\x90\x80\x80", 100), "????") << "beyond Unicode";
}

TEST(CleanUtf8Test, TheCutFallsBetweenCharacters) {
  EXPECT_EQ(CleanUtf8("\xe2\x82\xac\xe2\x82\xac", 5), "\xe2\x82\xac");
  EXPECT_EQ(CleanUtf8("abc", 2), "ab");
}

}  // namespace
}  // namespace baton
