#include <algorithm>
#include <nlohmann/json.hpp>

#include "rest/json_parts.h"
#include "rest/json_shapes.h"

namespace baton {

using nlohmann::json;

namespace {

json Attempt(const AttemptDetails& attempt, WallMillis now) {
  json result = {{"subtask", attempt.subtask},
                 {"status", ToString(attempt.state)},
                 {"attempt", attempt.attempt},
                 {"endpoint", attempt.endpoint.empty() ? "(unassigned)" : attempt.endpoint},
                 {"start-time", attempt.start},
                 {"start_time", attempt.start},
                 {"end-time", attempt.end},
                 {"duration", DurationMillis(attempt.start, attempt.end, now)},
                 {"metrics", IoMetrics()},
                 {"taskmanager-id",
                  attempt.task_manager_id.empty() ? "(unassigned)" : attempt.task_manager_id},
                 {"status-duration", StatusDurations(attempt, now)}};
  if (!attempt.failure.empty()) result["failure"] = attempt.failure;
  if (attempt.exit_code) result["exit-code"] = *attempt.exit_code;
  return result;
}

json AggregatedOver(const std::vector<const AttemptDetails*>& attempts, WallMillis now) {
  std::vector<std::map<std::string, int64_t>> durations;
  durations.reserve(attempts.size());
  for (const AttemptDetails* attempt : attempts)
    durations.push_back(StatusDurations(*attempt, now));
  return Aggregated(durations);
}

json Header(const VertexDetails& vertex, WallMillis now) {
  return {{"id", vertex.id}, {"name", vertex.name}, {"now", now}};
}

json Timestamps(const AttemptDetails& attempt) {
  json timestamps = json::object();
  for (const ExecutionState state : AllExecutionStates()) {
    auto it = attempt.timestamps.find(state);
    const WallMillis when = it == attempt.timestamps.end() ? 0 : std::max<int64_t>(0, it->second);
    timestamps[std::string(ToString(state))] = when;
  }
  return timestamps;
}

json OnTaskManager(const std::string& id, const std::vector<const AttemptDetails*>& attempts,
                   WallMillis now) {
  ExecutionStateCounts counts{};
  WallMillis start = kNotYet;
  WallMillis end = kNotYet;
  bool all_ended = true;
  for (const AttemptDetails* attempt : attempts) {
    ++counts[static_cast<size_t>(attempt->state)];
    if (attempt->start >= 0 && (start < 0 || attempt->start < start)) start = attempt->start;
    end = std::max(end, attempt->end);
    all_ended = all_ended && IsTerminal(attempt->state);
  }
  if (!all_ended) end = kNotYet;
  const auto total = static_cast<uint32_t>(attempts.size());
  return {{"endpoint", attempts.front()->endpoint},
          {"host", attempts.front()->endpoint},
          {"status", ToString(AggregateState(counts, total))},
          {"start-time", start},
          {"end-time", end},
          {"duration", DurationMillis(start, end, now)},
          {"metrics", IoMetrics()},
          {"status-counts", StateCounts(counts)},
          {"taskmanager-id", id},
          {"aggregated", AggregatedOver(attempts, now)}};
}

}  // namespace

std::string VertexJson(const VertexDetails& vertex, WallMillis now) {
  json subtasks = json::array();
  std::vector<const AttemptDetails*> attempts;
  for (const AttemptDetails& attempt : vertex.subtasks) {
    subtasks.push_back(Attempt(attempt, now));
    attempts.push_back(&attempt);
  }
  json result = Header(vertex, now);
  result.update({{"parallelism", vertex.parallelism},
                 {"maxParallelism", vertex.parallelism},
                 {"subtasks", std::move(subtasks)},
                 {"aggregated", AggregatedOver(attempts, now)}});
  return Dump(result);
}

std::string SubtaskTimesJson(const VertexDetails& vertex, WallMillis now) {
  json subtasks = json::array();
  for (const AttemptDetails& attempt : vertex.subtasks) {
    subtasks.push_back({{"subtask", attempt.subtask},
                        {"endpoint", attempt.endpoint},
                        {"host", attempt.endpoint},
                        {"duration", DurationMillis(attempt.start, attempt.end, now)},
                        {"timestamps", Timestamps(attempt)}});
  }
  json result = Header(vertex, now);
  result["subtasks"] = std::move(subtasks);
  return Dump(result);
}

std::string VertexTaskManagersJson(const VertexDetails& vertex, WallMillis now) {
  std::map<std::string, std::vector<const AttemptDetails*>> by_task_manager;
  for (const AttemptDetails& attempt : vertex.subtasks) {
    const bool assigned = !attempt.task_manager_id.empty();
    by_task_manager[assigned ? attempt.task_manager_id : "(unassigned)"].push_back(&attempt);
  }
  json task_managers = json::array();
  for (const auto& [id, attempts] : by_task_manager) {
    task_managers.push_back(OnTaskManager(id, attempts, now));
  }
  json result = Header(vertex, now);
  result["taskmanagers"] = std::move(task_managers);
  return Dump(result);
}

std::string AttemptJson(const AttemptDetails& attempt, WallMillis now) {
  return Dump(Attempt(attempt, now));
}

}  // namespace baton
