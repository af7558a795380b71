// One reading of jobs/, results/, roster/ and members into this replica's journal: how a standby
// learns what is live, and how every replica finds what it missed.
//
// It believes the tree only while `epoch` in it is at least the highest this replica has ever seen:
// a tree that was lost or set back must not empty the journals from which it is to be rebuilt. For
// the same reason a folder that is missing shows nothing (F16), least of all that its records are
// gone. jobs/ is listed before results/: a job that ends in between is seen in one of the two.
//
// Bounded: a few reads at once. Restartable: what is read already counts, in any order; it ends,
// for it reads only what one listing showed. Results never change, so those known are not read.
//
// Lives on the journal's executor; its calls hold it, it does not hold the client.

#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "store/record_journal.h"

namespace baton {

// kUnavailable, kUnknown, kAborted: no session, try again. kFailedPrecondition: the tree was set
// back, or a folder is missing.
void ReadTree(std::weak_ptr<CoordinationClient> client, CoordinationPaths paths,
              RecordJournalPtr journal, absl::AnyInvocable<void(absl::Status)> callback);

}  // namespace baton
