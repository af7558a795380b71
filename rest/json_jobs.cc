#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "rest/json_parts.h"
#include "rest/json_shapes.h"

namespace baton {

using nlohmann::json;

namespace {

// A job's tasks never change between streaming and batch: what Baton runs, ends.
constexpr char kJobType[] = "BATCH";
constexpr char kSchedulerType[] = "Default";

// Lower-case names and the total, which Flink's command line insists on.
json TaskCounts(const JobOverview& job) {
  json counts = {{"total", job.total_tasks}};
  for (const ExecutionState state : AllExecutionStates()) {
    counts[absl::AsciiStrToLower(std::string(ToString(state)))] =
        job.tasks[static_cast<size_t>(state)];
  }
  return counts;
}

json Overview(const JobOverview& job, WallMillis now) {
  return {{"jid", job.id.ToString()},
          {"name", job.name},
          {"application-id", job.id.ToString()},
          {"jobType", kJobType},
          {"schedulerType", kSchedulerType},
          {"start-time", job.start},
          {"end-time", job.end},
          {"duration", DurationMillis(job.start, job.end, now)},
          {"state", ToString(job.status)},
          {"last-modification", job.last_modification},
          {"tasks", TaskCounts(job)},
          {"pending-operators", 0}};
}

json Timestamps(const JobDetails& job) {
  json timestamps = json::object();
  for (const JobStatus status : AllJobStatuses()) {
    auto it = job.timestamps.find(status);
    const WallMillis when = it == job.timestamps.end() ? 0 : std::max<int64_t>(0, it->second);
    timestamps[std::string(ToString(status))] = when;
  }
  return timestamps;
}

json Vertex(const VertexDetails& vertex, WallMillis now) {
  // Flink shows ids of 32 hex digits here; every vertex is in the default group.
  static const std::string group = JobId::FromKey("default").ToString();
  return {{"id", vertex.id},
          {"slotSharingGroupId", group},
          {"name", vertex.name},
          {"maxParallelism", vertex.parallelism},
          {"parallelism", vertex.parallelism},
          {"status", ToString(vertex.status)},
          {"start-time", vertex.start},
          {"end-time", vertex.end},
          {"duration", DurationMillis(vertex.start, vertex.end, now)},
          {"tasks", StateCounts(vertex.tasks)},
          {"metrics", IoMetrics()}};
}

json VertexStatusCounts(const std::vector<VertexDetails>& vertices) {
  ExecutionStateCounts counts{};
  for (const VertexDetails& vertex : vertices) ++counts[static_cast<size_t>(vertex.status)];
  return StateCounts(counts);
}

// By index of the target vertex. The graph is missing where only the result of a job was kept.
std::vector<json> PlanInputs(const JobDetails& job) {
  std::vector<json> inputs(job.vertices.size(), json::array());
  if (!job.graph) return inputs;
  for (const JobEdge& edge : job.graph->edges) {
    if (edge.target >= inputs.size() || edge.source >= job.graph->vertices.size()) continue;
    const bool pointwise = edge.pattern == DistributionPattern::kPointwise;
    json& target = inputs[edge.target];
    target.push_back({{"num", target.size()},
                      {"id", job.graph->vertices[edge.source].id},
                      {"ship_strategy", pointwise ? "FORWARD" : "ALL_TO_ALL"},
                      {"exchange", "none"}});
  }
  return inputs;
}

json Plan(const JobDetails& job) {
  json nodes = json::array();
  std::vector<json> inputs = PlanInputs(job);
  for (size_t i = 0; i < job.vertices.size(); ++i) {
    const VertexDetails& vertex = job.vertices[i];
    json node = {{"id", vertex.id},
                 {"parallelism", vertex.parallelism},
                 {"operator", ""},
                 {"operator_strategy", ""},
                 {"description", vertex.name},
                 {"optimizer_properties", json::object()}};
    if (!inputs[i].empty()) node["inputs"] = std::move(inputs[i]);
    nodes.push_back(std::move(node));
  }
  return {{"jid", job.overview.id.ToString()},
          {"name", job.overview.name},
          {"type", kJobType},
          {"nodes", std::move(nodes)}};
}

uint32_t JobParallelism(const JobDetails& job) {
  uint32_t most = 1;
  for (const VertexDetails& vertex : job.vertices) most = std::max(most, vertex.parallelism);
  return most;
}

const char* ApplicationStatus(JobStatus status) {
  switch (status) {
    case JobStatus::kFinished:
      return "SUCCEEDED";
    case JobStatus::kFailed:
      return "FAILED";
    case JobStatus::kCanceled:
      return "CANCELED";
    default:
      return "UNKNOWN";
  }
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

json HistoryEntry(const ExceptionEntry& entry) {
  json result = {{"exceptionName", FirstLine(entry.message)},
                 {"stacktrace", entry.message},
                 {"timestamp", entry.timestamp},
                 {"failureLabels", json::object()},
                 {"concurrentExceptions", json::array()}};
  if (!entry.task_name.empty()) result["taskName"] = entry.task_name;
  if (!entry.endpoint.empty()) result["endpoint"] = entry.endpoint;
  if (!entry.task_manager_id.empty()) result["taskManagerId"] = entry.task_manager_id;
  return result;
}

json LegacyEntry(const ExceptionEntry& entry) {
  return {{"exception", entry.message},   {"task", entry.task_name},
          {"location", entry.endpoint},   {"endpoint", entry.endpoint},
          {"timestamp", entry.timestamp}, {"taskManagerId", entry.task_manager_id}};
}

}  // namespace

std::string SubmittedJson(const JobId& job) {
  const std::string id = job.ToString();
  return Dump(json{{"jobid", id}, {"jobUrl", "/jobs/" + id}});
}

std::string JobsJson(const std::vector<JobOverview>& jobs) {
  json list = json::array();
  for (const JobOverview& job : jobs) {
    list.push_back({{"id", job.id.ToString()}, {"status", ToString(job.status)}});
  }
  return Dump(json{{"jobs", std::move(list)}});
}

std::string JobsOverviewJson(const std::vector<JobOverview>& jobs, WallMillis now) {
  json list = json::array();
  for (const JobOverview& job : jobs) list.push_back(Overview(job, now));
  return Dump(json{{"jobs", std::move(list)}});
}

std::string JobDetailsJson(const JobDetails& job, WallMillis now) {
  json vertices = json::array();
  for (const VertexDetails& vertex : job.vertices) vertices.push_back(Vertex(vertex, now));
  json result = Overview(job.overview, now);
  result.erase("tasks");
  result.update({{"job-type", kJobType},
                 {"isStoppable", false},
                 {"maxParallelism", -1},
                 {"now", now},
                 {"priority", job.priority},
                 {"timestamps", Timestamps(job)},
                 {"vertices", std::move(vertices)},
                 {"status-counts", VertexStatusCounts(job.vertices)},
                 {"plan", Plan(job)}});
  return Dump(result);
}

std::string JobStatusJson(const JobDetails& job) {
  return Dump(json{{"status", ToString(job.overview.status)}});
}

std::string JobPlanJson(const JobDetails& job) { return Dump(json{{"plan", Plan(job)}}); }

std::string JobConfigJson(const JobDetails& job) {
  return Dump(json{{"jid", job.overview.id.ToString()},
                   {"name", job.overview.name},
                   {"execution-config",
                    {{"execution-mode", "BATCH"},
                     {"restart-strategy", job.restart_strategy},
                     {"job-parallelism", JobParallelism(job)},
                     {"object-reuse-mode", false},
                     {"user-config", json::object()}}}});
}

std::string JobExecutionResultJson(const JobDetails& job, WallMillis now) {
  const JobOverview& overview = job.overview;
  if (!IsGloballyTerminal(overview.status)) return Dump(json{{"status", {{"id", "IN_PROGRESS"}}}});
  json result = {{"id", overview.id.ToString()},
                 {"application-id", overview.id.ToString()},
                 {"name", overview.name},
                 {"application-status", ApplicationStatus(overview.status)},
                 {"accumulator-results", json::object()},
                 {"net-runtime", DurationMillis(overview.start, overview.end, now)},
                 {"start-time", overview.start},
                 {"end-time", overview.end}};
  if (!job.failure_cause.empty()) {
    result["failure-cause"] = {{"class", "baton.JobFailed"},
                               {"stack-trace", job.failure_cause},
                               {"serialized-throwable", ""}};
  }
  return Dump(json{{"status", {{"id", "COMPLETED"}}}, {"job-execution-result", std::move(result)}});
}

std::string JobExceptionsJson(const JobDetails& job, size_t max_exceptions) {
  const size_t count = std::min(max_exceptions, job.exceptions.size());
  const bool truncated = count < job.exceptions.size();
  json history = json::array();
  json legacy = json::array();
  for (size_t i = 0; i < count; ++i) {
    history.push_back(HistoryEntry(job.exceptions[i]));
    legacy.push_back(LegacyEntry(job.exceptions[i]));
  }
  const bool none = job.exceptions.empty();
  const std::string newest = none ? "" : job.exceptions.front().message;
  return Dump(
      json{{"root-exception", job.failure_cause.empty() ? newest : job.failure_cause},
           {"timestamp", none ? kNotYet : job.exceptions.front().timestamp},
           {"all-exceptions", std::move(legacy)},
           {"truncated", truncated},
           {"exceptionHistory", {{"entries", std::move(history)}, {"truncated", truncated}}}});
}

}  // namespace baton
