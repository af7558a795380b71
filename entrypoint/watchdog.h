// Ends a process whose event loop hangs, where nobody else can: its session with ZooKeeper lives on
// in a thread of the C client, and its peers depose it only if they are a majority (3.4). A death
// is proof to everybody, and a supervisor starts the process again.
//
// Every second it sends a probe through what it watches. It counts its own turns, not time: of a
// process that was stopped, or a host that slept, nothing is concluded.
//
// Lives on an executor of its own, with a thread of its own: what it watches must not hold it up.
// Owned by main; ends with its last reference.

#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/executor.h"

namespace baton {

class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  // Far longer than any work that a strand does in one piece, and than its peers wait.
  static constexpr int kPatience = 30;  // turns of a second each

  // Calls `done` once it has passed through everything that must not hang; from any thread.
  using Probe = std::function<void(Task done)>;

  Watchdog(ExecutorPtr executor, Probe probe, std::function<void()> on_hang)
      : executor_(std::move(executor)), probe_(std::move(probe)), on_hang_(std::move(on_hang)) {}

  void Start() { executor_->Post(IfAlive(weak_from_this(), std::mem_fn(&Watchdog::OnTurn))); }

 private:
  void OnTurn() {
    if (waited_ == kPatience) return on_hang_();
    if (waited_++ == 0) {
      probe_(
          BindTo(executor_, IfAlive(weak_from_this(), [](Watchdog& self) { self.waited_ = 0; })));
    }
    executor_->PostAfter(std::chrono::seconds(1),
                         IfAlive(weak_from_this(), std::mem_fn(&Watchdog::OnTurn)));
  }

  const ExecutorPtr executor_;
  const Probe probe_;
  const std::function<void()> on_hang_;
  int waited_ = 0;  // turns since the probe that is under way was sent; 0: none is
};

}  // namespace baton
