#include "base/manual_executor.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

namespace baton {
namespace {

// Virtual time starts at an arbitrary instant that is not zero, so that a forgotten initialisation
// shows; the wall clock stands at 2026-01-01 then.
constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr WallMillis kWallAtStart = 1767225600000;
constexpr int kMaxTasksAtOneInstant = 1'000'000;

// Never early: a timer that fires finds its time come by its own clock.
Duration Scale(Duration span, double factor) {
  if (factor == 1.0) return span;
  return Duration(
      static_cast<Duration::rep>(std::ceil(static_cast<double>(span.count()) * factor)));
}

enum class Where { kNowhere, kDue, kWaiting };

}  // namespace

void ManualClock::SetRate(double rate, TimePoint now) {
  shown_ = At(now);
  since_ = now;
  rate_ = rate;
}

TimePoint ManualClock::At(TimePoint now) const { return shown_ + Scale(now - since_, rate_); }

struct ManualExecutor::State {
  std::deque<Task> ready;
  std::map<std::pair<TimePoint, TimerId>, Task> timers;  // by the scheduler's time
  std::unordered_map<TimerId, TimePoint> times;          // of the timers
  TimerId last_timer = kNoTimer;
  bool paused = false;
  bool killed = false;
  // Its place with the scheduler.
  Where where = Where::kNowhere;
  size_t due_index = 0;
  TimePoint waiting_until;
};

ManualScheduler::ManualScheduler(uint64_t seed) : random_(seed), now_(kStart) {}

ManualScheduler::~ManualScheduler() {
  // A task left in a queue may own the object that owns the executor: the circle ends here.
  while (!executors_.empty()) {
    auto executor = executors_.begin()->second->shared_from_this();
    executor->Kill();
    executors_.erase(executor->number_);
    executor->scheduler_ = nullptr;
  }
}

std::shared_ptr<ManualExecutor> ManualScheduler::NewExecutor(
    std::string name, std::shared_ptr<const ManualClock> clock) {
  if (!clock) clock = std::make_shared<ManualClock>();
  auto executor =
      std::make_shared<ManualExecutor>(this, ++last_executor_, std::move(name), std::move(clock));
  executors_[executor->number_] = executor.get();
  return executor;
}

bool ManualScheduler::RunOne() {
  if (due_.empty()) return false;
  const auto chosen = due_[random_() % due_.size()]->shared_from_this();
  const ManualExecutor* outer = std::exchange(running_, chosen.get());
  try {
    chosen->RunFront();
  } catch (...) {  // a simulated process leaves in the middle of a task
    running_ = outer;
    Place(*chosen);
    FreeDropped();
    throw;
  }
  running_ = outer;
  Place(*chosen);
  FreeDropped();
  return true;
}

void ManualScheduler::FreeDropped() {
  if (running_ == nullptr && !dropped_.empty()) std::exchange(dropped_, {}).clear();
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
  if (waiting_.empty() || waiting_.begin()->first.first > horizon) return false;
  now_ = std::max(now_, waiting_.begin()->first.first);
  while (!waiting_.empty() && waiting_.begin()->first.first <= now_) {
    Place(*waiting_.begin()->second);
  }
  return true;
}

void ManualScheduler::Place(ManualExecutor& executor) {
  auto& state = *executor.state_;
  const bool has_timer = !state.timers.empty();
  const bool due = !state.paused && (!state.ready.empty() ||
                                     (has_timer && state.timers.begin()->first.first <= now_));
  if (due && state.where == Where::kDue) return;
  Remove(executor);
  if (due) {
    state.where = Where::kDue;
    state.due_index = due_.size();
    due_.push_back(&executor);
  } else if (has_timer && !state.paused) {
    state.where = Where::kWaiting;
    state.waiting_until = state.timers.begin()->first.first;
    waiting_.emplace(std::pair(state.waiting_until, executor.number_), &executor);
  }
}

void ManualScheduler::Remove(ManualExecutor& executor) {
  auto& state = *executor.state_;
  if (state.where == Where::kWaiting) waiting_.erase({state.waiting_until, executor.number_});
  if (state.where == Where::kDue) {
    due_[state.due_index] = due_.back();
    due_[state.due_index]->state_->due_index = state.due_index;
    due_.pop_back();
  }
  state.where = Where::kNowhere;
}

ManualExecutor::ManualExecutor(ManualScheduler* scheduler, uint64_t number, std::string name,
                               std::shared_ptr<const ManualClock> clock)
    : scheduler_(scheduler),
      number_(number),
      name_(std::move(name)),
      clock_(std::move(clock)),
      state_(std::make_unique<State>()) {}

ManualExecutor::~ManualExecutor() {
  Kill();
  if (scheduler_) scheduler_->executors_.erase(number_);
}

void ManualExecutor::Post(Task task) {
  if (state_->killed) return;
  state_->ready.push_back(std::move(task));
  scheduler_->Place(*this);
}

TimerId ManualExecutor::PostAfter(Duration delay, Task task) {
  if (state_->killed) return kNoTimer;
  const TimerId id = ++state_->last_timer;
  const TimePoint due =
      scheduler_->now_ + Scale(std::max(delay, Duration::zero()), 1 / clock_->rate());
  state_->timers.emplace(std::pair(due, id), std::move(task));
  state_->times.emplace(id, due);
  scheduler_->Place(*this);
  return id;
}

void ManualExecutor::Cancel(TimerId id) {
  const auto time = state_->times.extract(id);
  if (time.empty()) return;
  const auto timer = state_->timers.extract({time.mapped(), id});
  if (!state_->killed) scheduler_->Place(*this);
  // The task dies here, at the end: it may own what calls this executor again.
}

TimePoint ManualExecutor::Now() const { return clock_->At(scheduler_->now_); }

WallMillis ManualExecutor::WallNow() const {
  return kWallAtStart + ToMillis(Now() - kStart + clock_->wall_offset());
}

bool ManualExecutor::RunsInThisThread() const { return scheduler_->running_ == this; }

void ManualExecutor::Kill() {
  state_->killed = true;
  // A dropped task may own the last reference to what posts or cancels here while it dies.
  auto ready = std::move(state_->ready);
  auto timers = std::move(state_->timers);
  if (scheduler_ && scheduler_->running_) {
    // Or to what the task that runs stands on: a process that is killed frees nothing.
    scheduler_->dropped_.push_back(std::make_shared<decltype(ready)>(std::move(ready)));
    scheduler_->dropped_.push_back(std::make_shared<decltype(timers)>(std::move(timers)));
  }
  state_->ready.clear();
  state_->timers.clear();
  state_->times.clear();
  if (scheduler_) scheduler_->Remove(*this);
}

void ManualExecutor::Pause() {
  state_->paused = true;
  scheduler_->Place(*this);
}

void ManualExecutor::Resume() {
  state_->paused = false;
  scheduler_->Place(*this);
}

void ManualExecutor::RunFront() {
  Task task;
  // A due timer stands behind what was posted before it fell due; taking it first when the queue is
  // empty only keeps tasks of one strand in the order in which they became runnable.
  if (!state_->ready.empty()) {
    task = std::move(state_->ready.front());
    state_->ready.pop_front();
  } else {
    auto timer = state_->timers.extract(state_->timers.begin());
    state_->times.erase(timer.key().second);
    task = std::move(timer.mapped());
  }
  task();
}

}  // namespace baton
