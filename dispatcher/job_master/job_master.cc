// The job's states.

#include "dispatcher/job_master/job_master.h"

#include <cstdlib>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr size_t kMaxWaitingCancels = 100;

}  // namespace

JobMaster::JobMaster(Dependencies dependencies, JobId id, JobGraphPtr graph, pb::JobPointer pointer)
    : deps_(std::move(dependencies)),
      id_(id),
      pointer_(std::move(pointer)),
      graph_(id, graph),
      restart_strategy_(graph->restart_strategy.value_or(deps_.default_restart_strategy),
                        pointer_.restarts()),
      writer_(std::make_shared<PointerWriter>(deps_.executor, deps_.commit_pointer,
                                              [this] { return BuildPointer(); })) {
  timestamps_[JobStatus::kInitializing] = pointer_.submitted_at_ms();
}

// The writer holds `this` only while the JobMaster owns it.
JobMaster::~JobMaster() {
  writer_->Stop();
  deps_.resource_manager->RemoveSource(id_);
}

bool JobMaster::Start(Origin origin) {
  if (!graph_.ReadProgress(pointer_)) return false;
  cancel_durable_ = pointer_.cancelling() && !Broken(Break::kCancelsForgotten);
  failing_cause_ = pointer_.failing_cause();
  reconciling_ = origin == Origin::kRecovered;
  MoveTo(reconciling_ ? JobStatus::kReconciling : JobStatus::kCreated);
  deps_.resource_manager->AddSource(
      this, WaitingOrder::Of(pointer_.priority(), pointer_.submitted_at_ms(), id_), origin);
  if (!reconciling_) {
    BeginRunning();
  } else if (deps_.resource_manager->roster_settled()) {
    OnRosterSettled();
  }
  return true;
}

void JobMaster::MoveTo(JobStatus status) {
  if (!MayMove(status_, status)) {
    log::Error("illegal move of a job job_id={} from={} to={}", id_.ToString(), ToString(status_),
               ToString(status));
    std::abort();
  }
  log::Info("job moved job_id={} epoch={} from={} to={}", id_.ToString(), deps_.epoch.value,
            ToString(status_), ToString(status));
  status_ = status;
  timestamps_[status] = deps_.executor->WallNow();
}

void JobMaster::BeginRunning() {
  MoveTo(JobStatus::kRunning);
  if (cancel_durable_) return BeginCancelling();
  if (!failing_cause_.empty()) return BeginFailing(failing_cause_);
  graph_.QueueConsumable(deps_.executor->WallNow());
  deps_.resource_manager->OnDemandChanged(id_);
  CheckEnded();
}

void JobMaster::Cancel(absl::AnyInvocable<void(absl::Status)> callback) {
  if (cancel_durable_) return callback(absl::OkStatus());
  if (ended_) {
    return callback(FailedPrecondition("job {} is ending as {}", id_.ToString(),
                                       failing_cause_.empty() ? "FINISHED" : "FAILED"));
  }
  if (waiting_cancels_ >= kMaxWaitingCancels) {
    return callback(ResourceExhausted("too many cancellations of job {} wait", id_.ToString()));
  }
  ++waiting_cancels_;
  if (Broken(Break::kCancelsBeforeCommit)) std::exchange(callback, [](auto) {})(absl::OkStatus());
  pointer_.set_cancelling(true);
  auto answer = std::make_shared<absl::AnyInvocable<void(absl::Status)>>(std::move(callback));
  writer_->Write(PointerWriter::Urgency::kNow,
                 IfAlive(weak_from_this(),
                         [answer](JobMaster& self) {
                           --self.waiting_cancels_;
                           const bool first = !std::exchange(self.cancel_durable_, true);
                           (*answer)(absl::OkStatus());
                           if (first && !self.reconciling_) self.BeginCancelling();
                         }),
                 IfAlive(weak_from_this(), [answer](JobMaster& self, const absl::Status& why) {
                   --self.waiting_cancels_;
                   // It must not be cancelled behind the back of whoever was told that it was not.
                   if (!self.cancel_durable_) self.pointer_.set_cancelling(false);
                   (*answer)(why);
                 }));
}

void JobMaster::BeginCancelling() {
  if (ended_ || status_ == JobStatus::kCancelling) return;
  MoveTo(JobStatus::kCancelling);
  CancelEverything();
}

void JobMaster::BeginFailing(std::string cause) {
  if (status_ == JobStatus::kFailing || status_ == JobStatus::kCancelling) return;
  failing_cause_ = std::move(cause);
  MoveTo(JobStatus::kFailing);
  writer_->Write(PointerWriter::Urgency::kNow, nullptr);
  CancelEverything();
}

void JobMaster::CancelEverything() {
  const WallMillis now = deps_.executor->WallNow();
  graph_.ClearReady();
  graph_.ForEach([&](SubtaskIndex index, ExecutionVertex& subtask) {
    if (IsTerminal(subtask.state) || subtask.state == ExecutionState::kCanceling) return;
    const bool deployed =
        subtask.state != ExecutionState::kCreated && subtask.state != ExecutionState::kScheduled;
    graph_.Move(index, deployed ? ExecutionState::kCanceling : ExecutionState::kCanceled, now);
    if (deployed) deps_.resource_manager->CancelAttempt(subtask.execution->id);
  });
  deps_.resource_manager->OnDemandChanged(id_);
  CheckEnded();
}

void JobMaster::CheckEnded() {
  if (ended_ || reconciling_ || !strays_.empty()) return;
  JobOutcome outcome;
  if (status_ == JobStatus::kCancelling || status_ == JobStatus::kFailing) {
    if (graph_.active() > 0) return;
    const bool cancelled = status_ == JobStatus::kCancelling;
    outcome.status = cancelled ? JobStatus::kCanceled : JobStatus::kFailed;
    outcome.failure_cause = cancelled ? "" : failing_cause_;
  } else if (!graph_.all_finished()) {
    return;
  } else if (cancel_durable_) {
    outcome.status = JobStatus::kCanceled;  // whoever cancelled it was told so (P6)
  }
  ended_ = true;
  writer_->Stop();
  // Not from within a call of the ResourceManager: the owner may end this object.
  deps_.executor->Post(
      IfAlive(weak_from_this(), [outcome](JobMaster& self) { self.deps_.on_ended(outcome); }));
}

void JobMaster::Conclude(const JobOutcome& outcome) {
  if (status_ != JobStatus::kCancelling && status_ != JobStatus::kFailing &&
      status_ != JobStatus::kRunning) {
    MoveTo(JobStatus::kRunning);  // RESTARTING: the last retried subtask has finished
  }
  if (outcome.status == JobStatus::kCanceled && status_ != JobStatus::kCancelling) {
    MoveTo(JobStatus::kCancelling);
  }
  MoveTo(outcome.status);
  for (const auto& id : std::exchange(unconfirmed_, {})) {
    deps_.resource_manager->ConfirmReport(id);
  }
}

pb::JobPointer JobMaster::BuildPointer() const {
  pb::JobPointer pointer = pointer_;
  pointer.set_failing_cause(failing_cause_);
  pointer.set_restarts(restart_strategy_.used());
  graph_.WriteProgress(&pointer);
  return pointer;
}

JobOverview JobMaster::Overview() const {
  JobOverview overview;
  overview.id = id_;
  overview.name = pointer_.name();
  overview.status = status_;
  overview.start = pointer_.submitted_at_ms();
  if (IsGloballyTerminal(status_)) overview.end = timestamps_.at(status_);
  for (const auto& [status, at] : timestamps_) {
    overview.last_modification = std::max(overview.last_modification, at);
  }
  overview.tasks = graph_.Counts();
  overview.total_tasks = static_cast<uint32_t>(graph_.total());
  return overview;
}

JobDetails JobMaster::Details() const {
  JobDetails details;
  details.overview = Overview();
  details.priority = pointer_.priority();
  details.timestamps = timestamps_;
  for (uint32_t v = 0; v < graph_.graph().vertices.size(); ++v) {
    details.vertices.push_back(graph_.Describe(v, false));
  }
  details.graph = graph_.graph_ptr();
  details.exceptions.assign(exceptions_.begin(), exceptions_.end());
  details.failure_cause = failing_cause_;
  details.restart_strategy = restart_strategy_.Describe();
  return details;
}

absl::StatusOr<VertexDetails> JobMaster::DescribeVertex(const std::string& vertex_id) const {
  const auto vertex = graph_.graph().FindVertex(vertex_id);
  if (!vertex) return NotFound("job {} has no vertex \"{}\"", id_.ToString(), vertex_id);
  return graph_.Describe(*vertex, true);
}

absl::StatusOr<ReportedAttempt> JobMaster::FindAttempt(const TaskLogRequest& request) const {
  const auto vertex = graph_.graph().FindVertex(request.vertex_id);
  if (!vertex) return NotFound("job {} has no vertex \"{}\"", id_.ToString(), request.vertex_id);
  const SubtaskIndex index{*vertex, request.subtask};
  if (!graph_.Contains(index)) {
    return NotFound("vertex \"{}\" has no subtask {}", request.vertex_id, request.subtask);
  }
  const Execution* execution = graph_.at(index).execution.get();
  if (execution != nullptr && execution->id.attempt == request.attempt) {
    return ReportedAttempt{execution->task_manager, execution->id, {}, {}};
  }
  return ReportedAttempt{{}, {id_, index.vertex, index.subtask, request.attempt, Epoch{}}, {}, {}};
}

}  // namespace baton
