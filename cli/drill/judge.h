// Which repeated starts of a drill are explained by what the drill itself did to a worker: a task
// that dies with its worker runs again, and one whose end the dead worker could not report, too.
// Every other repetition is a fault of the cluster.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/drill/start_trace.h"

namespace baton {

struct WorkerLoss {
  std::string place;  // the directory in which the worker's tasks run
  int64_t at_ns = 0;  // by the clock that the tasks use
};

struct Repetitions {
  uint64_t expected = 0;    // starts beyond a task's first that a loss explains
  uint64_t unexpected = 0;  // all others
};

// `longest_run`: no run of these tasks lasts longer; so one that began earlier before the loss had
// ended and must not run again. None: they run for ever.
Repetitions JudgeRepetitions(const StartTrace& trace, const std::vector<WorkerLoss>& losses,
                             std::optional<std::chrono::nanoseconds> longest_run = std::nullopt);

}  // namespace baton
