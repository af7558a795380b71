#include "base/manual_executor.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace baton {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Three strands that post to each other: what happened, in order.
std::string Interleaving(uint64_t seed) {
  ManualScheduler scheduler(seed);
  std::vector<std::shared_ptr<ManualExecutor>> executors;
  std::string trace;
  for (const char* name : {"a", "b", "c"}) executors.push_back(scheduler.NewExecutor(name));
  for (auto& executor : executors) {
    for (int i = 0; i < 4; ++i) {
      executor->Post([&trace, &executor, i] { trace += executor->name() + std::to_string(i); });
    }
  }
  scheduler.RunUntilIdle();
  return trace;
}

TEST(ManualExecutorTest, ASeedIsAnInterleaving) {
  std::set<std::string> interleavings;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(Interleaving(seed), Interleaving(seed));
    interleavings.insert(Interleaving(seed));
  }
  EXPECT_GT(interleavings.size(), 10u);
}

TEST(ManualExecutorTest, AStrandKeepsItsOrderUnderEverySeed) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::string trace = Interleaving(seed);
    for (const std::string name : {"a", "b", "c"}) {
      for (int i = 1; i < 4; ++i) {
        EXPECT_LT(trace.find(name + std::to_string(i - 1)), trace.find(name + std::to_string(i)));
      }
    }
  }
}

TEST(ManualExecutorTest, TimeMovesFromTimerToTimer) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  const TimePoint start = scheduler.Now();
  std::vector<int64_t> fired;
  for (int delay : {30, 10, 20}) {
    executor->PostAfter(milliseconds(delay),
                        [&] { fired.push_back(ToMillis(executor->Now() - start)); });
  }
  scheduler.RunUntilIdle();
  EXPECT_TRUE(fired.empty());
  scheduler.AdvanceBy(milliseconds(20));
  EXPECT_EQ(fired, (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(scheduler.Now() - start, milliseconds(20));
  scheduler.AdvanceBy(seconds(1));
  EXPECT_EQ(fired, (std::vector<int64_t>{10, 20, 30}));
  EXPECT_EQ(scheduler.Now() - start, milliseconds(1020));
}

TEST(ManualExecutorTest, TheWallClockGoesWithVirtualTime) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  const WallMillis before = executor->WallNow();
  scheduler.AdvanceBy(hours(2));
  EXPECT_EQ(executor->WallNow() - before, 2 * 3600 * 1000);
}

// It jumped when its rate was changed: by a second where 100 s had passed.
TEST(ManualExecutorTest, AClockWhoseRateChangesGoesOnFromWhatItShowed) {
  ManualScheduler scheduler(1);
  auto clock = std::make_shared<ManualClock>();
  auto executor = scheduler.NewExecutor("a", clock);
  const TimePoint start = executor->Now();
  scheduler.AdvanceBy(seconds(100));
  clock->SetRate(1.01, scheduler.Now());
  EXPECT_EQ(executor->Now() - start, seconds(100));
  scheduler.AdvanceBy(seconds(100));
  EXPECT_EQ(executor->Now() - start, seconds(201));
  clock->SetRate(0.99, scheduler.Now());
  EXPECT_EQ(executor->Now() - start, seconds(201));
  scheduler.AdvanceBy(seconds(100));
  EXPECT_EQ(executor->Now() - start, seconds(300));
}

TEST(ManualExecutorTest, RunUntilStopsAtItsConditionOrItsLimit) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    executor->PostAfter(seconds(1), [&] { tick(); });
  };
  executor->Post([&] { tick(); });
  EXPECT_TRUE(scheduler.RunUntil([&] { return ticks == 5; }, hours(1)));
  EXPECT_EQ(ticks, 5);
  EXPECT_FALSE(scheduler.RunUntil([&] { return ticks == 100; }, seconds(10)));
  EXPECT_EQ(ticks, 15);
}

TEST(ManualExecutorTest, AKilledProcessRunsNothingMoreAndFreesWhatItHeld) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  auto token = std::make_shared<int>(1);
  executor->Post([token] { FAIL(); });
  executor->PostAfter(seconds(1), [token] { FAIL(); });
  executor->Kill();
  EXPECT_EQ(token.use_count(), 1);
  executor->Post([token] { FAIL(); });
  executor->PostAfter(seconds(1), [token] { FAIL(); });
  EXPECT_EQ(token.use_count(), 1);
  scheduler.AdvanceBy(seconds(10));
}

// It crashed: a process died at a fault point while it was being told to stop, and what waited
// there owned what the fault point stood on.
TEST(ManualExecutorTest, WhatAKilledProcessHeldOutlivesTheTaskThatKilledIt) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("a");
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = held;
  executor->Post([&] {
    executor->Kill();
    EXPECT_FALSE(watched.expired());
  });
  executor->Post([held = std::move(held)] {});
  scheduler.RunUntilIdle();
  EXPECT_TRUE(watched.expired());
}

TEST(ManualExecutorTest, AStoppedProcessWakesWithEverythingThatIsDue) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  std::vector<std::string> order;
  executor->PostAfter(seconds(1), [&] { order.push_back("timer"); });
  executor->Pause();
  executor->Post([&] { order.push_back("posted"); });
  scheduler.AdvanceBy(seconds(10));
  EXPECT_TRUE(order.empty());
  executor->Resume();
  scheduler.RunUntilIdle();
  EXPECT_EQ(order, (std::vector<std::string>{"posted", "timer"}));
}

TEST(ManualExecutorTest, CancelEndsATimer) {
  ManualScheduler scheduler(1);
  auto executor = scheduler.NewExecutor("x");
  int fired = 0;
  const TimerId id = executor->PostAfter(seconds(1), [&] { fired += 1; });
  executor->PostAfter(seconds(1), [&] { fired += 10; });
  executor->Cancel(id);
  executor->Cancel(id);
  scheduler.AdvanceBy(seconds(2));
  EXPECT_EQ(fired, 10);
}

}  // namespace
}  // namespace baton
