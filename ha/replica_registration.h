// What a replica does first in a new session: makes the folders that are missing, and its own
// ephemeral node in replicas/.
//
// An ephemeral node of an earlier life of this replica may linger until that session times out: it
// is deleted once, here. It is never fought for later (T12: two processes that overwrite each
// other's node for ever), so a second process that was given the same id shows in the log instead.

#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"

namespace baton {

// Idempotent: after an error (kUnavailable, kUnknown, kFailedPrecondition when somebody was faster)
// run it again.
void RegisterReplica(CoordinationClientPtr client, const CoordinationPaths& paths,
                     const pb::ReplicaRecord& self, int64_t session_id,
                     absl::AnyInvocable<void(absl::Status)> callback);

}  // namespace baton
