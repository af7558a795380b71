// The operator's way out when no member can lead any more (all of them lost for good, or `members`
// damaged): writes a replica into the list of members past every leader (docs/protocols.md, 3.6).
//
// What it gives up: nobody has told the TaskManagers to ask the newcomer, so one that cannot reach
// it could renew its lease by way 2 (the dead members refuse it) while the newcomer leads and
// redeploys. The operator must make sure that there is none; who calls this says so.
//
// What it keeps: it is refused while somebody leads or a member is alive. The multi creates
// `leader` and deletes it again, so that it fails if a leader is elected at the same time: then the
// list is that leader's to change, and this replica is admitted the usual way.
//
// Lives on the executor of `client`, which must be connected; keeps itself alive until its
// callback.

#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"

namespace baton {

// The list as it stands now. kFailedPrecondition: not needed, or not allowed; it says why.
void ForceAdmission(CoordinationClientPtr client, const CoordinationPaths& paths,
                    const pb::Member& replica,
                    absl::AnyInvocable<void(absl::StatusOr<pb::MemberList>)> callback);

}  // namespace baton
