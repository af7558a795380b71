// Runs one job while this replica leads (Flink's JobMaster): its ExecutionGraph, its restarts, its
// cancellation, its progress. It ends by telling its owner the outcome; the owner makes that
// durable.
//
// The files beside it: job_master.cc (the job's states), attempts.cc (what becomes of attempts),
// reconciliation.cc (what a recovered job adopts).
//
// Lives on the executor of the leader process, owned by its JobManagerRunner.
//
// Safety:
//   A recovered job deploys nothing and ends nowhere before the roster has settled, not even a
//   subtask whose attempt reported its end: a later attempt may live on a TaskManager not yet heard
//   (3.6, P4).
//   A final report is confirmed to its TaskManager only when what follows from it is durable: until
//   then the next leader hears it again and comes to the same end (P6).
//   A job is cancelled only after its intent is durable, so it stays cancelled (P6).
//   An attempt that runs but is not the current one (a stray) is cancelled; the job does not end
//   and its subtask is not deployed while one is alive.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "dispatcher/job_master/execution_graph.h"
#include "dispatcher/job_master/pointer_writer.h"
#include "dispatcher/job_master/restart_strategy.h"
#include "dispatcher/resource_manager/task_source.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

struct JobOutcome {
  JobStatus status = JobStatus::kFinished;  // FINISHED, FAILED or CANCELED
  std::string failure_cause;
};

class JobMaster final : public TaskSource, public std::enable_shared_from_this<JobMaster> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    ResourceManagerGateway* resource_manager = nullptr;  // outlives the JobMaster
    Epoch epoch;
    RestartStrategyConfig default_restart_strategy;
    PointerWriter::Commit commit_pointer;
    // Nothing of the job is alive any more; called once. Make the outcome durable, then Conclude.
    std::function<void(JobOutcome)> on_ended;
  };
  using Origin = ResourceManagerGateway::Origin;

  JobMaster(Dependencies dependencies, JobId id, JobGraphPtr graph, pb::JobPointer pointer);
  ~JobMaster() override;

  // False if the pointer does not fit the graph: the job belongs in quarantine.
  bool Start(Origin origin);

  // OK once the intent is durable; an error if the store refuses it for good, and then it is as if
  // nobody had asked. Repeatable.
  void Cancel(absl::AnyInvocable<void(absl::Status)> callback);

  // The outcome is durable: the job shows its final state and its reports are confirmed.
  void Conclude(const JobOutcome& outcome);

  JobOverview Overview() const;
  JobDetails Details() const;
  absl::StatusOr<VertexDetails> DescribeVertex(const std::string& vertex_id) const;
  // Where an attempt ran: for its log. Without a TaskManager and with epoch 0 where only the
  // TaskManagers themselves may know it: it ended under an earlier leader, or before the current
  // one.
  absl::StatusOr<ReportedAttempt> FindAttempt(const TaskLogRequest& request) const;
  const ExecutionGraph& graph() const { return graph_; }

  // TaskSource
  JobId job_id() const override { return id_; }
  size_t ready_count() const override { return graph_.ready_count(); }
  pb::TaskDeployment TakeNext(const SlotOffer& offer) override;
  void OnAttemptStatus(const ReportedAttempt& attempt) override;
  void OnAttemptLost(const ExecutionAttemptId& id, LossReason reason,
                     const std::string& why) override;
  void OnRosterSettled() override;

 private:
  // attempts.cc
  void ApplyStatus(SubtaskIndex index, const ReportedAttempt& attempt);
  void OnNotCurrent(SubtaskIndex index, const ReportedAttempt& attempt);
  void OnEnded(SubtaskIndex index, const ReportedAttempt& attempt);
  void OnSucceeded(SubtaskIndex index);
  void OnFailed(SubtaskIndex index, const std::string& cause);
  void OnLost(SubtaskIndex index, LossReason reason, const std::string& told);
  void RunAgain(SubtaskIndex index, Duration delay);
  void ConfirmWhenDurable(const ExecutionAttemptId& id);
  void RecordException(SubtaskIndex index, const std::string& cause);
  bool HasStray(SubtaskIndex index) const;
  // It lives no more; whoever waited for that goes on.
  void ForgetStray(SubtaskIndex index, const ExecutionAttemptId& id);

  // reconciliation.cc
  void Reconcile(SubtaskIndex index, std::map<ExecutionAttemptId, ReportedAttempt> claims,
                 std::vector<ReportedAttempt>* adopted);
  void SetAside(SubtaskIndex index, const ReportedAttempt& attempt);

  // job_master.cc
  void MoveTo(JobStatus status);
  void BeginRunning();
  void BeginFailing(std::string cause);
  void BeginCancelling();
  void CancelEverything();
  void CheckEnded();
  pb::JobPointer BuildPointer() const;

  const Dependencies deps_;
  const JobId id_;
  pb::JobPointer pointer_;
  ExecutionGraph graph_;
  RestartStrategy restart_strategy_;
  const std::shared_ptr<PointerWriter> writer_;

  JobStatus status_ = JobStatus::kInitializing;
  std::map<JobStatus, WallMillis> timestamps_;
  bool reconciling_ = false;
  bool ended_ = false;  // on_ended was called
  bool cancel_durable_ = false;
  size_t waiting_cancels_ = 0;
  size_t pending_restarts_ = 0;
  std::string failing_cause_;
  std::deque<ExceptionEntry> exceptions_;  // newest first

  std::map<SubtaskIndex, std::map<ExecutionAttemptId, ReportedAttempt>> claims_;  // reconciling
  std::map<ExecutionAttemptId, SubtaskIndex> strays_;
  std::set<SubtaskIndex> waiting_for_stray_;
  std::set<ExecutionAttemptId> unconfirmed_;  // ended, not yet durable
};

}  // namespace baton
