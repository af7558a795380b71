#include "base/deliberate_break.h"

#include <gtest/gtest.h>

#include <set>

namespace baton {
namespace {

TEST(DeliberateBreakTest, NothingIsBrokenUnlessATestSaysSo) {
  for (const BreakDescription& one : Breaks()) EXPECT_FALSE(Broken(one.which)) << one.name;
}

TEST(DeliberateBreakTest, OneRuleIsBrokenAtATime) {
  BreakDeliberately(Break::kOneCopySuffices);
  for (const BreakDescription& one : Breaks()) {
    EXPECT_EQ(Broken(one.which), one.which == Break::kOneCopySuffices) << one.name;
  }
  BreakDeliberately(Break::kNone);
  EXPECT_FALSE(Broken(Break::kOneCopySuffices));
}

TEST(DeliberateBreakTest, EveryBreakHasOneNameByWhichItIsFound) {
  std::set<Break> known;
  for (const BreakDescription& one : Breaks()) {
    EXPECT_TRUE(known.insert(one.which).second) << one.name << " is described twice";
    EXPECT_EQ(FindBreak(one.name), one.which);
    EXPECT_FALSE(one.what.empty());
    EXPECT_TRUE(one.promise.size() == 2 && one.promise[0] == 'P') << one.promise;
  }
  EXPECT_EQ(known.size(), static_cast<size_t>(Break::kForwardedWithoutId)) << "one has no name";
  EXPECT_EQ(FindBreak("none"), std::nullopt);
}

}  // namespace
}  // namespace baton
