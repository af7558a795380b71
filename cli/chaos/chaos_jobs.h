// The jobs of a run of chaos: what their tasks do, as JSON, and what the checker is to expect.

#pragma once

#include <string>

#include "base/random.h"
#include "cli/chaos/history.h"

namespace baton {

struct ChaosJob {
  PlannedJob planned;
  std::string json;
};

// `trace`: where the tasks write, below the tasks' shared directory.
ChaosJob MakeChaosJob(JobKind kind, const std::string& trace, Random& random);

// The parallelism of a kLong job.
inline constexpr int kChaosLongTasks = 6;

const char* NameOf(JobKind kind);

}  // namespace baton
