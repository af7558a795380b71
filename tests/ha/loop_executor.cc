#include "tests/ha/loop_executor.h"

#include <algorithm>
#include <chrono>

namespace baton::testing {
namespace {

thread_local const LoopExecutor* running = nullptr;

}  // namespace

bool LoopExecutor::RunUntil(const std::function<bool()>& condition, Duration limit) {
  const TimePoint deadline = Now() + limit;
  while (!condition()) {
    Task task = Next(deadline);
    if (!task) return condition();
    const LoopExecutor* outer = std::exchange(running, this);
    task();
    running = outer;
  }
  return true;
}

Task LoopExecutor::Next(TimePoint deadline) {
  std::unique_lock lock(mutex_);
  while (true) {
    const TimePoint now = Now();
    if (!timers_.empty() && timers_.begin()->first.first <= now) {
      ready_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    if (!ready_.empty()) {
      Task task = std::move(ready_.front());
      ready_.pop_front();
      return task;
    }
    if (now >= deadline) return nullptr;
    const TimePoint next = timers_.empty() ? deadline : timers_.begin()->first.first;
    changed_.wait_for(lock, std::min(next, deadline) - now);
  }
}

void LoopExecutor::Post(Task task) {
  std::lock_guard lock(mutex_);
  ready_.push_back(std::move(task));
  changed_.notify_one();
}

TimerId LoopExecutor::PostAfter(Duration delay, Task task) {
  std::lock_guard lock(mutex_);
  const TimePoint due = Now() + std::max(delay, Duration::zero());
  timers_.emplace(std::pair(due, ++last_timer_), std::move(task));
  changed_.notify_one();
  return last_timer_;
}

void LoopExecutor::Cancel(TimerId id) {
  std::lock_guard lock(mutex_);
  std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id; });
}

TimePoint LoopExecutor::Now() const {
  return TimePoint(std::chrono::steady_clock::now().time_since_epoch());
}

WallMillis LoopExecutor::WallNow() const { return ToMillis(Now().time_since_epoch()); }

bool LoopExecutor::RunsInThisThread() const { return running == this; }

}  // namespace baton::testing
