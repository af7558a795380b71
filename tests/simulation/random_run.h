// One run of a random cluster under random load and faults, judged while it goes on (Recorder,
// TreeJudge) and at its end:
//
//   L1 5 s after the last fault one leads, and everybody says so    L2 every job ends, a new one
//   too L4 no more elections than faults explain    I7 nothing of a cancelled job runs 10 s later
//   I8 no graph stays on a disk after the grace    I10 every slot is free
//   P8 every request has been answered    log: no error line that no fault explains
//
// A run is a function of its options: same seed, same run.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"

namespace baton {

struct RandomRunOptions {
  uint64_t seed = 1;
  std::set<size_t> without;  // steps whose fault is left out
  std::function<void(double seconds, const std::string& line)> trace;  // may be null
};

struct Violation {
  std::string invariant;
  std::string what;
  double seconds = 0;  // of virtual time, since the start of the cluster
  size_t step = 0;     // during which it showed
};

struct RandomRunReport {
  std::vector<Violation> violations;  // the run ends at the first step that has one
  std::vector<std::string> faults;    // by step; empty: none
  size_t jobs = 0;
  size_t task_starts = 0;
  size_t failovers = 0;  // epochs after the first
  double seconds = 0;    // of virtual time
};

RandomRunReport RunAtRandom(const RandomRunOptions& options);

// The same run with as few faults as still break the same invariant, found by leaving out one after
// the other.
RandomRunOptions Shrink(RandomRunOptions options, const RandomRunReport& report);

}  // namespace baton
