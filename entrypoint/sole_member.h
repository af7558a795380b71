// Who a dispatcher without ZooKeeper is to its own cluster: whoever holds the directory. Its name
// and its RPC address may change from start to start (a free port, another configuration); the list
// of members that an earlier life left would then shut it out of its own cluster for ever.
//
// Taking the earlier member's place is safe when no TaskManager elsewhere may hold tasks: one that
// does would ask the old address, be refused, take that for the word of a dead process, and renew
// its lease (3.6, way 2) while this process counts it as lost and runs its tasks again (P4). The
// worker inside is none of those: its tasks died with the earlier process and its guardian.

#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"

namespace baton {

struct SoleMember {
  pb::Member self;
  std::string own_worker;  // the id of the TaskManager in this process
};

// Makes `self` the only member, where another is; a new cluster has none yet and is left alone.
// kFailedPrecondition: TaskManagers elsewhere may hold tasks, and says what to do. The callback
// comes on the client's executor; the caller keeps the client until then.
void ClaimMembership(CoordinationClient& client, const CoordinationPaths& paths, SoleMember member,
                     absl::AnyInvocable<void(absl::Status)> callback);

}  // namespace baton
