// Finds out whether writes of unknown outcome were applied, by reading back (never by assuming,
// never by retrying blindly: FLINK-24543, FLINK-22494).
//
// Why one read settles it. (1) A transaction was one multi or part of one: all of its ops were
// applied or none, so one decisive op speaks for all. (2) After Sync was answered nothing of the
// past is still on its way: ZooKeeper executes a session's requests in their order, and one that an
// old connection of the same session left behind cannot take effect later. On reconnecting to
// another server the session is *moved*: the leader of the ensemble refuses what still arrives from
// the old server (SESSIONMOVED), and what it accepted earlier was ordered before the Sync. On
// reconnecting to the same server, that server closes the old connection before it reopens the
// session. (3) Nobody else writes these paths: writes are fenced, and the next write under this
// epoch waits until this one is settled (CommitQueue).
//
// What was not applied is submitted again as it was. That is exact: every op is conditional, and
// the service itself names the conflict if there is one.

#pragma once

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "ha/coordination_client.h"

namespace baton {

enum class CommitOutcome { kApplied, kNotApplied };

// The op whose node tells: the first create or set, else the first delete. Null for a transaction
// of checks: it changes nothing, so it may be submitted again.
const CoordinationOp* DecisiveOp(const std::vector<CoordinationOp>& ops);

// `found`: what stands at the op's path after Sync; kNotFound if nothing does.
CommitOutcome JudgeOutcome(const CoordinationOp& op, const absl::StatusOr<NodeData>& found);

// One outcome for each of `ops`, or the first error (kUnavailable, kUnknown: try again later;
// kAborted: the session is over).
using OutcomesCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<CommitOutcome>>)>;
void ReadOutcomes(CoordinationClientPtr client, std::vector<CoordinationOp> ops,
                  OutcomesCallback callback);

}  // namespace baton
