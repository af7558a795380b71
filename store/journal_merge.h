// What a tree in ZooKeeper is rebuilt from when its data is lost: the journals of the replicas,
// merged into one.
//
// No replica's journal is the whole truth: the last leader's lacks at most the last milliseconds,
// a standby's what was committed since its last reading. So
//   a result beats any pointer: that job has ended and never runs again (P6);
//   of two pointers of a job the one with the higher (epoch, sequence) is the later;
//   of the members the higher version; of the roster everybody who is named (a TaskManager too many
//   costs a wait for its lease, one too few would cost P4);
//   the epoch is the highest that anybody has heard of.
// A journal that was left behind (its replica was down) may still have pointers of jobs that have
// ended so long ago that their results are gone everywhere. Results live an hour at least
// (HistoryLimits::min_age), so a journal whose last complete reading is half an hour older than the
// freshest one's gives its epoch and nothing else: what it alone knows has ended.
//
// Pure functions.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "store/kv_engine.h"

namespace baton {

struct JournalCopy {
  std::string replica;
  Epoch highest_epoch;
  WallMillis complete_at = 0;
  std::vector<KvEntry> records;  // keys are paths below the cluster's node
};

struct MergedJournal {
  Epoch highest_epoch;
  std::map<std::string, std::string> records;
  std::vector<std::string> ignored;  // replicas whose journal is too old
};
MergedJournal MergeJournals(const std::vector<JournalCopy>& copies);

// Of two records under one key: whether `other` is later than `data`.
bool IsLaterRecord(const std::string& key, const std::string& data, const std::string& other);

}  // namespace baton
