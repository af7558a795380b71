#include "base/manual_executor.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <utility>

namespace baton {
namespace {

// Virtual time starts at an arbitrary instant that is not zero, so that a forgotten initialisation
// shows; the wall clock stands at 2026-01-01 then.
constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr WallMillis kWallAtStart = 1767225600000;
constexpr int kMaxTasksAtOneInstant = 1'000'000;

}  // namespace

struct ManualExecutor::State {
  std::deque<Task> ready;
  std::map<std::pair<TimePoint, TimerId>, Task> timers;
  TimerId last_timer = kNoTimer;
  bool paused = false;
  bool killed = false;
};

ManualScheduler::ManualScheduler(uint64_t seed) : random_(seed), now_(kStart) {}
ManualScheduler::~ManualScheduler() {
  // A task left in a queue may own the object that owns the executor: the circle ends here.
  for (const auto& weak : executors_) {
    if (auto executor = weak.lock()) executor->Kill();
  }
}

std::shared_ptr<ManualExecutor> ManualScheduler::NewExecutor(std::string name) {
  auto executor = std::make_shared<ManualExecutor>(this, std::move(name));
  std::erase_if(executors_, [](const auto& weak) { return weak.expired(); });
  executors_.push_back(executor);
  return executor;
}

bool ManualScheduler::RunOne() {
  std::vector<std::shared_ptr<ManualExecutor>> due;
  for (const auto& weak : executors_) {
    auto executor = weak.lock();
    if (executor && executor->HasDueTask()) due.push_back(std::move(executor));
  }
  if (due.empty()) return false;
  auto& chosen = *due[random_() % due.size()];
  const ManualExecutor* outer = std::exchange(running_, &chosen);
  chosen.RunFront();
  running_ = outer;
  return true;
}

void ManualScheduler::RunUntilIdle() {
  for (int i = 0; RunOne(); ++i) {
    if (i < kMaxTasksAtOneInstant) continue;
    std::fprintf(stderr, "ManualScheduler: a task posts itself for ever\n");
    std::abort();
  }
}

void ManualScheduler::AdvanceBy(Duration span) {
  const TimePoint horizon = now_ + span;
  do {
    RunUntilIdle();
  } while (MoveToNextTimer(horizon));
  now_ = horizon;
}

bool ManualScheduler::RunUntil(const std::function<bool()>& condition, Duration limit) {
  const TimePoint horizon = now_ + limit;
  while (!condition()) {
    if (!RunOne() && !MoveToNextTimer(horizon)) return condition();
  }
  return true;
}

bool ManualScheduler::MoveToNextTimer(TimePoint horizon) {
  TimePoint next = TimePoint::max();
  for (const auto& weak : executors_) {
    auto executor = weak.lock();
    if (!executor || executor->state_->paused || executor->state_->timers.empty()) continue;
    next = std::min(next, executor->state_->timers.begin()->first.first);
  }
  if (next > horizon) return false;
  now_ = std::max(now_, next);
  return true;
}

ManualExecutor::ManualExecutor(ManualScheduler* scheduler, std::string name)
    : scheduler_(scheduler), name_(std::move(name)), state_(std::make_unique<State>()) {}

ManualExecutor::~ManualExecutor() { Kill(); }

void ManualExecutor::Post(Task task) {
  if (!state_->killed) state_->ready.push_back(std::move(task));
}

TimerId ManualExecutor::PostAfter(Duration delay, Task task) {
  if (state_->killed) return kNoTimer;
  const TimerId id = ++state_->last_timer;
  state_->timers.emplace(std::pair(Now() + std::max(delay, Duration::zero()), id), std::move(task));
  return id;
}

void ManualExecutor::Cancel(TimerId id) {
  std::erase_if(state_->timers, [id](const auto& timer) { return timer.first.second == id; });
}

TimePoint ManualExecutor::Now() const { return scheduler_->now_; }

WallMillis ManualExecutor::WallNow() const { return kWallAtStart + ToMillis(Now() - kStart); }

bool ManualExecutor::RunsInThisThread() const { return scheduler_->running_ == this; }

void ManualExecutor::Kill() {
  state_->killed = true;
  // A dropped task may own the last reference to what posts or cancels here while it dies.
  auto ready = std::move(state_->ready);
  auto timers = std::move(state_->timers);
  state_->ready.clear();
  state_->timers.clear();
}

void ManualExecutor::Pause() { state_->paused = true; }
void ManualExecutor::Resume() { state_->paused = false; }

bool ManualExecutor::HasDueTask() const {
  if (state_->paused) return false;
  return !state_->ready.empty() ||
         (!state_->timers.empty() && state_->timers.begin()->first.first <= Now());
}

void ManualExecutor::RunFront() {
  Task task;
  // A due timer stands behind what was posted before it fell due; taking it first when the queue is
  // empty only keeps tasks of one strand in the order in which they became runnable.
  if (!state_->ready.empty()) {
    task = std::move(state_->ready.front());
    state_->ready.pop_front();
  } else {
    auto node = state_->timers.extract(state_->timers.begin());
    task = std::move(node.mapped());
  }
  task();
}

}  // namespace baton
