#include "dispatcher/resource_manager/confirmation_gate.h"

#include <gtest/gtest.h>

#include "tests/dispatcher/held_fence.h"
#include "tests/store/leader_fixture.h"

namespace baton {
namespace {

class ConfirmationGateTest : public LeaderFixture {};

// A confirmation that was under way when a heartbeat came proves nothing for it: a newer leader may
// have begun in between (3.6 way 1).
TEST_F(ConfirmationGateTest, WhatComesWhileAConfirmationIsUnderWayWaitsForALaterOne) {
  Prepare();
  auto fence = std::make_shared<HeldFence>(fence_);
  fence->holds = true;
  auto gate = std::make_shared<ConfirmationGate>(fence, executor_);
  std::vector<int> passed;
  for (int i = 0; i < 10; ++i) {
    gate->Pass([&passed, i](const absl::Status&) { passed.push_back(i); });
  }
  ASSERT_LT(fence->held.size(), 10u) << "however many ask, few are under way";
  const size_t under_way = fence->held.size();
  fence->held[0](absl::OkStatus());
  Settle();
  EXPECT_EQ(passed, std::vector{0});
  ASSERT_EQ(fence->held.size(), under_way + 1) << "one for all that wait";
  fence->held[under_way](absl::OkStatus());
  Settle();
  EXPECT_EQ(passed.size(), 1 + 10 - under_way);
  for (size_t i = 1; i < under_way; ++i) fence->held[i](absl::OkStatus());
  Settle();
  EXPECT_EQ(passed.size(), 10u);
}

}  // namespace
}  // namespace baton
