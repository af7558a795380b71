// Keeps the list of members (3.6): admits replicas that have come, removes those that an operator
// retired or that have been away for long, and tells the TaskManagers whom to ask.
//
// Safety. What must hold at every instant: a replica that can win an election (it stands in
// `members` in ZooKeeper, whose version the election checks) is asked by every TaskManager that may
// hold a lease. Otherwise it could lead, and redeploy, while a TaskManager that does not ask it
// renews its lease by way 2. Therefore
//   an addition is told first: the list in ZooKeeper changes when every TaskManager of the roster
//     has said, in its present registration, that it asks the newcomer too;
//   a removal is written first: TaskManagers are told only a list that contains everything that
//     stands in ZooKeeper or may come to stand there, that is, what was read last, what is being
//     committed or was committed and is not read yet, and the candidate (Announce);
//   every list that is told has a version of its own, so that nobody's word for an earlier
//     candidate passes as its word for a later one.
// A member is an id at an address. A replica at a new address is a newcomer; the commit that adds
// it removes its old entry. Until then the TaskManagers ask both, which is more than they must.
//
// One change at a time; operators' requests wait for it, bounded in number. Never removes the
// leader's own entry: a TaskManager registers only with a leader that its list contains.
//
// Lives on the executor of the leader process, owned by it, ends with the epoch.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "ha/leader_election.h"
#include "ha/leader_fence.h"

namespace baton {

class Membership : public std::enable_shared_from_this<Membership> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    ResourceManager* resource_manager = nullptr;  // outlives it
    LeaderFencePtr fence;
    ReplicaId self;
    Duration timeout;  // a member away for so long is removed, while two others remain
  };
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  explicit Membership(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  void Start() { Tick(); }
  void OnView(const LeadershipView& view);
  // Some TaskManager has said which list it asks, or there is one less to wait for.
  void Evaluate();

  // OK once the list in ZooKeeper is changed. kFailedPrecondition: it leads; kNotFound.
  void Retire(const ReplicaId& id, StatusCallback callback);
  // OK once it may be admitted; it is, as soon as it is there.
  void Admit(const ReplicaId& id, StatusCallback callback);

 private:
  using ListChange = std::function<absl::StatusOr<pb::MemberList>(const pb::MemberList&)>;
  struct Change {
    std::string what;  // for the log
    ListChange apply;
    StatusCallback callback;  // may be null
  };

  void Tick();
  void NoteAbsences();
  bool IsPresent(const pb::Member& member) const;
  bool MayBeCandidate(const pb::ReplicaRecord& replica) const;
  std::optional<pb::Member> NextCandidate() const;
  std::optional<ReplicaId> NextAbsentee() const;
  void Announce(const std::optional<pb::Member>& candidate);

  void Enqueue(Change change);
  void RunNext();
  void OnListRead(Change change, absl::StatusOr<NodeData> found);
  void OnCommitted(Change change, uint64_t version, absl::Status status);
  void Finish(Change change, absl::Status status);

  const Dependencies deps_;
  LeadershipView view_;
  pb::MemberList told_;                            // to the TaskManagers
  std::map<std::string, TimePoint> absent_since_;  // members, by id

  std::deque<Change> changes_;
  bool changing_ = false;
  std::optional<pb::MemberList> pending_;  // being committed, or committed and not in view_ yet
};

}  // namespace baton
