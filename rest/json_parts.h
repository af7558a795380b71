// Pieces that the shapes share; internal to rest/json_*.cc.

#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

// Bytes that are no UTF-8 (a task may print anything) become U+FFFD.
std::string Dump(const nlohmann::json& json);

// -1 before it started; until now while it runs.
int64_t DurationMillis(WallMillis start, WallMillis end, WallMillis now);

// {"CREATED": 0, …}; every state is there.
nlohmann::json StateCounts(const ExecutionStateCounts& counts);

// Flink's record and byte counters, which tasks that are processes do not have: all zero.
nlohmann::json IoMetrics();
// {"metrics": …, "status-duration": …} over several attempts.
nlohmann::json Aggregated(const std::vector<std::map<std::string, int64_t>>& status_durations);

// How long an attempt was, or has been, in each state on the way to RUNNING; -1: never.
std::map<std::string, int64_t> StatusDurations(const AttemptDetails& attempt, WallMillis now);

}  // namespace baton
