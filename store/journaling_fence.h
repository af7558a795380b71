// A LeaderFence that writes every commit into this replica's journal, once it is known to hold.
//
// A commit of unknown outcome is not written; the next reading of the tree tells. The answer to the
// committer does not wait for the journal: it is for the day when ZooKeeper's data is lost, and may
// then lack what was committed within the last milliseconds.
//
// Threading: as LeaderFence. It posts to the journal's executor from where the fence answers: in
// the order in which the commits took effect.

#pragma once

#include "ha/leader_fence.h"
#include "store/record_journal.h"

namespace baton {

LeaderFencePtr NewJournalingFence(LeaderFencePtr fence, RecordJournalPtr journal);

}  // namespace baton
