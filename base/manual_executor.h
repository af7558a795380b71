// Executors for tests and simulation: one thread, virtual time, an order drawn from a seed.
//
// A ManualScheduler holds the queue and the clock; each ManualExecutor made by it is a strand whose
// tasks keep their order, while the order *between* strands is drawn from the seed, so that one
// seed is one interleaving. Time moves only when nothing is left to run.
//
// Threading: everything in one thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/executor.h"

namespace baton {

class ManualExecutor;

class ManualScheduler {
 public:
  explicit ManualScheduler(uint64_t seed);
  ~ManualScheduler();

  std::shared_ptr<ManualExecutor> NewExecutor(std::string name);

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

  std::mt19937_64 random_;
  TimePoint now_;
  std::vector<std::weak_ptr<ManualExecutor>> executors_;
  const ManualExecutor* running_ = nullptr;
};

class ManualExecutor final : public Executor, public std::enable_shared_from_this<ManualExecutor> {
 public:
  ManualExecutor(ManualScheduler* scheduler, std::string name);
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

  bool HasDueTask() const;
  void RunFront();

  struct State;
  ManualScheduler* const scheduler_;
  const std::string name_;
  std::unique_ptr<State> state_;
};

}  // namespace baton
