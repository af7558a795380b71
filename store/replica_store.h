// What one replica keeps, wired together: the blobs on its disk and their replication, the journal
// of the records in ZooKeeper, and the convergence that fills both.
//
// Lives on an executor of its own: here every blob is hashed, copied and parsed, and nothing that
// is to be punctual (pings, confirmations, lease queries) may wait behind that. Its methods may be
// called from any thread, and post; what the callers pass in is called there. Owned by the Replica;
// ends with it.

#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "ha/coordination_client.h"
#include "ha/leader_election.h"
#include "ha/paths.h"
#include "rpc/rpc_server.h"
#include "store/blob_place.h"
#include "store/blob_store.h"
#include "store/convergence.h"
#include "store/local_blob_store.h"
#include "store/record_journal.h"
#include "store/store_health.h"
#include "store/tree_recovery.h"

namespace baton {

// kAlone: there never is another replica, and the tree stands on this very disk. Then there is
// nothing to pull and nothing to recover from, so nothing is journaled twice.
enum class ReplicaSet { kSeveral, kAlone };

struct StoreOptions {
  ReplicaSet replicas = ReplicaSet::kSeveral;
  ReplicationOptions replication;
  ConvergenceOptions convergence;
};

class ReplicaStore : public std::enable_shared_from_this<ReplicaStore> {
 public:
  struct Dependencies {
    KvEnginePtr engine;
    ExecutorPtr executor;
    std::weak_ptr<CoordinationClient> client;
    CoordinationPaths paths;
    PeerLinks peers;              // any thread
    KnownEpoch known_epoch;       // any thread
    std::function<bool()> leads;  // this replica, now; any thread
    std::shared_ptr<MetricsRegistry> metrics;
    StoreOptions options;
  };

  explicit ReplicaStore(Dependencies dependencies);

  // Answers the other replicas. Before server.Start.
  void Serve(RpcServer& server);

  // Reads the journal; `loaded` hears the highest epoch in it.
  void Load(absl::AnyInvocable<void(Epoch)> loaded);
  // Begins to fill itself; after the coordination client has started.
  void Converge();

  // Rebuilds the tree in the coordination service from the journals (tree_recovery.h).
  void RecoverTree(const std::string& self, std::set<std::string> without,
                   TreeRecoveryCallback callback);

  void OnView(const LeadershipView& view);
  // A peer is linked: what was missing may be had now.
  void OnPeer();

  // Its disk returns errors.
  bool fails() const { return health_->fails(); }

  const BlobStorePtr& blobs() const { return blobs_; }
  // This replica's disk and its peers'; any thread.
  BlobPlaces places() const;
  const LocalBlobStorePtr& local() const { return local_; }
  // The leader's, with its commits written to the journal.
  LeaderFencePtr Journaled(LeaderFencePtr fence) const;

 private:
  void OnLoaded(const absl::Status& status) const;
  bool alone() const { return replicas_ == ReplicaSet::kAlone; }

  const ReplicaSet replicas_;
  const ExecutorPtr executor_;
  const std::weak_ptr<CoordinationClient> client_;
  const CoordinationPaths paths_;
  const PeerLinks peers_;
  const KnownEpoch known_epoch_;
  const std::function<bool()> leads_;
  const StoreHealthPtr health_;
  const KvEnginePtr engine_;
  const LocalBlobStorePtr local_;
  const BlobPlacePtr place_;
  const BlobStorePtr blobs_;
  const RecordJournalPtr journal_;
  const std::shared_ptr<Convergence> convergence_;
};

// Every column family of a replica's store.
std::vector<std::string> StoreFamilies();

}  // namespace baton
