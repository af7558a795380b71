#include "dispatcher/member_admission.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kRetry = std::chrono::seconds(1);

}  // namespace

MemberAdmission::MemberAdmission(ExecutorPtr executor, ResourceManager* resource_manager,
                                 AddMember add_member)
    : executor_(std::move(executor)),
      resource_manager_(resource_manager),
      add_member_(std::move(add_member)) {}

void MemberAdmission::OnView(const LeadershipView& view) {
  view_ = view;
  Evaluate();
}

std::optional<pb::Member> MemberAdmission::NextCandidate() const {
  for (const pb::ReplicaRecord& replica : view_.replicas) {
    const bool known = std::ranges::any_of(view_.members.members(), [&](const pb::Member& member) {
      return member.replica_id() == replica.replica_id();
    });
    if (known) continue;
    pb::Member candidate;
    candidate.set_replica_id(replica.replica_id());
    candidate.set_rpc_address(replica.rpc_address());
    return candidate;
  }
  return std::nullopt;
}

void MemberAdmission::Evaluate() {
  const auto candidate = NextCandidate();
  proposal_ = view_.members;
  if (candidate) {
    proposal_.set_version(proposal_.version() + 1);
    *proposal_.add_members() = *candidate;
  }
  resource_manager_->SetMembers(proposal_);
  if (!candidate || adding_ || !resource_manager_->AllAsk(proposal_.version())) return;
  Add(*candidate);
}

void MemberAdmission::Add(const pb::Member& candidate) {
  adding_ = true;
  log::Info("replica is admitted replica={} rpc={} members_version={}", candidate.replica_id(),
            candidate.rpc_address(), proposal_.version());
  add_member_(
      candidate,
      BindTo(executor_, IfAlive(weak_from_this(), [](MemberAdmission& self, absl::Status status) {
               self.adding_ = false;
               if (status.ok() || absl::IsAborted(status)) return;
               log::Warning("a replica could not be admitted yet error={}", Message(status));
               self.executor_->PostAfter(
                   kRetry,
                   IfAlive(self.weak_from_this(), [](MemberAdmission& self) { self.Evaluate(); }));
             })));
}

}  // namespace baton
