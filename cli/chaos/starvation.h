// Takes the processor from a process for most of the time: for so long it stands, for so long it
// may go, again and again.
//
// Owns its thread; End (or destruction) ends it and lets the process go on.

#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "cli/cluster/process.h"
#include "rest/client/wait.h"

namespace baton {

class Starvation {
 public:
  struct Pace {
    std::chrono::milliseconds stands;
    std::chrono::milliseconds goes;
  };
  static constexpr Pace kTwentieth{std::chrono::milliseconds(190), std::chrono::milliseconds(10)};

  Starvation(ProcessId process, Pace pace)
      : process_(process), pace_(pace), thread_([this] { Run(); }) {}
  ~Starvation() { End(); }

  void End() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    while (!stopping_) {
      (void)SendSignal(process_, SIGSTOP);
      RestUntil(Clock::now() + pace_.stands);
      (void)SendSignal(process_, SIGCONT);
      RestUntil(Clock::now() + pace_.goes);
    }
  }

  const ProcessId process_;
  const Pace pace_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace baton
