#include "rest/json_parts.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "rest/json_shapes.h"

namespace baton {

using nlohmann::json;

namespace {

constexpr std::array<const char*, 7> kIoCounters = {"read-bytes",
                                                    "write-bytes",
                                                    "read-records",
                                                    "write-records",
                                                    "accumulated-backpressured-time",
                                                    "accumulated-idle-time",
                                                    "accumulated-busy-time"};

// {min, max, avg, sum, median, p25, p75, p95} as Flink's MetricsAggregator.
json Statistics(std::vector<int64_t> values) {
  if (values.empty()) values.push_back(0);
  std::sort(values.begin(), values.end());
  int64_t sum = 0;
  for (const int64_t value : values) sum += value;
  auto percentile = [&values](size_t percent) {
    return values[std::min(values.size() - 1, values.size() * percent / 100)];
  };
  return {{"min", values.front()},
          {"max", values.back()},
          {"avg", sum / static_cast<int64_t>(values.size())},
          {"sum", sum},
          {"median", percentile(50)},
          {"p25", percentile(25)},
          {"p75", percentile(75)},
          {"p95", percentile(95)}};
}

}  // namespace

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string ErrorsJson(const std::vector<std::string>& errors) {
  return Dump(json{{"errors", errors}});
}

int64_t DurationMillis(WallMillis start, WallMillis end, WallMillis now) {
  if (start < 0) return -1;
  return std::max<int64_t>(0, (end < 0 ? now : end) - start);
}

json StateCounts(const ExecutionStateCounts& counts) {
  json result = json::object();
  for (const ExecutionState state : AllExecutionStates()) {
    result[std::string(ToString(state))] = counts[static_cast<size_t>(state)];
  }
  return result;
}

json IoMetrics() {
  json metrics = json::object();
  for (const std::string name : kIoCounters) {
    metrics[name] = 0;
    if (!name.starts_with("accumulated")) metrics[name + "-complete"] = true;
  }
  return metrics;
}

json Aggregated(const std::vector<std::map<std::string, int64_t>>& status_durations) {
  json metrics = json::object();
  for (const char* name : kIoCounters) metrics[name] = Statistics({});
  std::map<std::string, std::vector<int64_t>> by_state;
  for (const auto& durations : status_durations) {
    for (const auto& [state, duration] : durations) by_state[state].push_back(duration);
  }
  json statistics = json::object();
  for (auto& [state, values] : by_state) statistics[state] = Statistics(std::move(values));
  return {{"metrics", std::move(metrics)}, {"status-duration", std::move(statistics)}};
}

std::map<std::string, int64_t> StatusDurations(const AttemptDetails& attempt, WallMillis now) {
  constexpr std::array kWay = {ExecutionState::kCreated, ExecutionState::kScheduled,
                               ExecutionState::kDeploying, ExecutionState::kInitializing,
                               ExecutionState::kRunning};
  std::vector<WallMillis> moments;
  for (const auto& [state, when] : attempt.timestamps) {
    if (when > 0) moments.push_back(when);
  }
  std::sort(moments.begin(), moments.end());
  std::map<std::string, int64_t> durations;
  for (const ExecutionState state : kWay) {
    auto entered = attempt.timestamps.find(state);
    int64_t duration = -1;
    if (entered != attempt.timestamps.end() && entered->second > 0) {
      auto next = std::upper_bound(moments.begin(), moments.end(), entered->second);
      // Two states within one millisecond: the earlier one lasted none.
      const bool passed = next == moments.end() && attempt.state != state;
      const WallMillis left = next != moments.end() ? *next : passed ? entered->second : now;
      duration = std::max<int64_t>(0, left - entered->second);
    }
    durations.emplace(ToString(state), duration);
  }
  return durations;
}

}  // namespace baton
