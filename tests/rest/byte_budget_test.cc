#include "rest/byte_budget.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace baton {
namespace {

using Share = ByteBudget::Share;

class ByteBudgetTest : public testing::Test {
 protected:
  ByteBudget::Evict Note(int who) {
    return [this, who] { evicted_.push_back(who); };
  }

  std::shared_ptr<ByteBudget> budget_ = std::make_shared<ByteBudget>(100);
  std::vector<int> evicted_;
};

TEST_F(ByteBudgetTest, TheOldestLetGoUntilItFits) {
  Share one(budget_, Note(1)), two(budget_, Note(2)), three(budget_, Note(3));
  two.Add(50);
  one.Add(40);
  three.Add(10);
  EXPECT_TRUE(evicted_.empty());
  three.Add(60);
  EXPECT_EQ(evicted_, (std::vector{1, 2}));
  EXPECT_EQ(budget_->used(), 70u);
}

TEST_F(ByteBudgetTest, TheOldestLetsGoItselfWhenItAsksForMore) {
  Share one(budget_, Note(1)), two(budget_, Note(2));
  two.Add(60);
  one.Add(60);
  EXPECT_EQ(evicted_, std::vector{1});
  one.Add(1'000);  // it has not heard of it yet
  EXPECT_EQ(budget_->used(), 60u);
}

TEST_F(ByteBudgetTest, WhoIsAloneMayHoldMoreThanAll) {
  Share one(budget_, Note(1));
  one.Add(1'000);
  EXPECT_TRUE(evicted_.empty());
}

TEST_F(ByteBudgetTest, WhoEndsGivesBack) {
  std::optional<Share> one(std::in_place, budget_, Note(1));
  one->Add(90);
  one.reset();
  EXPECT_EQ(budget_->used(), 0u);
  Share two(budget_, Note(2));
  two.Add(100);
  EXPECT_TRUE(evicted_.empty());
}

TEST_F(ByteBudgetTest, AnEvictionMayEndAnotherShare) {
  std::optional<Share> one, two;
  one.emplace(budget_, [&] { two.reset(); });
  two.emplace(budget_, Note(2));
  Share three(budget_, Note(3));
  one->Add(50);
  two->Add(50);
  three.Add(10);
  EXPECT_EQ(budget_->used(), 10u);
  EXPECT_TRUE(evicted_.empty());
}

}  // namespace
}  // namespace baton
