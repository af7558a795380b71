// Admits new replicas to the list of members (3.6): first every TaskManager that may hold a lease
// is told to ask the newcomer too; when all have said that they do, the list in ZooKeeper changes.
// The other order would let a newcomer lead while a TaskManager, not asking it, renews its lease by
// way 2.
//
// One newcomer at a time. TaskManagers say which version of the list they ask within a
// registration, so a version that another leader had proposed is never taken for this one's.
//
// Lives on the executor of the leader process.

#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "ha/leader_election.h"

namespace baton {

// Changes the list in ZooKeeper under the fence; the callback may come on any thread.
using AddMember = std::function<void(const pb::Member&, absl::AnyInvocable<void(absl::Status)>)>;

class MemberAdmission : public std::enable_shared_from_this<MemberAdmission> {
 public:
  // `resource_manager` outlives it.
  MemberAdmission(ExecutorPtr executor, ResourceManager* resource_manager, AddMember add_member);

  void OnView(const LeadershipView& view);
  // Some TaskManager has said which list it asks, or there is one less to wait for.
  void Evaluate();

 private:
  std::optional<pb::Member> NextCandidate() const;
  void Add(const pb::Member& candidate);

  const ExecutorPtr executor_;
  ResourceManager* const resource_manager_;
  const AddMember add_member_;
  LeadershipView view_;
  pb::MemberList proposal_;
  bool adding_ = false;
};

}  // namespace baton
