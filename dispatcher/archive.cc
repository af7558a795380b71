#include "dispatcher/archive.h"

#include <algorithm>
#include <array>

#include "base/status.h"
#include "dispatcher/archived_execution.pb.h"

namespace baton {
namespace {

constexpr uint64_t kMaxArchivedSubtasks = 10'000;

template <class Times>
void WriteTimes(const Times& times, google::protobuf::RepeatedPtrField<pb::StatusTime>* out) {
  for (const auto& [state, at] : times) {
    auto* entry = out->Add();
    entry->set_state(std::string(ToString(state)));
    entry->set_at_ms(at);
  }
}

void Write(const AttemptDetails& attempt, pb::ArchivedAttempt* out) {
  out->set_subtask(attempt.subtask);
  out->set_attempt(attempt.attempt);
  out->set_epoch(attempt.epoch.value);
  out->set_state(std::string(ToString(attempt.state)));
  out->set_task_manager_id(attempt.task_manager_id);
  out->set_endpoint(attempt.endpoint);
  out->set_start_ms(attempt.start);
  out->set_end_ms(attempt.end);
  WriteTimes(attempt.timestamps, out->mutable_state_times());
  out->set_failure(attempt.failure);
  out->set_has_exit_code(attempt.exit_code.has_value());
  out->set_exit_code(attempt.exit_code.value_or(0));
}

AttemptDetails Read(const pb::ArchivedAttempt& in) {
  AttemptDetails attempt;
  attempt.subtask = in.subtask();
  attempt.attempt = in.attempt();
  attempt.epoch = Epoch{in.epoch()};
  attempt.state = ParseExecutionState(in.state()).value_or(ExecutionState::kCreated);
  attempt.task_manager_id = in.task_manager_id();
  attempt.endpoint = in.endpoint();
  attempt.start = in.start_ms();
  attempt.end = in.end_ms();
  for (const auto& time : in.state_times()) {
    if (auto state = ParseExecutionState(time.state())) attempt.timestamps[*state] = time.at_ms();
  }
  attempt.failure = in.failure();
  if (in.has_exit_code()) attempt.exit_code = in.exit_code();
  return attempt;
}

VertexDetails Read(const pb::ArchivedVertex& in, const JobVertex& source) {
  VertexDetails vertex;
  vertex.id = source.id;
  vertex.name = source.name;
  vertex.parallelism = source.parallelism;
  vertex.status = ParseExecutionState(in.status()).value_or(ExecutionState::kCreated);
  vertex.start = in.start_ms();
  vertex.end = in.end_ms();
  const size_t states = std::min<size_t>(vertex.tasks.size(), in.counts_size());
  std::copy_n(in.counts().begin(), states, vertex.tasks.begin());
  for (const auto& attempt : in.subtasks()) vertex.subtasks.push_back(Read(attempt));
  return vertex;
}

}  // namespace

std::string ToArchive(const JobMaster& job) {
  const JobDetails details = job.Details();
  pb::ArchivedExecution archive;
  archive.set_stored_graph(ToStored(*details.graph));
  archive.set_priority(details.priority);
  archive.set_restart_strategy(details.restart_strategy);
  WriteTimes(details.timestamps, archive.mutable_status_times());
  const bool with_subtasks = job.graph().total() <= kMaxArchivedSubtasks;
  for (uint32_t v = 0; v < details.vertices.size(); ++v) {
    const VertexDetails vertex = job.graph().Describe(v, with_subtasks);
    auto* out = archive.add_vertices();
    out->set_status(std::string(ToString(vertex.status)));
    out->set_start_ms(vertex.start);
    out->set_end_ms(vertex.end);
    for (uint32_t count : vertex.tasks) out->add_counts(count);
    for (const AttemptDetails& attempt : vertex.subtasks) Write(attempt, out->add_subtasks());
  }
  for (const ExceptionEntry& exception : details.exceptions) {
    auto* out = archive.add_exceptions();
    out->set_message(exception.message);
    out->set_at_ms(exception.timestamp);
    out->set_task_name(exception.task_name);
    out->set_endpoint(exception.endpoint);
    out->set_task_manager_id(exception.task_manager_id);
  }
  return archive.SerializeAsString();
}

absl::StatusOr<ArchivedJob> FromArchive(std::string_view bytes, const pb::JobResult& result) {
  pb::ArchivedExecution archive;
  if (!archive.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("the archived execution cannot be read");
  }
  auto graph = FromStored(archive.stored_graph());
  if (!graph.ok()) return graph.status();
  if (static_cast<size_t>(archive.vertices_size()) != (*graph)->vertices.size()) {
    return DataLoss("the archived execution does not fit its job graph");
  }
  ArchivedJob job;
  job.details.overview = OverviewOf(result);
  job.details.priority = archive.priority();
  job.details.graph = *graph;
  job.details.failure_cause = result.failure_cause();
  job.details.restart_strategy = archive.restart_strategy();
  for (const auto& time : archive.status_times()) {
    if (auto status = ParseJobStatus(time.state())) {
      job.details.timestamps[*status] = time.at_ms();
    }
  }
  job.details.timestamps[job.details.overview.status] = result.ended_at_ms();
  for (int v = 0; v < archive.vertices_size(); ++v) {
    job.details.vertices.push_back(
        Read(archive.vertices(v), (*graph)->vertices[static_cast<size_t>(v)]));
  }
  for (const auto& exception : archive.exceptions()) {
    job.details.exceptions.push_back({exception.message(), exception.at_ms(), exception.task_name(),
                                      exception.endpoint(), exception.task_manager_id()});
  }
  return job;
}

JobOverview OverviewOf(const pb::JobResult& result) {
  JobOverview overview;
  std::array<uint8_t, 16> bytes{};
  std::copy_n(result.job_id().begin(), std::min<size_t>(16, result.job_id().size()), bytes.begin());
  overview.id = JobId::FromBytes(bytes);
  overview.name = result.name();
  overview.status = ParseJobStatus(result.outcome()).value_or(JobStatus::kFailed);
  overview.start = result.submitted_at_ms();
  overview.end = overview.last_modification = result.ended_at_ms();
  overview.total_tasks = result.total_subtasks();
  overview.tasks[static_cast<size_t>(ExecutionState::kFinished)] = result.finished_subtasks();
  overview.tasks[static_cast<size_t>(ExecutionState::kCanceled)] = result.canceled_subtasks();
  overview.tasks[static_cast<size_t>(ExecutionState::kFailed)] = result.failed_subtasks();
  return overview;
}

void CountInto(const JobOverview& overview, pb::JobResult* result) {
  const auto count = [&](ExecutionState state) {
    return overview.tasks[static_cast<size_t>(state)];
  };
  result->set_total_subtasks(overview.total_tasks);
  result->set_finished_subtasks(count(ExecutionState::kFinished));
  result->set_canceled_subtasks(count(ExecutionState::kCanceled));
  result->set_failed_subtasks(count(ExecutionState::kFailed));
}

}  // namespace baton
