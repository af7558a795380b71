#include "base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "base/asio_executor.h"
#include "base/manual_executor.h"

namespace baton {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What every Executor promises, on both implementations.
class ExecutorContractTest : public testing::TestWithParam<std::string> {
 protected:
  ExecutorContractTest() {
    if (GetParam() == "Asio") {
      pool_ = std::make_unique<ThreadPool>(4);
      executor_ = pool_->NewExecutor();
    } else {
      scheduler_ = std::make_unique<ManualScheduler>(1);
      executor_ = scheduler_->NewExecutor("test");
    }
  }
  ~ExecutorContractTest() override {
    if (pool_) pool_->Stop();
  }

  // Until the executor ran `done`'s setter, or the deadline.
  bool Await(std::promise<void>& done) {
    auto future = done.get_future();
    if (scheduler_) {
      scheduler_->AdvanceBy(hours(1));
      return future.wait_for(seconds(0)) == std::future_status::ready;
    }
    return future.wait_for(seconds(30)) == std::future_status::ready;
  }

  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<ManualScheduler> scheduler_;
  ExecutorPtr executor_;
};

TEST_P(ExecutorContractTest, TasksKeepTheirOrderAndNeverRunInsidePost) {
  std::promise<void> done;
  std::vector<int> order;
  executor_->Post([&] {
    executor_->Post([&] {
      order.push_back(2);
      done.set_value();
    });
    order.push_back(1);  // the task above has not run yet
  });
  ASSERT_TRUE(Await(done));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_P(ExecutorContractTest, ManyTasksRunOneAfterTheOther) {
  std::promise<void> done;
  int counter = 0;  // no lock: the strand is the lock
  std::vector<int> seen;
  for (int i = 0; i < 10'000; ++i) {
    executor_->Post([&] { seen.push_back(counter++); });
  }
  executor_->Post([&] { done.set_value(); });
  ASSERT_TRUE(Await(done));
  ASSERT_EQ(seen.size(), 10'000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_P(ExecutorContractTest, TimersFireInOrderAndNotEarly) {
  std::promise<void> done;
  std::vector<std::string> order;
  const TimePoint start = executor_->Now();
  TimePoint fired;
  executor_->PostAfter(milliseconds(200), [&] {
    order.push_back("late");
    fired = executor_->Now();
    done.set_value();
  });
  executor_->PostAfter(milliseconds(-5), [&] { order.push_back("at once"); });
  ASSERT_TRUE(Await(done));
  EXPECT_EQ(order, (std::vector<std::string>{"at once", "late"}));
  EXPECT_GE(fired - start, milliseconds(200));
}

TEST_P(ExecutorContractTest, ATimerCancelledOnTheExecutorNeverRuns) {
  std::promise<void> done;
  bool ran = false;
  executor_->Post([&] {
    const TimerId due = executor_->PostAfter(seconds(0), [&] { ran = true; });
    const TimerId later = executor_->PostAfter(milliseconds(1), [&] { ran = true; });
    executor_->Cancel(due);
    executor_->Cancel(later);
    executor_->Cancel(later);
    executor_->Cancel(kNoTimer);
    executor_->PostAfter(milliseconds(30), [&] { done.set_value(); });
  });
  ASSERT_TRUE(Await(done));
  EXPECT_FALSE(ran);
}

TEST_P(ExecutorContractTest, KnowsWhetherItRunsHere) {
  std::promise<void> done;
  bool inside = false;
  executor_->Post([&] {
    inside = executor_->RunsInThisThread();
    done.set_value();
  });
  ASSERT_TRUE(Await(done));
  EXPECT_TRUE(inside);
  EXPECT_FALSE(executor_->RunsInThisThread());
}

TEST_P(ExecutorContractTest, BoundCallbacksRunOnTheExecutorWithTheirArguments) {
  std::promise<void> done;
  std::string text;
  bool inside = false;
  auto callback = BindTo(executor_, [&](std::unique_ptr<std::string> value) {
    text = *value;
    inside = executor_->RunsInThisThread();
    done.set_value();
  });
  callback(std::make_unique<std::string>("moved"));
  ASSERT_TRUE(Await(done));
  EXPECT_EQ(text, "moved");
  EXPECT_TRUE(inside);
}

TEST_P(ExecutorContractTest, ATaskIsDestroyedOnceItRan) {
  auto token = std::make_shared<int>(1);
  std::promise<void> done;
  executor_->PostAfter(milliseconds(1), [token] {});
  executor_->PostAfter(milliseconds(30), [&] { done.set_value(); });
  ASSERT_TRUE(Await(done));
  EXPECT_EQ(token.use_count(), 1);
}

INSTANTIATE_TEST_SUITE_P(Executors, ExecutorContractTest, testing::Values("Asio", "Manual"),
                         [](const auto& parameter) { return parameter.param; });

TEST(IfAliveTest, AGoneObjectIsNotCalled) {
  struct Counter {
    int calls = 0;
  };
  auto object = std::make_shared<Counter>();
  auto callback =
      IfAlive(std::weak_ptr<Counter>(object), [](Counter& self, int by) { self.calls += by; });
  callback(2);
  EXPECT_EQ(object->calls, 2);
  object.reset();
  callback(2);
}

TEST(ThreadPoolTest, StrandsRunBesideEachOther) {
  ThreadPool pool(2);
  auto one = pool.NewExecutor();
  auto other = pool.NewExecutor();
  std::latch both(2);
  std::promise<void> done;
  // Each waits for the other: on one strand this would never end.
  one->Post([&] { both.arrive_and_wait(); });
  other->Post([&] {
    both.arrive_and_wait();
    done.set_value();
  });
  EXPECT_EQ(done.get_future().wait_for(seconds(30)), std::future_status::ready);
  pool.Stop();
}

TEST(ThreadPoolTest, StopDropsWhatHasNotRun) {
  auto token = std::make_shared<int>(1);
  bool ran = false;
  {
    ThreadPool pool(1);
    auto executor = pool.NewExecutor();
    executor->PostAfter(hours(10), [token, &ran] { ran = true; });
    pool.Stop();
    pool.Stop();
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

// Cancels its timer as it goes, as many an object does.
struct TimerOwner {
  ~TimerOwner() { executor->Cancel(timer); }
  ExecutorPtr executor;
  TimerId timer = kNoTimer;
};

TEST(ThreadPoolTest, PoolsWhoseQueuesOwnEachOthersTimersAreEmptiedBeforeTheyGo) {
  auto token = std::make_shared<int>(1);
  {
    ThreadPool one(1);
    ThreadPool other(1);
    const ExecutorPtr executors[] = {one.NewExecutor(), other.NewExecutor()};
    for (const int i : {0, 1}) {
      auto owner = std::make_shared<TimerOwner>();
      owner->executor = executors[1 - i];
      owner->timer = executors[1 - i]->PostAfter(hours(10), [token] {});
      executors[i]->PostAfter(hours(10), [owner] {});
    }
    for (ThreadPool* pool : {&one, &other}) pool->Stop();
    for (ThreadPool* pool : {&one, &other}) pool->Empty();
    EXPECT_EQ(token.use_count(), 1);
    executors[0]->Post([token] {});  // too late, and no harm
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace baton
