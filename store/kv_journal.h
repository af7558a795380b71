// The Journal of ha/ on a KvEngine: a key a node, so the engine's log is the journal and its
// compaction the snapshot; what is read back is as large as the tree. A record is one write of the
// engine, which is atomic, synced, and shares its sync with the blobs that wait beside it.
//
// Threading: as KvEngine's. Keep it until Load is answered.
//
// Fault points: journal.before-write, journal.written (on disk, nobody told).

#pragma once

#include <string>

#include "ha/journal.h"
#include "store/kv_engine.h"

namespace baton {

// The engine must have it.
std::string JournalFamily();

JournalPtr NewKvJournal(KvEnginePtr engine);

}  // namespace baton
