// Whether a failed subtask is tried again, with Flink's names and defaults. Losing a worker is no
// failure and never asks here.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "job/job_graph.h"

namespace baton {

class RestartStrategy {
 public:
  // `used` attempts were made before (by an earlier leader).
  RestartStrategy(RestartStrategyConfig config, uint32_t used) : config_(config), used_(used) {}

  // The delay before the next attempt, which is counted now; nothing: the job fails.
  std::optional<Duration> NextDelay();

  // An attempt that was made but not counted.
  void Count() { ++used_; }
  uint32_t used() const { return used_; }
  std::string Describe() const;

 private:
  const RestartStrategyConfig config_;
  uint32_t used_;
};

}  // namespace baton
