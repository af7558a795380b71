// An Executor whose tasks run in the test's own thread while it waits for a condition: a test on
// real time and real sockets stays single-threaded, and needs no lock to look at its results.

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "base/executor.h"

namespace baton::testing {

class LoopExecutor final : public Executor {
 public:
  // Runs tasks until `condition` holds, at most `limit`; whether it held.
  bool RunUntil(const std::function<bool()>& condition, Duration limit);

  void Post(Task task) override;
  TimerId PostAfter(Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  TimePoint Now() const override;
  WallMillis WallNow() const override;
  bool RunsInThisThread() const override;

 private:
  // Waits for the next task at most until `deadline`; null: none came.
  Task Next(TimePoint deadline);

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::deque<Task> ready_;
  std::map<std::pair<TimePoint, TimerId>, Task> timers_;
  TimerId last_timer_ = kNoTimer;
};

}  // namespace baton::testing
