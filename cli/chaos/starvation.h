// Takes the processor from a process for nineteen twentieths of the time.
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
  explicit Starvation(ProcessId process) : process_(process), thread_([this] { Run(); }) {}
  ~Starvation() { End(); }

  void End() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    while (!stopping_) {
      (void)SendSignal(process_, SIGSTOP);
      RestUntil(Clock::now() + std::chrono::milliseconds(190));
      (void)SendSignal(process_, SIGCONT);
      RestUntil(Clock::now() + std::chrono::milliseconds(10));
    }
  }

  const ProcessId process_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace baton
