// `baton recover-pointers`: rebuilds the tree in ZooKeeper from the replicas' journals when its
// data was lost or set back. Runs on one replica, which asks the others for theirs.
//
// It never works against a leader:
//   it does not begin while there is a `leader` node or a peer that says it leads;
//   it does not begin while `epoch` in the tree is as high as every journal's: nothing was lost;
//   each of its writes is a transaction that holds only as long as `epoch` is as it was found (not
//   there, or at that version). Making or raising `epoch` is the last write, and only then can
//   anybody be elected (election.h: nobody contends below an epoch that was seen). So a recovery
//   that is still under way on another replica, or a late write of this one, fails from that
//   instant on; one that died half way is simply run again.
// The new epoch is above all that a member may have seen: theirs, if each of them was asked; where
// some are left out by the operator, by a wide margin.
//
// Lives on the journal's executor; its calls hold it, it does not hold the client.

#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "rpc/rpc_link.h"
#include "store/blob_store.h"
#include "store/record_journal.h"
#include "store/request_desk.h"

namespace baton {

struct TreeRecoveryReport {
  uint64_t epoch = 0;  // the last one of before, as the tree says now
  size_t jobs = 0;
  size_t results = 0;
  std::vector<std::string> asked;    // replicas whose journals were read
  std::vector<std::string> ignored;  // of these, left behind: only their epoch counts
};
using TreeRecoveryCallback = absl::AnyInvocable<void(absl::StatusOr<TreeRecoveryReport>)>;

struct TreeRecoveryDependencies {
  ExecutorPtr executor;  // the journal's
  std::weak_ptr<CoordinationClient> client;
  CoordinationPaths paths;
  RecordJournalPtr journal;
  PeerLinks peers;
  std::string self;                   // this replica's id
  std::function<Epoch()> epoch_seen;  // by this replica, from whomever
};

// `without`: members that cannot be asked, by the operator's word. kFailedPrecondition: somebody
// leads, nothing is lost, or a member is missing; kUnavailable, kUnknown: run it again.
void RecoverTree(TreeRecoveryDependencies dependencies, std::set<std::string> without,
                 TreeRecoveryCallback callback);

// The other side: answers ReadJournal; asks `leads` and `epoch_seen` on the journal's executor.
void ServeJournal(RequestDesk& desk, RecordJournalPtr journal, std::function<bool()> leads,
                  std::function<Epoch()> epoch_seen);

}  // namespace baton
