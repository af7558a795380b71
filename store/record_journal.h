// This replica's own copy of what stands in ZooKeeper: every pointer and result, the roster, the
// members and the highest epoch, as the leader committed them (JournalingFence) or as a reading of
// the tree found them (TreeReading). It says which blobs are live, and it is what
// `baton recover-pointers` rebuilds the tree from when ZooKeeper's data is lost.
//
// It is never ahead of the tree: nothing enters before its commit is known. It may be behind by
// what the leader committed since the last reading; the leader's own is behind by nothing but what
// its disk has not synced at the instant of its death.
//
// A reading is a while under way, and the leader of this very process goes on committing. So
//   a record replaces another one only if its (epoch, sequence) is higher, and
//   what a listing did not show is forgotten only if it was learned before that listing began.
//
// What cannot be written (a full disk) is dropped from memory too: the next reading learns it anew.
//
// Lives on one executor, the store's: every method but executor() there, every callback there. What
// the coordination client answers is posted to it from the client's executor, so that readings and
// commits come here in the order of their effects.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "store/blob_store.h"
#include "store/kv_engine.h"
#include "store/records.pb.h"

namespace baton {

using LiveBlobs = std::set<std::pair<BlobKind, std::string>>;

class RecordJournal : public std::enable_shared_from_this<RecordJournal> {
 public:
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;
  using PageCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<KvEntry>>)>;
  // Orders what was learned: a number taken before a listing is below all that is learned later.
  using Mark = uint64_t;

  // The folders whose records are kept, and the name of the member list; below the cluster's node.
  static constexpr const char* kJobs = "jobs/";
  static constexpr const char* kResults = "results/";
  static constexpr const char* kRoster = "roster/";
  static constexpr const char* kMembers = "members";

  RecordJournal(KvEnginePtr engine, ExecutorPtr executor, CoordinationPaths paths);

  const ExecutorPtr& executor() const { return executor_; }

  // Reads what earlier lives have written; before anything else.
  void Load(StatusCallback callback);
  bool loaded() const { return loaded_; }

  // `path` is absolute, `data` what stands there. A path outside the folders is ignored.
  void Learn(const std::string& path, std::string data);
  void Forget(const std::string& path);
  // What a transaction that is known to be committed has done.
  void Apply(const std::vector<CoordinationOp>& ops);
  void NoteEpoch(Epoch epoch);

  Mark last_mark() const { return last_mark_; }
  // The whole of `folder` was listed after `since` was the last mark, and showed `listed` (absolute
  // paths): what is not among them is gone, unless it was learned since.
  void ForgetUnlisted(const std::string& folder, const std::set<std::string>& listed, Mark since);
  // Every folder was listed and read.
  void NoteComplete();

  bool Knows(const std::string& path) const;
  Epoch highest_epoch() const { return Epoch{meta_.highest_epoch()}; }
  const pb::JournalState& state() const { return meta_; }
  size_t size() const { return entries_.size(); }
  LiveBlobs live_blobs() const;

  // A page of the records, as they were on the disk: keys are paths below the cluster's node.
  void ReadPage(const std::string& after, size_t limit, PageCallback callback);

 private:
  struct Entry {
    uint64_t epoch = 0;
    uint64_t sequence = 0;
    std::string blob;        // digest; empty: none
    size_t fingerprint = 0;  // of the bytes: what has not changed is not written again
    Mark learned = 0;
  };

  void LoadPage(const std::string& after, StatusCallback callback);
  void DropOtherTree();
  static Entry Parse(const std::string& key, const std::string& data);
  std::string KeyOf(const std::string& path) const;  // empty: not kept here
  void Write(const std::string& key, std::optional<std::string> value);
  void WriteState();

  const KvEnginePtr engine_;
  const ExecutorPtr executor_;
  const CoordinationPaths paths_;
  bool loaded_ = false;
  std::map<std::string, Entry> entries_;
  pb::JournalState meta_;
  Mark last_mark_ = 0;
};
using RecordJournalPtr = std::shared_ptr<RecordJournal>;

// The column family of the journal.
std::string RecordsFamily();

}  // namespace baton
