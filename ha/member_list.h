// Changes of the list of members (3.6) as functions of the list. Each returns the next list,
// with the next version, or why the change is refused; the same list, with its version, if there is
// nothing to change.
//
// A member is an id at an address. When a replica comes with another address, or another replica at
// a member's address, the entry it displaces goes in the same change: that process is not there any
// more, and way 2 would wait for its answer for ever.

#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rpc/records.pb.h"

namespace baton {

inline constexpr int kMaxMembers = 32;
inline constexpr int kMaxRetired = 64;

absl::StatusOr<pb::MemberList> WithMember(pb::MemberList list, const pb::Member& member);
absl::StatusOr<pb::MemberList> WithoutMember(pb::MemberList list, const ReplicaId& id);

// A retired replica is no member and is not admitted again by itself.
absl::StatusOr<pb::MemberList> WithRetired(pb::MemberList list, const ReplicaId& id);
absl::StatusOr<pb::MemberList> WithoutRetired(pb::MemberList list, const ReplicaId& id);

bool HasMember(const pb::MemberList& list, const pb::Member& member);
bool IsRetired(const pb::MemberList& list, const ReplicaId& id);

}  // namespace baton
