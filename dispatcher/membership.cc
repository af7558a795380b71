#include "dispatcher/membership.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "fmt/format.h"
#include "ha/member_list.h"

namespace baton {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
constexpr size_t kMaxChanges = 32;

pb::Member MemberOf(const pb::ReplicaRecord& replica) {
  pb::Member member;
  member.set_replica_id(replica.replica_id());
  member.set_rpc_address(replica.rpc_address());
  return member;
}

void AddAll(pb::MemberList& list, const pb::MemberList& more) {
  for (const pb::Member& member : more.members()) {
    if (!HasMember(list, member)) *list.add_members() = member;
  }
}

bool SameMembers(const pb::MemberList& a, const pb::MemberList& b) {
  const auto in_b = [&](const pb::Member& member) { return HasMember(b, member); };
  return a.members_size() == b.members_size() && std::ranges::all_of(a.members(), in_b);
}

}  // namespace

void Membership::OnView(const LeadershipView& view) {
  view_ = view;
  if (pending_ && view_.members.version() >= pending_->version()) pending_.reset();
  NoteAbsences();
  Evaluate();
}

void Membership::Tick() {
  Evaluate();
  deps_.executor->PostAfter(kTick,
                            IfAlive(weak_from_this(), [](Membership& self) { self.Tick(); }));
}

bool Membership::IsPresent(const pb::Member& member) const {
  return std::ranges::any_of(view_.replicas, [&](const pb::ReplicaRecord& replica) {
    return replica.replica_id() == member.replica_id() &&
           replica.rpc_address() == member.rpc_address();
  });
}

void Membership::NoteAbsences() {
  std::map<std::string, TimePoint> absent;
  for (const pb::Member& member : view_.members.members()) {
    if (IsPresent(member)) continue;
    auto since = absent_since_.find(member.replica_id());
    absent[member.replica_id()] =
        since == absent_since_.end() ? deps_.executor->Now() : since->second;
  }
  absent_since_ = std::move(absent);
}

// A second process that was given the id or the address of one that is there (T12) is no newcomer:
// the two would displace each other for ever.
bool Membership::MayBeCandidate(const pb::ReplicaRecord& replica) const {
  const pb::Member candidate = MemberOf(replica);
  if (HasMember(view_.members, candidate) ||
      IsRetired(view_.members, ReplicaId(replica.replica_id()))) {
    return false;
  }
  return std::ranges::none_of(view_.members.members(), [&](const pb::Member& member) {
    const bool displaced = member.replica_id() == candidate.replica_id() ||
                           member.rpc_address() == candidate.rpc_address();
    return displaced && (member.replica_id() == deps_.self.value() || IsPresent(member));
  });
}

std::optional<pb::Member> Membership::NextCandidate() const {
  for (const pb::ReplicaRecord& replica : view_.replicas) {
    if (MayBeCandidate(replica)) return MemberOf(replica);
  }
  return std::nullopt;
}

std::optional<ReplicaId> Membership::NextAbsentee() const {
  if (!view_.connected || view_.members.members_size() - std::ssize(absent_since_) < 2) {
    return std::nullopt;
  }
  for (const auto& [id, since] : absent_since_) {
    if (id != deps_.self.value() && deps_.executor->Now() - since >= deps_.timeout) {
      return ReplicaId(id);
    }
  }
  return std::nullopt;
}

void Membership::Announce(const std::optional<pb::Member>& candidate) {
  pb::MemberList list;
  AddAll(list, view_.members);
  if (pending_) AddAll(list, *pending_);
  if (candidate && !HasMember(list, *candidate)) *list.add_members() = *candidate;
  if (!SameMembers(list, told_)) {
    const bool first = told_.members().empty();
    list.set_version(first ? view_.members.version() : told_.version() + 1);
    told_ = std::move(list);
  }
  deps_.resource_manager->SetMembers(told_);
}

void Membership::Evaluate() {
  if (view_.members.members().empty()) return;
  const auto candidate = NextCandidate();
  Announce(candidate);
  if (changing_) return;
  if (candidate && (deps_.resource_manager->AllAsk(told_.version()) ||
                    Broken(Break::kMembersBeforeWorkersAsk))) {
    return Enqueue(
        {fmt::format("admitted replica={} rpc={}", candidate->replica_id(),
                     candidate->rpc_address()),
         [candidate = *candidate](const auto& list) { return WithMember(list, candidate); },
         nullptr});
  }
  if (const auto absentee = NextAbsentee()) {
    Enqueue({fmt::format("removed, it has been away for long replica={}", absentee->value()),
             [id = *absentee](const auto& list) { return WithoutMember(list, id); }, nullptr});
  }
}

void Membership::Retire(const ReplicaId& id, StatusCallback callback) {
  if (id == deps_.self) {
    return callback(FailedPrecondition(
        "replica {} leads; hand the leadership over first (POST /v1/leader/transfer)", id.value()));
  }
  const auto is_it = [&](const auto& entry) { return entry.replica_id() == id.value(); };
  if (std::ranges::none_of(view_.members.members(), is_it) &&
      std::ranges::none_of(view_.replicas, is_it) && !IsRetired(view_.members, id)) {
    return callback(NotFound("there is no replica {}", id.value()));
  }
  Enqueue({fmt::format("retired replica={}", id.value()),
           [id](const auto& list) { return WithRetired(list, id); }, std::move(callback)});
}

void Membership::Admit(const ReplicaId& id, StatusCallback callback) {
  const auto is_it = [&](const auto& entry) { return entry.replica_id() == id.value(); };
  if (std::ranges::none_of(view_.members.members(), is_it) &&
      std::ranges::none_of(view_.replicas, is_it) && !IsRetired(view_.members, id)) {
    return callback(NotFound("there is no replica {}; start it first", id.value()));
  }
  Enqueue({fmt::format("no longer retired replica={}", id.value()),
           [id](const auto& list) { return WithoutRetired(list, id); }, std::move(callback)});
}

void Membership::Enqueue(Change change) {
  if (changes_.size() >= kMaxChanges) {
    if (change.callback) change.callback(ResourceExhausted("too many changes of the members wait"));
    return;
  }
  changes_.push_back(std::move(change));
  RunNext();
}

void Membership::RunNext() {
  if (changing_ || changes_.empty()) return;
  changing_ = true;
  Change change = std::move(changes_.front());
  changes_.pop_front();
  deps_.fence->client().Get(
      deps_.fence->paths().members(), nullptr,
      BindTo(deps_.executor, IfAlive(weak_from_this(), [change = std::move(change)](
                                                           Membership& self, auto found) mutable {
               self.OnListRead(std::move(change), std::move(found));
             })));
}

void Membership::OnListRead(Change change, absl::StatusOr<NodeData> found) {
  pb::MemberList list;
  if (!found.ok()) return Finish(std::move(change), found.status());
  if (!list.ParseFromString(found->data)) {
    return Finish(std::move(change), DataLoss("the record in `members` is unreadable"));
  }
  const auto next = change.apply(list);
  if (!next.ok()) return Finish(std::move(change), next.status());
  if (next->version() == list.version()) return Finish(std::move(change), absl::OkStatus());
  pending_ = *next;
  Announce(NextCandidate());
  deps_.fence->Commit(
      {CoordinationOp::Set(deps_.fence->paths().members(), next->SerializeAsString(),
                           found->stat.version)},
      BindTo(deps_.executor,
             IfAlive(weak_from_this(), [change = std::move(change), version = next->version()](
                                           Membership& self, absl::Status status) mutable {
               self.OnCommitted(std::move(change), version, std::move(status));
             })));
}

void Membership::OnCommitted(Change change, uint64_t version, absl::Status status) {
  if (status.ok()) log::Info("replica {} members_version={}", change.what, version);
  // Of unknown outcome it may come to stand there yet; then, too, it is told until it is read, or
  // until another change has taken its place.
  if (!status.ok() && !absl::IsUnknown(status)) pending_.reset();
  if (absl::IsFailedPrecondition(status)) {
    status = Unavailable("the list of members was changed at the same time; try again");
  }
  Finish(std::move(change), std::move(status));
}

void Membership::Finish(Change change, absl::Status status) {
  changing_ = false;
  if (change.callback) {
    change.callback(status);
  } else if (!status.ok() && !absl::IsAborted(status)) {
    log::Warning("members cannot be changed yet wanted=\"{}\" error={}", change.what,
                 Message(status));
  }
  // The tick comes back to what failed.
  RunNext();
}

}  // namespace baton
