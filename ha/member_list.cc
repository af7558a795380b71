#include "ha/member_list.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace baton {
namespace {

// Whether something was removed.
template <class F>
bool Remove(pb::MemberList& list, F which) {
  auto& members = *list.mutable_members();
  auto first = std::remove_if(members.begin(), members.end(), which);
  if (first == members.end()) return false;
  members.erase(first, members.end());
  return true;
}

bool RemoveRetired(pb::MemberList& list, const ReplicaId& id) {
  auto& retired = *list.mutable_retired();
  auto first = std::remove(retired.begin(), retired.end(), id.value());
  if (first == retired.end()) return false;
  retired.erase(first, retired.end());
  return true;
}

pb::MemberList Next(pb::MemberList list) {
  list.set_version(list.version() + 1);
  return list;
}

}  // namespace

bool HasMember(const pb::MemberList& list, const pb::Member& member) {
  return std::any_of(list.members().begin(), list.members().end(), [&](const pb::Member& other) {
    return other.replica_id() == member.replica_id() && other.rpc_address() == member.rpc_address();
  });
}

bool IsRetired(const pb::MemberList& list, const ReplicaId& id) {
  return std::find(list.retired().begin(), list.retired().end(), id.value()) !=
         list.retired().end();
}

absl::StatusOr<pb::MemberList> WithMember(pb::MemberList list, const pb::Member& member) {
  if (IsRetired(list, ReplicaId(member.replica_id()))) {
    return FailedPrecondition("replica {} was retired", member.replica_id());
  }
  if (HasMember(list, member)) return list;
  Remove(list, [&](const pb::Member& other) {
    return other.replica_id() == member.replica_id() || other.rpc_address() == member.rpc_address();
  });
  if (list.members_size() >= kMaxMembers) {
    return ResourceExhausted("there are {} members already", list.members_size());
  }
  *list.add_members() = member;
  return Next(std::move(list));
}

absl::StatusOr<pb::MemberList> WithoutMember(pb::MemberList list, const ReplicaId& id) {
  const bool removed =
      Remove(list, [&](const pb::Member& member) { return member.replica_id() == id.value(); });
  return removed ? Next(std::move(list)) : list;
}

absl::StatusOr<pb::MemberList> WithRetired(pb::MemberList list, const ReplicaId& id) {
  const bool removed =
      Remove(list, [&](const pb::Member& member) { return member.replica_id() == id.value(); });
  if (!removed && IsRetired(list, id)) return list;
  RemoveRetired(list, id);
  if (list.retired_size() >= kMaxRetired) list.mutable_retired()->erase(list.retired().begin());
  list.add_retired(id.value());
  return Next(std::move(list));
}

absl::StatusOr<pb::MemberList> WithoutRetired(pb::MemberList list, const ReplicaId& id) {
  return RemoveRetired(list, id) ? Next(std::move(list)) : list;
}

}  // namespace baton
