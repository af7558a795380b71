#include "rest/client/rest_json.h"

#include <utility>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::json;

// nlohmann throws where a value has another type than asked for; nothing of it leaves this file.
template <class T>
absl::StatusOr<T> Reading(const std::string& body, const char* what, T (*read)(const Json&)) {
  try {
    return read(Json::parse(body));
  } catch (const Json::exception& error) {
    return Internal("the server's {} cannot be read: {}", what, error.what());
  }
}

std::string Text(const Json& object, const char* key) { return object.value(key, std::string()); }
int64_t Number(const Json& object, const char* key, int64_t otherwise = 0) {
  return object.value(key, otherwise);
}

std::map<std::string, int64_t> Counts(const Json& object, const char* key) {
  std::map<std::string, int64_t> counts;
  if (!object.contains(key)) return counts;
  for (const auto& [name, count] : object.at(key).items()) counts[name] = count.get<int64_t>();
  return counts;
}

JobRow ToJobRow(const Json& job) {
  JobRow row;
  row.id = job.at("jid").get<std::string>();
  row.name = Text(job, "name");
  row.state = Text(job, "state");
  row.start_ms = Number(job, "start-time", -1);
  row.end_ms = Number(job, "end-time", -1);
  row.duration_ms = Number(job, "duration");
  row.tasks = Counts(job, "tasks");
  row.tasks_total = row.tasks["total"];
  return row;
}

VertexRow ToVertexRow(const Json& vertex) {
  VertexRow row;
  row.id = vertex.at("id").get<std::string>();
  row.name = Text(vertex, "name");
  row.state = Text(vertex, "status");
  row.parallelism = Number(vertex, "parallelism");
  row.start_ms = Number(vertex, "start-time", -1);
  row.duration_ms = Number(vertex, "duration");
  row.tasks = Counts(vertex, "tasks");
  return row;
}

JobView ToJobView(const Json& job) {
  JobView view;
  view.id = job.at("jid").get<std::string>();
  view.name = Text(job, "name");
  view.state = job.at("state").get<std::string>();
  view.start_ms = Number(job, "start-time", -1);
  view.end_ms = Number(job, "end-time", -1);
  view.duration_ms = Number(job, "duration");
  for (const Json& vertex : job.at("vertices")) view.vertices.push_back(ToVertexRow(vertex));
  return view;
}

LeaderView ToLeaderView(const Json& leader) {
  LeaderView view;
  view.epoch = leader.at("epoch").get<uint64_t>();
  view.replica = Text(leader, "replica");
  view.address = Text(leader, "address");
  view.since_ms = Number(leader, "sinceMs", -1);
  return view;
}

OverviewView ToOverviewView(const Json& overview) {
  OverviewView view;
  view.task_managers = overview.at("taskmanagers").get<int64_t>();
  view.slots_total = Number(overview, "slots-total");
  view.slots_available = Number(overview, "slots-available");
  view.jobs_running = Number(overview, "jobs-running");
  view.jobs_finished = Number(overview, "jobs-finished");
  view.jobs_cancelled = Number(overview, "jobs-cancelled");
  view.jobs_failed = Number(overview, "jobs-failed");
  return view;
}

std::vector<JobRow> ToJobRows(const Json& answer) {
  std::vector<JobRow> rows;
  for (const Json& job : answer.at("jobs")) rows.push_back(ToJobRow(job));
  return rows;
}

std::vector<TaskManagerRow> ToTaskManagerRows(const Json& answer) {
  std::vector<TaskManagerRow> rows;
  for (const Json& worker : answer.at("taskmanagers")) {
    rows.push_back({worker.at("id").get<std::string>(), Text(worker, "path"),
                    Number(worker, "slotsNumber"), Number(worker, "freeSlots"),
                    Number(worker, "timeSinceLastHeartbeat", -1), Text(worker, "status"),
                    worker.value("draining", false), Number(worker, "drainDeadline", -1)});
  }
  return rows;
}

std::vector<ReplicaRow> ToReplicaRows(const Json& answer) {
  std::vector<ReplicaRow> rows;
  for (const Json& replica : answer.at("replicas")) {
    rows.push_back({replica.at("id").get<std::string>(), Text(replica, "address"),
                    replica.value("alive", false), replica.value("member", false),
                    replica.value("leader", false), replica.value("retired", false)});
  }
  return rows;
}

uint32_t ToAttempt(const Json& subtask) { return subtask.at("attempt").get<uint32_t>(); }

}  // namespace

std::string ErrorText(const std::string& body) {
  const Json answer = Json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("errors") || !answer["errors"].is_array()) {
    return body.substr(0, 300);
  }
  std::string text;
  for (const Json& error : answer["errors"]) {
    if (!error.is_string()) continue;
    if (!text.empty()) text += "; ";
    text += error.get<std::string>();
  }
  return text;
}

std::optional<JobId> JobIdOf(const std::string& job_json) {
  const Json job = Json::parse(job_json, nullptr, false);
  if (!job.is_object() || !job.contains("jobid") || !job["jobid"].is_string()) return std::nullopt;
  auto id = JobId::Parse(job["jobid"].get<std::string>());
  if (!id.ok()) return std::nullopt;
  return *id;
}

absl::StatusOr<std::vector<JobRow>> ReadJobRows(const std::string& body) {
  return Reading(body, "list of jobs", &ToJobRows);
}
absl::StatusOr<JobView> ReadJobView(const std::string& body) {
  return Reading(body, "job", &ToJobView);
}
absl::StatusOr<LeaderView> ReadLeaderView(const std::string& body) {
  return Reading(body, "leader", &ToLeaderView);
}
absl::StatusOr<OverviewView> ReadOverviewView(const std::string& body) {
  return Reading(body, "overview", &ToOverviewView);
}
absl::StatusOr<std::vector<TaskManagerRow>> ReadTaskManagerRows(const std::string& body) {
  return Reading(body, "list of TaskManagers", &ToTaskManagerRows);
}
absl::StatusOr<std::vector<ReplicaRow>> ReadReplicaRows(const std::string& body) {
  return Reading(body, "list of replicas", &ToReplicaRows);
}
absl::StatusOr<uint32_t> ReadAttempt(const std::string& body) {
  return Reading(body, "subtask", &ToAttempt);
}

}  // namespace baton
