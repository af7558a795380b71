// The reading half of the Dispatcher.

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "dispatcher/dispatcher.h"

namespace baton {
namespace {

absl::Status NoSuchJob(const JobId& job) { return NotFound("Job {} not found", job.ToString()); }

}  // namespace

void Dispatcher::ListJobs(Callback<std::vector<JobOverview>> callback) {
  auto overviews = registry_->Overviews();
  deps_.results->List(
      [overviews = std::move(overviews), callback = std::move(callback)](auto results) mutable {
        if (!results.ok()) return callback(results.status());
        // A job whose result was committed a moment ago may stand in both.
        absl::flat_hash_set<JobId> running;
        for (const JobOverview& overview : overviews) running.insert(overview.id);
        for (const pb::JobResult& result : *results) {
          JobOverview overview = OverviewOf(result);
          if (!running.contains(overview.id)) overviews.push_back(std::move(overview));
        }
        callback(std::move(overviews));
      });
}

void Dispatcher::GetJob(JobId job, Callback<JobDetails> callback) {
  if (const JobManagerRunner* runner = registry_->Find(job)) return callback(runner->Details());
  FindArchived(job, [callback = std::move(callback)](absl::StatusOr<ArchivedJob> archived) mutable {
    if (!archived.ok()) return callback(archived.status());
    callback(std::move(archived->details));
  });
}

void Dispatcher::FindArchived(JobId job, Callback<ArchivedJob> callback) {
  deps_.results->Find(
      job, [results = deps_.results, job, callback = std::move(callback)](auto found) mutable {
        if (!found.ok()) return callback(found.status());
        if (!found->has_value()) return callback(NoSuchJob(job));
        const pb::JobResult result = **found;
        results->LoadArchive(result, [result, callback = std::move(callback)](auto bytes) mutable {
          ArchivedJob job;
          job.details.overview = OverviewOf(result);
          job.details.failure_cause = result.failure_cause();
          if (bytes.ok()) {
            auto archived = FromArchive(*bytes, result);
            if (archived.ok()) job = *std::move(archived);
          }
          callback(std::move(job));  // without its archive a result still tells the outcome
        });
      });
}

void Dispatcher::GetVertex(JobId job, std::string vertex_id, Callback<VertexDetails> callback) {
  if (const JobManagerRunner* runner = registry_->Find(job)) {
    return callback(runner->DescribeVertex(vertex_id));
  }
  FindArchived(job, [job, vertex_id,
                     callback = std::move(callback)](absl::StatusOr<ArchivedJob> archived) mutable {
    if (!archived.ok()) return callback(archived.status());
    for (VertexDetails& vertex : archived->details.vertices) {
      if (vertex.id == vertex_id) return callback(std::move(vertex));
    }
    callback(NotFound("job {} has no vertex \"{}\"", job.ToString(), vertex_id));
  });
}

void Dispatcher::GetOverview(Callback<ClusterOverview> callback) {
  ClusterOverview overview;
  for (const TaskManagerInfo& info : deps_.resource_manager->Describe()) {
    if (info.link == TaskManagerInfo::Link::kAwaited) continue;
    ++overview.task_managers;
    overview.slots_total += info.slots;
    if (!info.drain) overview.slots_available += info.free_slots;
  }
  ListJobs([overview, callback = std::move(callback)](auto jobs) mutable {
    if (!jobs.ok()) return callback(jobs.status());
    for (const JobOverview& job : *jobs) {
      overview.jobs_running += !IsGloballyTerminal(job.status);
      overview.jobs_finished += job.status == JobStatus::kFinished;
      overview.jobs_cancelled += job.status == JobStatus::kCanceled;
      overview.jobs_failed += job.status == JobStatus::kFailed;
    }
    callback(overview);
  });
}

void Dispatcher::ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback) {
  if (const JobManagerRunner* runner = registry_->Find(request.job)) {
    const auto attempt = runner->FindAttempt(request);
    if (!attempt.ok()) return callback(attempt.status());
    return deps_.resource_manager->ReadLog(attempt->task_manager, attempt->id, request,
                                           std::move(callback));
  }
  FindArchived(request.job,
               BindTo(deps_.executor,
                      IfAlive(weak_from_this(), [request, callback = std::move(callback)](
                                                    Dispatcher& self, auto archived) mutable {
                        if (!archived.ok()) return callback(archived.status());
                        self.ReadArchivedLog(archived->details, request, std::move(callback));
                      })));
}

void Dispatcher::ReadArchivedLog(const JobDetails& job, const TaskLogRequest& request,
                                 Callback<TaskLogChunk> callback) {
  for (uint32_t v = 0; v < job.vertices.size(); ++v) {
    if (job.vertices[v].id != request.vertex_id) continue;
    for (const AttemptDetails& last : job.vertices[v].subtasks) {
      if (last.subtask != request.subtask) continue;
      const bool known = last.attempt == request.attempt;
      const ExecutionAttemptId id{request.job, v, request.subtask, request.attempt,
                                  known ? last.epoch : Epoch{}};
      return deps_.resource_manager->ReadLog(TaskManagerId(known ? last.task_manager_id : ""), id,
                                             request, std::move(callback));
    }
  }
  callback(
      NotFound("subtask {} of vertex \"{}\" is not known", request.subtask, request.vertex_id));
}

}  // namespace baton
