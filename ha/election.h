// The LeaderElection of one replica: a state machine over its session, the tree and the contender.
//
//   session      connecting → connected (registered, the tree read) → … → expired, and again
//   leadership   none → contending → leading ⇄ paused → (handing over) → none
//
// Everything that happens (an event of the session, a read, an answer, a report, a timer) only
// records what it says and wakes Evaluate, which looks at the whole and takes the next step. So no
// order of events is special, and a duplicate changes nothing. Exceptions are what must not wait:
// a lost connection pauses, and an ended session or epoch revokes, at once.
//
// Lives on the executor of its CoordinationClient. Ends with Stop or its last reference.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ha/candidacy.h"
#include "ha/cluster_watch.h"
#include "ha/leader_election.h"
#include "ha/lease_answers.h"
#include "ha/managed_fence.h"
#include "ha/view_board.h"

namespace baton {

class Election final : public LeaderElection, public std::enable_shared_from_this<Election> {
 public:
  explicit Election(Dependencies dependencies);
  ~Election() override;

  void Start(LeaderContender* contender) override;
  void AddListener(ViewListener listener) override { board_.AddListener(std::move(listener)); }
  LeadershipView Snapshot() const override { return board_.Snapshot(); }
  void ReportDeath(const Incarnation& incarnation) override;
  void ReportSilence(const LeaderIdentity& leader) override;
  void ObserveEpoch(Epoch epoch) override;
  void HandOver(absl::AnyInvocable<void(absl::Status)> callback) override;
  void Stop(absl::AnyInvocable<void()> callback) override;
  pb::LeaseQueryReply AnswerLeaseQuery(const TaskManagerId& task_manager) override;
  std::optional<TimePoint> LastLeaseAnswer(const TaskManagerId& task_manager) const override;

 private:
  struct Leading {
    pb::LeaderRecord record;
    ManagedFencePtr fence;
    bool paused = false;
    bool handing_over = false;
    bool confirming = false;  // a confirmation is under way
    TimePoint next_confirmation;

    Epoch epoch() const { return Epoch{record.epoch()}; }
  };

  // election_session.cc: the session and this replica's place in it.
  void OnSession(SessionEvent event);
  void OnConnected(int64_t session_id);
  void OnDisconnected();
  void OnSessionOver();
  void Register();
  void OnRegistered(uint64_t registration, const absl::Status& status);
  void ArmPoll();
  void CheckOwnRegistration();

  // election.cc: deciding, winning, losing.
  void Wake();
  void WakeAfter(Duration delay);
  void Evaluate();
  void Act();
  bool IsHindered();
  absl::Status LossAfterSync(absl::Status loss);
  void Contend();
  void OnElected(int64_t session_id, Candidacy candidacy, const MultiResult& result);
  void GrantFromTree();
  void Grant(pb::LeaderRecord record, int32_t epoch_version);
  void CheckLeadership();
  void Revoke(const absl::Status& why);
  void BackOff();
  void StandBackFor(Duration span);
  void SearchStoredState();
  void OnStoredState(absl::StatusOr<std::string> found);
  void MakeEpochNode();
  void SetHindrance(absl::Status hindrance);
  CandidateView View() const;
  bool OwnsLeaderNode() const;
  bool MayActOnSilence() const;
  void NoteEpochs();
  void PublishView();

  // election_duties.cc: what a leader does as such, and how it leaves.
  void ArmLeaderTick();
  void OnLeaderTick();
  void ConfirmLeadership();
  void BeginHandOver();
  void Resign();
  void OnResigned(const MultiResult& result);
  void FinishHandOver(const absl::Status& status);
  void CloseNow();

  // Constant after construction.
  const CoordinationClientPtr client_;
  const ExecutorPtr executor_;
  const CoordinationPaths paths_;
  const pb::ReplicaRecord self_;
  const FenceLimits fence_limits_;
  const RandomPtr random_;

  LeaderContender* contender_ = nullptr;
  ViewBoard board_;
  std::shared_ptr<ClusterWatch> watch_;
  ClusterRecords records_;  // parsed from what watch_ read

  int64_t session_id_ = 0;  // 0: none yet, or over
  bool connected_ = false;
  bool registered_ = false;  // in this session
  uint64_t registration_ = 0;

  std::optional<Leading> leading_;
  Epoch last_granted_;  // no epoch is granted twice
  Epoch highest_epoch_seen_;
  DeathList deaths_;
  SilenceRecord silence_;
  Epoch rest_told_;  // of whose silence the log said that it must wait
  LeaseAnswers lease_answers_;

  bool busy_ = false;  // an own write to the tree, or the search before it, is under way
  TimePoint attempt_began_;
  bool nothing_stored_ = false;   // searched: this is a new cluster
  TimePoint not_before_;          // contends no earlier
  int failures_ = 0;              // attempts in a row that ended without a leader
  std::string hindrance_;         // logged once
  std::optional<Epoch> doubted_;  // whether it is lost: everything is being read again
  bool wake_posted_ = false;

  absl::AnyInvocable<void(absl::Status)> on_handed_over_;
  bool stopping_ = false;
  bool stopped_ = false;
  std::vector<absl::AnyInvocable<void()>> on_stopped_;
};

}  // namespace baton
