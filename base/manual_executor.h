// Executors for tests and simulation: one thread, virtual time, an order drawn from a seed.
//
// A ManualScheduler holds the queue and the clock; each ManualExecutor made by it is a strand whose
// tasks keep their order, while the order *between* strands is drawn from the seed, so that one
// seed is one interleaving. Time moves only when nothing is left to run.
//
// Each host may have a clock of its own, which runs fast or slow, and whose wall clock is set.
//
// Threading: everything in one thread.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"

namespace baton {

class ManualExecutor;

// What the executors of one host take for the time. Changed between steps; a timer that is running
// keeps the rate at which it was set.
class ManualClock {
 public:
  // 1.01: fast by one percent from now on. What it has shown until now it does not take back, as
  // the time since boot does not.
  void SetRate(double rate, TimePoint now);
  void SetWallOffset(Duration offset) { wall_offset_ = offset; }

  TimePoint At(TimePoint now) const;  // the time that it shows
  double rate() const { return rate_; }
  Duration wall_offset() const { return wall_offset_; }

 private:
  static constexpr TimePoint kStart{std::chrono::hours(1)};  // of virtual time

  double rate_ = 1.0;
  TimePoint since_ = kStart;  // it has gone at this rate, and what it showed then
  TimePoint shown_ = kStart;
  Duration wall_offset_ = Duration::zero();
};

class ManualScheduler {
 public:
  explicit ManualScheduler(uint64_t seed);
  ~ManualScheduler();

  // Without a clock: one that is right.
  std::shared_ptr<ManualExecutor> NewExecutor(std::string name,
                                              std::shared_ptr<const ManualClock> clock = nullptr);

  // Runs one task that is due; false if none is.
  bool RunOne();

  // Runs what is due now and what follows from it, without moving time. Aborts after a million
  // tasks: something posts itself for ever.
  void RunUntilIdle();

  // Runs everything due within `span`, moving time from one timer to the next.
  void AdvanceBy(Duration span);

  // Runs and moves time until `condition` holds, at most `limit` of virtual time; whether it held.
  bool RunUntil(const std::function<bool()>& condition, Duration limit);

  TimePoint Now() const { return now_; }

 private:
  friend class ManualExecutor;

  // Moves time to the next timer that is due by `horizon`; false if there is none.
  bool MoveToNextTimer(TimePoint horizon);

  // An executor stands in one of two places, or in none while it has nothing to do.
  void Place(ManualExecutor& executor);
  void Remove(ManualExecutor& executor);
  void FreeDropped();

  std::mt19937_64 random_;
  TimePoint now_;
  uint64_t last_executor_ = 0;
  std::map<uint64_t, ManualExecutor*> executors_;  // by number
  std::vector<ManualExecutor*> due_;               // have something to run now
  // Have nothing but timers: by the first of them. Then the number: no order depends on addresses.
  std::map<std::pair<TimePoint, uint64_t>, ManualExecutor*> waiting_;
  const ManualExecutor* running_ = nullptr;
  std::vector<std::shared_ptr<void>> dropped_;  // tasks of executors that were killed meanwhile
};

class ManualExecutor final : public Executor, public std::enable_shared_from_this<ManualExecutor> {
 public:
  ManualExecutor(ManualScheduler* scheduler, uint64_t number, std::string name,
                 std::shared_ptr<const ManualClock> clock);
  ~ManualExecutor() override;

  void Post(Task task) override;
  TimerId PostAfter(Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  TimePoint Now() const override;
  WallMillis WallNow() const override;
  bool RunsInThisThread() const override;

  // The process that it belongs to died: drops every task and timer, now and from now on.
  void Kill();

  // The process that it belongs to is stopped (SIGSTOP): nothing runs, what is due piles up.
  void Pause();
  void Resume();

  const std::string& name() const { return name_; }

 private:
  friend class ManualScheduler;

  void RunFront();

  struct State;
  ManualScheduler* scheduler_;  // null: it is gone
  const uint64_t number_;
  const std::string name_;
  const std::shared_ptr<const ManualClock> clock_;
  std::unique_ptr<State> state_;
};

}  // namespace baton
