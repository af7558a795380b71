// A LeaderFence that writes every commit into this replica's journal, once it is known to hold.
//
// A commit of unknown outcome is not written; the next reading of the tree tells. The answer to the
// committer does not wait for the journal: it is for the day when ZooKeeper's data is lost, and may
// then lack what was committed within the last milliseconds.
//
// What has been called for and is not yet in the journal is bounded in bytes; beyond, a commit is
// refused with kResourceExhausted before anything of it is sent. Refused, and not left out of the
// journal: blobs are live by the journal's word.
//
// Threading: as LeaderFence, but such a refusal comes within the call. It posts to the journal's
// executor from where the fence answers: in the order in which the commits took effect.

#pragma once

#include <cstddef>

#include "ha/leader_fence.h"
#include "store/record_journal.h"

namespace baton {

// The journal's executor is a moment behind at most, unless it hangs: then its watchdog ends the
// process.
inline constexpr size_t kMaxBytesBeforeJournal = 256 << 20;

LeaderFencePtr NewJournalingFence(LeaderFencePtr fence, RecordJournalPtr journal,
                                  size_t max_waiting_bytes = kMaxBytesBeforeJournal);

}  // namespace baton
