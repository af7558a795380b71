// What a recovered job adopts: running attempts go on, finished ones are recorded, others end.

#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "dispatcher/job_master/job_master.h"

namespace baton {

// First every claim is adopted, then the job begins to run (or goes on ending), and only then is it
// said what the claims tell: a failure told among them must find all adopted attempts to cancel.
void JobMaster::OnRosterSettled() {
  if (!std::exchange(reconciling_, false)) return;
  size_t claimed = 0;
  std::vector<ReportedAttempt> adopted;
  if (Broken(Break::kNothingAdopted)) claims_.clear();
  for (auto& [index, claims] : std::exchange(claims_, {})) {
    claimed += claims.size();
    if (!claims.empty()) Reconcile(index, std::move(claims), &adopted);
  }
  log::Info("job recovered job_id={} epoch={} attempts_found={} adopted={} finished={} of={}",
            id_.ToString(), deps_.epoch.value, claimed, adopted.size(),
            graph_.count(ExecutionState::kFinished), graph_.total());
  BeginRunning();
  for (const ReportedAttempt& attempt : adopted) {
    ApplyStatus({attempt.id.vertex, attempt.id.subtask}, attempt);
  }
}

// All attempts of one subtask that any TaskManager knows, oldest first. Only the newest can be the
// current one: an older one was given up by the leader that deployed the newer.
void JobMaster::Reconcile(SubtaskIndex index, std::map<ExecutionAttemptId, ReportedAttempt> claims,
                          std::vector<ReportedAttempt>* adopted) {
  const auto older = [](const ReportedAttempt* a, const ReportedAttempt* b) {
    return std::pair(a->id.epoch, a->id.attempt) < std::pair(b->id.epoch, b->id.attempt);
  };
  const ReportedAttempt* newest = nullptr;
  for (const auto& [id, claim] : claims) {
    if (newest == nullptr || older(newest, &claim)) newest = &claim;
  }
  ExecutionVertex& subtask = graph_.at(index);
  for (const auto& [id, claim] : claims) {
    if (&claim != newest) SetAside(index, claim);
  }
  // The pointer knows more than this report: the subtask has finished, or the attempt was counted.
  if (subtask.state == ExecutionState::kFinished || newest->id.attempt < subtask.next_attempt) {
    return SetAside(index, *newest);
  }
  subtask.execution = std::make_unique<Execution>();
  subtask.execution->id = newest->id;
  subtask.execution->task_manager = newest->task_manager;
  subtask.execution->host = newest->host;
  subtask.next_attempt = newest->id.attempt + 1;
  if (newest->status.started_ms() > 0) {
    subtask.execution->timestamps[ExecutionState::kDeploying] = newest->status.started_ms();
  }
  graph_.Move(index, ExecutionState::kReconciling, deps_.executor->WallNow());
  adopted->push_back(*newest);
}

void JobMaster::SetAside(SubtaskIndex index, const ReportedAttempt& attempt) {
  const pb::FinalReport& report = attempt.status.report();
  const bool failed = report.outcome() == pb::FinalReport::SIGNALED ||
                      report.outcome() == pb::FinalReport::TIMED_OUT ||
                      (report.outcome() == pb::FinalReport::EXITED && report.exit_code() != 0);
  // The leader that deployed the newer attempt had counted it but died before that was durable.
  if (failed && attempt.id.attempt >= graph_.at(index).next_attempt) restart_strategy_.Count();
  OnNotCurrent(index, attempt);
}

}  // namespace baton
