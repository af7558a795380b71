// The slots of the cluster while this replica leads: TaskManagers register and heartbeat here, jobs
// are given slots, attempts are deployed, cancelled and confirmed in batches (Flink's
// ResourceManager and SlotManager).
//
// The files beside it: registration.cc (who TaskManagers are), heartbeats.cc (what they say then),
// assignment.cc (who gets a slot, what goes out), enlistment.cc (the roster), task_logs.cc,
// operators.cc (list, drain, forget), resource_manager.cc (jobs, losses).
//
// Lives on the executor of the leader process, owned by DispatcherLeaderProcess, ends with the
// epoch.
//
// Safety (P4), by interleaving:
//   a deployment names the registration it belongs to; a TaskManager refuses it once that has
//   ended. So when X registers again, an attempt that its new inventory lacks was either never
//   started or is forgotten after its report was confirmed: it is not alive and never will be. An
//   attempt of a disconnected X counts as lost only by the LossDetector's word. An attempt whose
//   deployment had an unknown outcome stays assigned to X until one of the two.
//   Registrations of X carry ascending numbers, and one that was overtaken by a later one on
//   another link is refused: its inventory is older than what was deployed since. All that of one
//   incarnation of X. Another TaskManager that says it is X (a copied configuration, or X started
//   anew) knows nothing of the tasks of the first: it is turned away until the LossDetector has
//   found the first one's guardian dead or its lease over.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/deliberate_break.h"
#include "base/executor.h"
#include "base/random.h"
#include "dispatcher/resource_manager/assignment_policy.h"
#include "dispatcher/resource_manager/confirmation_gate.h"
#include "dispatcher/resource_manager/loss_detector.h"
#include "dispatcher/resource_manager/roster.h"
#include "dispatcher/resource_manager/task_manager_session.h"
#include "dispatcher/resource_manager/task_source.h"
#include "ha/leader_fence.h"
#include "rpc/dispatcher_gateway.h"
#include "rpc/rpc_link.h"

namespace baton {

class ResourceManager final : public ResourceManagerGateway,
                              public std::enable_shared_from_this<ResourceManager> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    FrameTransportPtr transport;
    RandomPtr random;
    LeaderFencePtr fence;
    pb::LeaderRecord leader;
    LastLeaseAnswer last_lease_answer;
    TimePoint leading_since;
    LeaseOptions lease;
    std::unique_ptr<AssignmentPolicy> policy;
    // Whether the job is not yet terminal, so that its attempts must be kept until its JobMaster
    // can judge them. True for every job while the list of jobs is not yet read.
    std::function<bool(const JobId&)> job_is_live;
  };

  explicit ResourceManager(Dependencies dependencies);
  ~ResourceManager() override;

  // Reads the roster and begins to wait for those on it; retried until it can be read.
  void Start();

  // RegisterTaskManager, Heartbeat or TaskReports, from a link of a TaskManager.
  void OnMessage(const RpcLinkPtr& link, const pb::Envelope& message);
  void OnLinkClosed(const RpcLink* link);

  // The list that TaskManagers are told to ask (3.6).
  void SetMembers(const pb::MemberList& members);
  // Every TaskManager that may hold a lease under another list has said that it asks this one.
  bool AllAsk(uint64_t members_version) const;
  void OnMembersAsked(std::function<void()> listener) { on_members_asked_ = std::move(listener); }

  // The list of jobs is known now: attempts of jobs that are gone are cancelled.
  void OnJobsListed();

  // ResourceManagerGateway
  void AddSource(TaskSource* source, WaitingOrder order, Origin origin) override;
  void RemoveSource(const JobId& job) override;
  void OnDemandChanged(const JobId& job) override;
  void CancelAttempt(const ExecutionAttemptId& id) override;
  void ConfirmReport(const ExecutionAttemptId& id) override;
  bool roster_settled() const override {
    return roster_loaded_ && (awaited_.empty() || Broken(Break::kRosterNotAwaited));
  }

  // operators.cc
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;
  void Drain(const DrainRequest& request, StatusCallback callback);
  void ForgetTaskManager(const TaskManagerId& id, StatusCallback callback);
  std::vector<TaskManagerInfo> Describe() const;

  // From the TaskManager named, or, without one, from whichever has it.
  void ReadLog(const TaskManagerId& task_manager, const ExecutionAttemptId& id,
               const TaskLogRequest& request, DispatcherGateway::Callback<TaskLogChunk> callback);

 private:
  // One that was not answered for so long is watched, connected or not.
  static constexpr Duration kSilence = std::chrono::seconds(5);
  using EarlyAttempts = std::map<ExecutionAttemptId, ReportedAttempt>;

  struct Source {
    TaskSource* source = nullptr;
    WaitingOrder order;
    Origin origin = Origin::kNew;
  };
  using SessionPtr = std::shared_ptr<TaskManagerSession>;

  // registration.cc
  void OnRegister(const RpcLinkPtr& link, const pb::Envelope& message);
  void AdmitRegistration(const RpcLinkPtr& link, const pb::Envelope& message);
  absl::Status CheckDescription(const pb::RegisterTaskManager& request) const;
  absl::Status CheckNoOther(const pb::TaskManagerDescription& newcomer) const;
  absl::Status CheckNotOvertaken(const pb::RegisterTaskManager& request) const;
  void NoteNumber(const pb::RegisterTaskManager& request);
  void TurnAway(const RpcLinkPtr& link, const pb::Envelope& message, const absl::Status& why);
  void AcceptRegistration(const RpcLinkPtr& link, const pb::Envelope& message);
  SessionPtr FindOrMakeSession(const TaskManagerId& id);
  void AnswerRegistration(const TaskManagerSession& session, const pb::Envelope& message);
  void ReplaceInventory(TaskManagerSession& session, const pb::RegisterTaskManager& registration);

  // heartbeats.cc
  void OnHeartbeat(const RpcLinkPtr& link, const pb::Envelope& message);
  void OnReports(const RpcLinkPtr& link, const pb::TaskReports& reports);
  void ApplyStatus(TaskManagerSession& session, const ExecutionAttemptId& id,
                   const pb::AttemptStatus& status);
  SessionPtr FindSession(const RpcLink* link, const std::string& registration_id) const;

  // assignment.cc
  void ScheduleRound();
  void RunRound();
  bool MayRun(const Source& source) const;
  bool IsConfirmed() const;
  size_t CountWaiting(size_t enough) const;
  void GiveSlots(const std::vector<SessionPtr>& workers, const std::vector<size_t>& chosen);
  void ScheduleFlush(TaskManagerSession& session);
  void Flush(TaskManagerSession& session);
  void SendDeployments(TaskManagerSession& session);
  struct SentDeployments {
    TaskManagerId task_manager;
    RpcLinkPtr link;
    std::string registration_id;
    std::vector<ExecutionAttemptId> ids;
  };
  void OnDeployReply(const SentDeployments& sent, const absl::StatusOr<pb::Envelope>& reply);
  void OnNotDeployed(TaskManagerSession& session, const SentDeployments& sent,
                     const absl::Status& why);
  void SendCancels(TaskManagerSession& session);

  // operators.cc
  void NoteDrain(TaskManagerSession& session, const pb::DrainTaskManager& message);
  void MoveTasks(TaskManagerSession& session);
  absl::Status MayForget(const TaskManagerId& id) const;

  // enlistment.cc
  void OnRosterLoaded(absl::StatusOr<std::vector<pb::TaskManagerDescription>> entries);
  void OnHeard(const TaskManagerId& id);
  void NotifyIfSettled();
  void Enlist(const SessionPtr& session);
  void DelistEmptyOnes();

  // resource_manager.cc
  void OnLost(const TaskManagerId& id, const std::string& why);
  void DropAttempts(const EarlyAttempts& attempts);
  void LoseAttempt(TaskManagerSession& session, const ExecutionAttemptId& id, LossReason reason,
                   const std::string& why);
  void RemoveAttempt(TaskManagerSession& session, const ExecutionAttemptId& id);
  void CheckHeartbeats();
  void ReadLogFrom(const SessionPtr& session, const ExecutionAttemptId& id,
                   const TaskLogRequest& request,
                   DispatcherGateway::Callback<TaskLogChunk> callback);
  void Tick();

  Dependencies deps_;
  const std::shared_ptr<ConfirmationGate> confirmed_;
  const std::shared_ptr<Roster> roster_;
  const std::shared_ptr<LossDetector> loss_detector_;
  pb::MemberList members_;
  std::function<void()> on_members_asked_;

  std::map<TaskManagerId, SessionPtr> sessions_;
  absl::flat_hash_map<const RpcLink*, SessionPtr> by_link_;  // the connected ones
  std::map<TaskManagerId, uint64_t> pending_registrations_;  // the newest attempt to register
  uint64_t last_registration_ = 0;
  // Of the newest registration that arrived, by TaskManager and incarnation.
  std::map<std::pair<TaskManagerId, std::string>, uint64_t> highest_numbers_;
  struct EarlyRegistration {
    RpcLinkPtr link;
    pb::Envelope message;
  };
  std::map<TaskManagerId, EarlyRegistration> early_registrations_;  // until the roster is read
  std::map<TaskManagerId, std::string> turned_away_;  // incarnations, so that it is logged once
  // As the roster describes them: neither heard nor lost.
  std::map<TaskManagerId, pb::TaskManagerDescription> awaited_;
  bool roster_loaded_ = false;
  bool settled_notified_ = false;
  bool started_ = false;

  absl::flat_hash_map<JobId, Source> sources_;
  std::set<WaitingOrder> demand_;                                // sources with something ready
  absl::flat_hash_map<ExecutionAttemptId, TaskManagerId> home_;  // of every attempt in a session
  // What ended or ran before its job's source was added.
  absl::flat_hash_map<JobId, EarlyAttempts> early_;
  bool round_scheduled_ = false;
  std::set<TaskManagerId> flush_scheduled_;
};

}  // namespace baton
