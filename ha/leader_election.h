// Who leads: election and fencing in one transaction (3.2), early take-over (3.4), hand-over, and
// what this replica may say of it to TaskManagers (3.6 way 2).
//
// A candidate that sees no `leader` submits
//   multi{ check(members, mv), set(epoch, e+1, v), create(leader, ephemeral) }
// (with delete(leader) in front when the leader's process is known to be dead, or a majority of the
// members finds it silent).
//
// Lives on the executor of its CoordinationClient; every method is called there, every callback
// comes there, except for Snapshot (any thread).

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/random.h"
#include "ha/coordination_client.h"
#include "ha/leader_fence.h"
#include "ha/paths.h"
#include "rpc/messages.pb.h"
#include "rpc/records.pb.h"

namespace baton {

// Who takes part. Grant and revoke alternate and are linearised: OnRevoke of an epoch comes before
// OnGrant of a later one, and nothing comes in between from this election.
class LeaderContender {
 public:
  virtual ~LeaderContender() = default;
  virtual void OnGrant(const pb::LeaderRecord& record, LeaderFencePtr fence) = 0;
  // The epoch is over; stop at once. `why` is OK after a hand-over: its commits were drained.
  virtual void OnRevoke(Epoch epoch, const absl::Status& why) = 0;
};

// One life of one process as the leader of one epoch.
struct LeaderIdentity {
  Epoch epoch;
  Incarnation incarnation;
  bool operator==(const LeaderIdentity&) const = default;
};

// What this replica knows of the cluster. Copied out, never shared.
struct LeadershipView {
  std::optional<pb::LeaderRecord> leader;  // as `leader` in ZooKeeper says; none: nobody leads
  pb::LeaderRecord last_winner;            // as `epoch` says; epoch 0: nobody ever led
  pb::MemberList members;
  std::vector<pb::ReplicaRecord> replicas;  // alive, by their ephemeral nodes
  bool connected = false;                   // to the coordination service
  bool self_leads = false;                  // granted, and confirmed within the last 3 s
};

class LeaderElection {
 public:
  struct Dependencies {
    CoordinationClientPtr client;
    ExecutorPtr executor;
    CoordinationPaths paths;
    pb::ReplicaRecord self;
    FenceLimits fence_limits;
    RandomPtr random = nullptr;  // null: the system's
  };
  using ViewListener = std::function<void(const LeadershipView&)>;

  virtual ~LeaderElection() = default;

  // Starts the session and takes part. `contender` must outlive the election or Stop.
  virtual void Start(LeaderContender* contender) = 0;

  // Hears every true change of the view (never the same twice in a row), the present one first.
  virtual void AddListener(ViewListener listener) = 0;

  // Any thread.
  virtual LeadershipView Snapshot() const = 0;

  // The process with this incarnation is dead for certain (its link broke and its port refuses, or
  // another incarnation answers there): if it is the leader in ZooKeeper, take over at once (3.4).
  virtual void ReportDeath(const Incarnation& incarnation) = 0;

  // A majority of the members finds this leader silent at this moment (SilenceWatch): take over if
  // it still leads that epoch in ZooKeeper. To be repeated while it lasts.
  //
  // At most one such take-over a minute in the whole cluster, whoever wins them (L4: a link that
  // flaps must not make the leadership flap): each record in `epoch` names the newest epoch that
  // was won so, and for a minute after it first read a new name, by its own monotonic clock, no
  // replica takes over from another silent leader. One that has just started waits a minute too.
  virtual void ReportSilence(const LeaderIdentity& leader) = 0;

  // Somebody (a peer, a TaskManager) knows this epoch. While `epoch` says less, the tree was
  // damaged or set back: nobody contends, because an epoch that came again would unfence an older
  // leader.
  virtual void ObserveEpoch(Epoch epoch) = 0;

  // Leading: drain the fence, revoke, delete `leader`, and stand back for a second so that another
  // wins. kFailedPrecondition: not leading, or nobody else could take over.
  virtual void HandOver(absl::AnyInvocable<void(absl::Status)> callback) = 0;

  // Hands over if leading, then leaves the election and closes the session.
  virtual void Stop(absl::AnyInvocable<void()> callback) = 0;

  // Way 2 of 3.6, linearised with grant, pause and resume: what this replica may answer now.
  // `leads` is false for a standby and for a paused leader; the answer is remembered for each
  // TaskManager, because a leader must not count X as lost before lease + 1 s after it.
  virtual pb::LeaseQueryReply AnswerLeaseQuery(const TaskManagerId& task_manager) = 0;
  // When this replica last gave X an answer that may have renewed its lease by way 2.
  virtual std::optional<TimePoint> LastLeaseAnswer(const TaskManagerId& task_manager) const = 0;
};
using LeaderElectionPtr = std::shared_ptr<LeaderElection>;

LeaderElectionPtr NewLeaderElection(LeaderElection::Dependencies dependencies);

}  // namespace baton
