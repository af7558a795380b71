#include "dispatcher/job_manager_runner.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "dispatcher/archive.h"

namespace baton {
namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kMaxRetry = std::chrono::seconds(10);
constexpr size_t kMaxWaitingCancels = 100;

}  // namespace

JobManagerRunner::JobManagerRunner(Dependencies dependencies, JobId id, pb::JobPointer pointer)
    : deps_(std::move(dependencies)),
      id_(id),
      pointer_(std::move(pointer)),
      retry_delay_(kFirstRetry) {}

void JobManagerRunner::StartNew(JobGraphPtr graph) {
  StartMaster(std::move(graph), JobMaster::Origin::kNew);
}

void JobManagerRunner::Recover(Task tried) {
  if (ending_in_quarantine_) {
    if (tried) tried();
    return;
  }
  pointer_.graph_digest().empty() ? ReadPointerAgain(std::move(tried))
                                  : LoadGraph(std::move(tried));
}

void JobManagerRunner::ReadPointerAgain(Task tried) {
  deps_.graphs->ReadPointer(
      id_, BindTo(deps_.executor,
                  IfAlive(weak_from_this(),
                          [tried = std::move(tried)](JobManagerRunner& self, auto pointer) mutable {
                            if (pointer.ok()) {
                              self.pointer_ = *std::move(pointer);
                              return self.LoadGraph(std::move(tried));
                            }
                            self.OnGraph(pointer.status());
                            if (tried) tried();
                          })));
}

void JobManagerRunner::LoadGraph(Task tried) {
  deps_.graphs->LoadGraph(
      pointer_, BindTo(deps_.executor,
                       IfAlive(weak_from_this(), [tried = std::move(tried)](JobManagerRunner& self,
                                                                            auto graph) mutable {
                         self.OnGraph(std::move(graph));
                         if (tried) tried();
                       })));
}

void JobManagerRunner::OnGraph(absl::StatusOr<JobGraphPtr> graph) {
  if (ending_in_quarantine_ || master_) return;
  if (!graph.ok()) return Quarantine(graph.status());
  if (!StartMaster(*graph, JobMaster::Origin::kRecovered)) {
    return Quarantine(DataLoss("the job's progress does not fit its graph"));
  }
  if (!std::exchange(quarantine_, {}).empty()) {
    log::Info("job left its quarantine job_id={}", id_.ToString());
  }
}

void JobManagerRunner::Quarantine(const absl::Status& why) {
  if (quarantine_.empty()) {
    log::Error("job is in quarantine job_id={} epoch={} why={}", id_.ToString(), deps_.epoch.value,
               Message(why));
  }
  quarantine_ = Message(why);
  if (quarantine_.empty()) quarantine_ = "unreadable";
  if (!waiting_cancels_.empty()) return EndInQuarantine();
  deps_.executor->PostAfter(
      retry_delay_, IfAlive(weak_from_this(), [](JobManagerRunner& self) { self.Recover(); }));
  retry_delay_ = std::min(2 * retry_delay_, kMaxRetry);
}

// Nothing can be started of it without its graph, so nothing has to be ended first; its result
// alone decides. Attempts of an earlier leader end when the ResourceManager finds their job ended.
void JobManagerRunner::EndInQuarantine() {
  if (std::exchange(ending_in_quarantine_, true)) return;
  outcome_ = {JobStatus::kCanceled, "in quarantine: " + quarantine_};
  retry_delay_ = kFirstRetry;
  CommitResult();
}

bool JobManagerRunner::StartMaster(JobGraphPtr graph, JobMaster::Origin origin) {
  JobMaster::Dependencies deps;
  deps.executor = deps_.executor;
  deps.resource_manager = deps_.resource_manager;
  deps.epoch = deps_.epoch;
  deps.default_restart_strategy = deps_.default_restart_strategy;
  deps.commit_pointer = [graphs = deps_.graphs, id = id_](pb::JobPointer pointer, auto callback) {
    graphs->Update(id, std::move(pointer), std::move(callback));
  };
  // The JobMaster calls it on its own executor and no later than its destruction; it is ours.
  deps.on_ended = [this](JobOutcome outcome) { OnEnded(std::move(outcome)); };
  auto master = std::make_shared<JobMaster>(std::move(deps), id_, std::move(graph), pointer_);
  if (!master->Start(origin)) return false;
  master_ = std::move(master);
  for (auto& waiting : std::exchange(waiting_cancels_, {})) master_->Cancel(std::move(waiting));
  return true;
}

void JobManagerRunner::Cancel(absl::AnyInvocable<void(absl::Status)> callback) {
  if (master_) return master_->Cancel(std::move(callback));
  if (waiting_cancels_.size() >= kMaxWaitingCancels) {
    return callback(ResourceExhausted("too many cancellations of job {} wait", id_.ToString()));
  }
  waiting_cancels_.push_back(std::move(callback));
  if (!quarantine_.empty()) EndInQuarantine();
}

void JobManagerRunner::OnEnded(JobOutcome outcome) {
  outcome_ = std::move(outcome);
  retry_delay_ = kFirstRetry;
  CommitResult();
}

void JobManagerRunner::CommitResult() {
  const JobOverview overview = Overview();
  pb::JobResult result;
  const auto& bytes = id_.bytes();
  result.set_job_id(std::string(bytes.begin(), bytes.end()));
  result.set_name(pointer_.name());
  result.set_outcome(std::string(ToString(outcome_.status)));
  result.set_submitted_at_ms(pointer_.submitted_at_ms());
  result.set_ended_at_ms(deps_.executor->WallNow());
  result.set_failure_cause(outcome_.failure_cause);
  result.set_submission_digest(pointer_.submission_digest());
  result.set_epoch(deps_.epoch.value);
  CountInto(overview, &result);
  deps_.results->Commit(id_, std::move(result), master_ ? ToArchive(*master_) : std::string(),
                        BindTo(deps_.executor, IfAlive(weak_from_this(), [](JobManagerRunner& self,
                                                                            absl::Status status) {
                                 self.OnResultCommitted(std::move(status));
                               })));
}

void JobManagerRunner::OnResultCommitted(absl::Status status) {
  if (status.ok()) {
    if (master_) master_->Conclude(outcome_);
    deps_.on_done(id_);
    if (ending_in_quarantine_) deps_.resource_manager->RemoveSource(id_);
    for (auto& waiting : std::exchange(waiting_cancels_, {})) waiting(absl::OkStatus());
    return;
  }
  if (absl::IsAborted(status)) return;  // the next leader ends it
  log::Warning("the result of a job could not be stored yet job_id={} error={}", id_.ToString(),
               Message(status));
  // Also when the outcome is unknown: the store takes its own earlier commit for success.
  deps_.executor->PostAfter(
      retry_delay_, IfAlive(weak_from_this(), [](JobManagerRunner& self) { self.CommitResult(); }));
  retry_delay_ = std::min(2 * retry_delay_, kMaxRetry);
}

JobOverview JobManagerRunner::Overview() const {
  if (master_) return master_->Overview();
  JobOverview overview;
  overview.id = id_;
  overview.name = pointer_.name();
  overview.status = JobStatus::kInitializing;
  overview.start = overview.last_modification = pointer_.submitted_at_ms();
  return overview;
}

JobDetails JobManagerRunner::Details() const {
  if (master_) return master_->Details();
  JobDetails details;
  details.overview = Overview();
  details.priority = pointer_.priority();
  details.timestamps[JobStatus::kInitializing] = pointer_.submitted_at_ms();
  if (!quarantine_.empty()) {
    details.exceptions.push_back({"in quarantine: " + quarantine_, deps_.executor->WallNow()});
  }
  return details;
}

absl::StatusOr<VertexDetails> JobManagerRunner::DescribeVertex(const std::string& vertex_id) const {
  if (master_) return master_->DescribeVertex(vertex_id);
  return Unavailable("the graph of job {} is not loaded yet", id_.ToString());
}

absl::StatusOr<ReportedAttempt> JobManagerRunner::FindAttempt(const TaskLogRequest& request) const {
  if (master_) return master_->FindAttempt(request);
  return Unavailable("the graph of job {} is not loaded yet", id_.ToString());
}

}  // namespace baton
