// Watches: once, in time, and on what is not there yet.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/coordination_contract.h"

namespace baton::testing {
namespace {

TEST_P(CoordinationContract, AWatchOnANodeFiresOnce) {
  ASSERT_TRUE(Create(one_, root_ + "/n").ok());
  auto fired = std::make_shared<int>(0);
  ASSERT_TRUE(Get(one_, root_ + "/n", Count(fired)).ok());
  ASSERT_TRUE(Set(two_, root_ + "/n", "x").ok());
  ASSERT_TRUE(WaitFor([&] { return *fired == 1; }));
  ASSERT_TRUE(Set(two_, root_ + "/n", "y").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 1);

  ASSERT_TRUE(Get(one_, root_ + "/n", Count(fired)).ok());
  ASSERT_TRUE(Delete(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 2; }));
}

TEST_P(CoordinationContract, AWatchOnAMissingNodeFiresWhenItAppears) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(two_, root_ + "/other").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 0);
  ASSERT_TRUE(Create(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 1; }));
}

TEST_P(CoordinationContract, AChildrenWatchFiresWhenOneComesOrGoes) {
  ASSERT_TRUE(Create(one_, root_ + "/old").ok());
  auto fired = std::make_shared<int>(0);
  ASSERT_TRUE(Children(one_, root_, Count(fired)).ok());
  ASSERT_TRUE(Set(two_, root_ + "/old", "changed").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 0);
  ASSERT_TRUE(Create(two_, root_ + "/new").ok());
  ASSERT_TRUE(WaitFor([&] { return *fired == 1; }));

  ASSERT_TRUE(Children(one_, root_, Count(fired)).ok());
  ASSERT_TRUE(Delete(two_, root_ + "/old").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 2; }));
}

TEST_P(CoordinationContract, AChildrenWatchOnAMissingNodeFiresWhenItAppears) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Children(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 1; }));
}

TEST_P(CoordinationContract, AWatchFiresBeforeItsSessionSeesTheChange) {
  ASSERT_TRUE(Create(one_, root_ + "/n", "old").ok());
  for (int i = 0; i < 20; ++i) {
    auto fired = std::make_shared<int>(0);
    const std::string before = Get(one_, root_ + "/n", Count(fired))->data;
    two_->Set(root_ + "/n", std::to_string(i), kAnyVersion, [](absl::StatusOr<NodeStat>) {});
    bool seen = false;
    while (!seen) {
      auto node = Get(one_, root_ + "/n");
      ASSERT_TRUE(node.ok());
      seen = node->data != before;
      EXPECT_EQ(*fired, seen ? 1 : *fired);
    }
  }
}

TEST_P(CoordinationContract, AWatchFiresForOnesOwnChangeToo) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(one_, root_ + "/n").ok());
  EXPECT_EQ(*fired, 1);
}

}  // namespace
}  // namespace baton::testing
