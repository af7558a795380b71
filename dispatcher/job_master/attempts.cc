// What becomes of attempts: deployed, running, ended, lost.

#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "base/utf8.h"
#include "dispatcher/job_master/job_master.h"
#include "fmt/format.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr size_t kMaxFailureBytes = 2'000;
// A task that takes its worker with it must not go round all workers for ever; nor may a few
// workers that die of something else cost a long job its life.
constexpr uint8_t kMaxLosses = 10;
// What a TaskManager refuses (no room for a directory, say) may pass: for a minute and a half.
constexpr uint8_t kMaxRefusals = 100;
constexpr Duration kRefusalDelay = std::chrono::seconds(1);
constexpr size_t kMaxExceptions = 16;  // as Flink's web.exception-history-size

// The end of an attempt that says nothing about the task itself.
bool IsLoss(const pb::FinalReport& report) {
  switch (report.outcome()) {
    case pb::FinalReport::LEASE_EXPIRED:
    case pb::FinalReport::GUARDIAN_LOST:
    case pb::FinalReport::REFUSED:
    case pb::FinalReport::CANCELED:  // not by us: its TaskManager was told to stop
      return true;
    default:
      return false;
  }
}

std::string Describe(const pb::FinalReport& report) {
  // Kept for each subtask, for as long as the job is known.
  const std::string failure = CleanUtf8(report.failure(), kMaxFailureBytes);
  switch (report.outcome()) {
    case pb::FinalReport::EXITED:
      return fmt::format("exited with code {}", report.exit_code());
    case pb::FinalReport::SIGNALED:
      return fmt::format("ended by signal {}", report.signal());
    case pb::FinalReport::TIMED_OUT:
      return "exceeded its timeout";
    case pb::FinalReport::LAUNCH_FAILED:
      return fmt::format("could not be started: {}", failure);
    case pb::FinalReport::LEASE_EXPIRED:
      return "ended because the lease of its TaskManager was over";
    case pb::FinalReport::GUARDIAN_LOST:
      return "ended because the guardian of its TaskManager died";
    case pb::FinalReport::CANCELED:
      return "cancelled by its TaskManager";
    default:
      return fmt::format("never started: {}", failure);
  }
}

// Between two attempts there is none: the last one is kept for those who ask what became of it, but
// what is still heard of it (a TaskManager counted as lost comes back, a report is repeated) must
// not be counted again.
bool IsCurrent(const ExecutionVertex& subtask, const ExecutionAttemptId& id) {
  return subtask.execution && subtask.execution->id == id &&
         subtask.state != ExecutionState::kCreated && subtask.state != ExecutionState::kScheduled;
}

}  // namespace

pb::TaskDeployment JobMaster::TakeNext(const SlotOffer& offer) {
  const SubtaskIndex index = graph_.TakeReady();
  ExecutionVertex& subtask = graph_.at(index);
  const JobVertex& vertex = graph_.graph().vertices[index.vertex];
  subtask.execution = std::make_unique<Execution>();
  subtask.execution->id = {id_, index.vertex, index.subtask, subtask.next_attempt++, deps_.epoch};
  subtask.execution->task_manager = offer.task_manager;
  subtask.execution->host = offer.host;
  strays_.erase(subtask.execution->id);  // a TaskManager spoke of it before it was made
  graph_.Move(index, ExecutionState::kDeploying, deps_.executor->WallNow());

  pb::TaskDeployment task;
  *task.mutable_id() = ToProto(subtask.execution->id);
  task.set_vertex_id(vertex.id);
  task.set_vertex_name(vertex.name);
  task.set_job_name(graph_.graph().name);
  task.set_parallelism(vertex.parallelism);
  for (const std::string& argument : vertex.command) task.add_command(argument);
  for (const auto& [name, value] : vertex.env) {
    auto* entry = task.add_env();
    entry->set_name(name);
    entry->set_value(value);
  }
  task.set_timeout_ms(static_cast<uint64_t>(ToMillis(vertex.timeout)));
  return task;
}

void JobMaster::OnAttemptStatus(const ReportedAttempt& attempt) {
  const SubtaskIndex index{attempt.id.vertex, attempt.id.subtask};
  if (!graph_.Contains(index)) {
    log::Error("an attempt of a subtask that the job does not have attempt={}",
               attempt.id.ToString());
    return;
  }
  if (reconciling_) {
    claims_[index].insert_or_assign(attempt.id, attempt);
  } else {
    ApplyStatus(index, attempt);
  }
}

void JobMaster::ApplyStatus(SubtaskIndex index, const ReportedAttempt& attempt) {
  ExecutionVertex& subtask = graph_.at(index);
  if (!IsCurrent(subtask, attempt.id)) return OnNotCurrent(index, attempt);
  const bool ended = attempt.status.phase() == pb::AttemptStatus::ENDED;
  if (!ended || attempt.status.report().outcome() != pb::FinalReport::REFUSED) {
    subtask.refusals = 0;  // it was taken
  }
  if (IsTerminal(subtask.state)) {
    // A repeated report. If it was durable already, its confirmation was lost on the way.
    if (ended && !unconfirmed_.contains(attempt.id)) {
      deps_.resource_manager->ConfirmReport(attempt.id);
    }
  } else if (ended) {
    OnEnded(index, attempt);
  } else if (attempt.status.phase() == pb::AttemptStatus::RUNNING &&
             subtask.state != ExecutionState::kRunning &&
             subtask.state != ExecutionState::kCanceling) {
    // An adopted attempt has been running for longer than this leader leads.
    const int64_t started = attempt.status.started_ms();
    graph_.Move(index, ExecutionState::kRunning, started > 0 ? started : deps_.executor->WallNow());
  }
}

// An attempt that another one has replaced, or whose subtask has finished.
void JobMaster::OnNotCurrent(SubtaskIndex index, const ReportedAttempt& attempt) {
  if (attempt.status.phase() != pb::AttemptStatus::ENDED) {
    log::Warning("a stray attempt is cancelled attempt={} tm={}", attempt.id.ToString(),
                 attempt.task_manager.value());
    strays_[attempt.id] = index;
    return deps_.resource_manager->CancelAttempt(attempt.id);
  }
  // Between two attempts the report of the first may still wait for its commit.
  if (!unconfirmed_.contains(attempt.id)) deps_.resource_manager->ConfirmReport(attempt.id);
  ForgetStray(index, attempt.id);
}

void JobMaster::ForgetStray(SubtaskIndex index, const ExecutionAttemptId& id) {
  if (strays_.erase(id) == 0) return;
  if (!HasStray(index) && waiting_for_stray_.erase(index) > 0) RunAgain(index, Duration::zero());
  CheckEnded();
}

bool JobMaster::HasStray(SubtaskIndex index) const {
  for (const auto& [id, stray] : strays_) {
    if (stray == index) return true;
  }
  return false;
}

void JobMaster::OnEnded(SubtaskIndex index, const ReportedAttempt& attempt) {
  const pb::FinalReport& report = attempt.status.report();
  ExecutionVertex& subtask = graph_.at(index);
  if (report.outcome() == pb::FinalReport::EXITED) {
    subtask.execution->exit_code = report.exit_code();
  }
  if (subtask.state == ExecutionState::kCanceling) {
    // As Flink: what ends while it is being cancelled is cancelled, however it ended.
    graph_.Move(index, ExecutionState::kCanceled, deps_.executor->WallNow());
    unconfirmed_.insert(attempt.id);  // until the result of the job is durable
    return CheckEnded();
  }
  if (report.outcome() == pb::FinalReport::EXITED && report.exit_code() == 0) {
    return OnSucceeded(index);
  }
  const std::string how = Describe(report);
  if (IsLoss(report)) {
    deps_.resource_manager->ConfirmReport(attempt.id);
    const bool refused = report.outcome() == pb::FinalReport::REFUSED;
    // Only a guardian without a lease refuses.
    return OnLost(index, refused ? LossReason::kTurnedAway : LossReason::kTaskManagerLost, how);
  }
  OnFailed(index, how);
}

void JobMaster::OnSucceeded(SubtaskIndex index) {
  const ExecutionAttemptId id = graph_.at(index).execution->id;
  graph_.Move(index, ExecutionState::kFinished, deps_.executor->WallNow());
  unconfirmed_.insert(id);
  deps_.resource_manager->OnDemandChanged(id_);
  CheckEnded();
  if (!ended_) ConfirmWhenDurable(id);  // else the result says it
}

void JobMaster::ConfirmWhenDurable(const ExecutionAttemptId& id) {
  if (Broken(Break::kReportsConfirmedBeforeCommit)) deps_.resource_manager->ConfirmReport(id);
  writer_->Write(PointerWriter::Urgency::kCoalesce,
                 IfAlive(weak_from_this(), [id](JobMaster& self) {
                   self.unconfirmed_.erase(id);
                   self.deps_.resource_manager->ConfirmReport(id);
                 }));
}

void JobMaster::RecordException(SubtaskIndex index, const std::string& cause) {
  const ExecutionVertex& subtask = graph_.at(index);
  const JobVertex& vertex = graph_.graph().vertices[index.vertex];
  ExceptionEntry entry;
  entry.message = cause;
  entry.timestamp = deps_.executor->WallNow();
  entry.task_name = fmt::format("{} ({}/{})", vertex.name, index.subtask + 1, vertex.parallelism);
  if (subtask.execution) {
    entry.endpoint = subtask.execution->host;
    entry.task_manager_id = subtask.execution->task_manager.value();
  }
  exceptions_.push_front(std::move(entry));
  if (exceptions_.size() > kMaxExceptions) exceptions_.pop_back();
}

void JobMaster::OnFailed(SubtaskIndex index, const std::string& cause) {
  ExecutionVertex& subtask = graph_.at(index);
  const JobVertex& vertex = graph_.graph().vertices[index.vertex];
  const ExecutionAttemptId id = subtask.execution->id;
  const std::string sentence =
      fmt::format("task {} ({}/{}), attempt {}, on {}: {}", vertex.name, index.subtask + 1,
                  vertex.parallelism, id.attempt, subtask.execution->task_manager.value(), cause);
  log::Info("attempt failed attempt={} cause={}", id.ToString(), cause);
  subtask.execution->failure = sentence;
  graph_.Move(index, ExecutionState::kFailed, deps_.executor->WallNow());
  RecordException(index, sentence);
  unconfirmed_.insert(id);
  if (status_ == JobStatus::kFailing || status_ == JobStatus::kCancelling) return CheckEnded();
  const auto delay = restart_strategy_.NextDelay();
  if (!delay) return BeginFailing(sentence);
  RunAgain(index, *delay);
  ConfirmWhenDurable(id);  // the pointer counts the attempt and says that the report is stale
}

void JobMaster::OnAttemptLost(const ExecutionAttemptId& id, LossReason reason,
                              const std::string& why) {
  const SubtaskIndex index{id.vertex, id.subtask};
  if (!graph_.Contains(index)) return;
  if (reconciling_) {
    if (auto it = claims_.find(index); it != claims_.end()) it->second.erase(id);
    return;
  }
  ExecutionVertex& subtask = graph_.at(index);
  unconfirmed_.erase(id);
  if (IsCurrent(subtask, id) && !IsTerminal(subtask.state)) {
    if (subtask.state == ExecutionState::kCanceling) {
      graph_.Move(index, ExecutionState::kCanceled, deps_.executor->WallNow());
      return CheckEnded();
    }
    return OnLost(index, reason, why);
  }
  ForgetStray(index, id);
}

// Costs no attempt of the restart strategy; but a subtask that loses ten workers may be what kills
// them.
void JobMaster::OnLost(SubtaskIndex index, LossReason reason, const std::string& told) {
  const std::string why = CleanUtf8(told, kMaxFailureBytes);  // a TaskManager's words, perhaps
  ExecutionVertex& subtask = graph_.at(index);
  // Nothing happened to the task, and it is no sign of trouble.
  const bool harmless = reason == LossReason::kMoved || reason == LossReason::kTurnedAway;
  log::Write(harmless ? log::Level::kInfo : log::Level::kWarning,
             fmt::format("attempt lost attempt={} why={}", subtask.execution->id.ToString(), why));
  subtask.execution->failure = why;
  graph_.Move(index, ExecutionState::kFailed, deps_.executor->WallNow());
  if (!harmless) RecordException(index, why);
  if (status_ == JobStatus::kFailing || status_ == JobStatus::kCancelling) return CheckEnded();
  switch (reason) {
    case LossReason::kRefused:
      if (++subtask.refusals < kMaxRefusals) return RunAgain(index, kRefusalDelay);
      return BeginFailing(fmt::format("refused {} times, at last: {}", kMaxRefusals, why));
    case LossReason::kTurnedAway:
      return RunAgain(index, kRefusalDelay);
    case LossReason::kMoved:
      return RunAgain(index, Duration::zero());
    case LossReason::kTaskManagerLost:
      if (++subtask.losses < kMaxLosses) return RunAgain(index, Duration::zero());
      return BeginFailing(
          fmt::format("lost {} times with its TaskManager, at last: {}", kMaxLosses, why));
  }
}

void JobMaster::RunAgain(SubtaskIndex index, Duration delay) {
  if (graph_.at(index).state != ExecutionState::kCreated) graph_.Reset(index);
  if (HasStray(index)) {
    waiting_for_stray_.insert(index);
    return;
  }
  if (delay <= Duration::zero()) {
    graph_.Requeue(index, deps_.executor->WallNow());
    return deps_.resource_manager->OnDemandChanged(id_);
  }
  ++pending_restarts_;
  if (status_ == JobStatus::kRunning) MoveTo(JobStatus::kRestarting);
  deps_.executor->PostAfter(delay, IfAlive(weak_from_this(), [index](JobMaster& self) {
                              --self.pending_restarts_;
                              if (self.status_ != JobStatus::kRestarting) return;
                              if (self.pending_restarts_ == 0) self.MoveTo(JobStatus::kRunning);
                              self.graph_.Requeue(index, self.deps_.executor->WallNow());
                              self.deps_.resource_manager->OnDemandChanged(self.id_);
                            }));
}

}  // namespace baton
