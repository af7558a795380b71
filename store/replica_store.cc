#include "store/replica_store.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "store/journaling_fence.h"

namespace baton {

ReplicaStore::ReplicaStore(Dependencies dependencies)
    : replicas_(dependencies.options.replicas),
      executor_(dependencies.executor),
      client_(dependencies.client),
      paths_(dependencies.paths),
      peers_(std::move(dependencies.peers)),
      known_epoch_(std::move(dependencies.known_epoch)),
      leads_(std::move(dependencies.leads)),
      health_(std::make_shared<StoreHealth>(executor_)),
      engine_(NewWatchedKvEngine(std::move(dependencies.engine), health_)),
      local_(NewLocalBlobStore(engine_, executor_)),
      place_(NewLocalPlace(local_, known_epoch_)),
      blobs_(NewReplicatedBlobStore(local_, peers_, executor_, dependencies.options.replication)),
      journal_(std::make_shared<RecordJournal>(engine_, executor_, dependencies.paths)),
      convergence_(std::make_shared<Convergence>(Convergence::Dependencies{
          executor_, dependencies.client, dependencies.paths, journal_, local_, blobs_,
          std::move(dependencies.metrics), dependencies.options.convergence})) {}

void ReplicaStore::Serve(RpcServer& server) {
  RequestDesk desk(server, executor_);
  ServeBlobs(desk, local_);
  ServePlace(desk, place_);
  ServeJournal(desk, journal_, leads_, known_epoch_);
}

BlobPlaces ReplicaStore::places() const {
  return [executor = executor_, peers = peers_, here = place_](auto callback) {
    executor->Post([peers, here, callback = std::move(callback)]() mutable {
      std::vector<BlobPlacePtr> places{here};
      for (const RpcLinkPtr& link : peers()) places.push_back(NewPeerPlace(link));
      callback(std::move(places));
    });
  };
}

void ReplicaStore::Load(absl::AnyInvocable<void(Epoch)> loaded) {
  executor_->Post(
      IfAlive(weak_from_this(), [loaded = std::move(loaded)](ReplicaStore& self) mutable {
        if (self.alone()) return loaded(Epoch{});
        self.journal_->Load(IfAlive(
            self.weak_from_this(),
            [loaded = std::move(loaded)](ReplicaStore& self, const absl::Status& status) mutable {
              self.OnLoaded(status);
              loaded(self.journal_->highest_epoch());
            }));
      }));
}

void ReplicaStore::OnLoaded(const absl::Status& status) const {
  if (status.ok()) {
    log::Info("journal read records={} epoch={}", journal_->size(),
              journal_->highest_epoch().value);
  } else {
    // It is learned again from the tree; meanwhile this replica knows less than it might.
    log::Error("the journal is unreadable error=\"{}\"", Message(status));
  }
}

void ReplicaStore::RecoverTree(const std::string& self, std::set<std::string> without,
                               TreeRecoveryCallback callback) {
  if (alone()) return callback(FailedPrecondition("without ZooKeeper there is no tree to rebuild"));
  executor_->Post([store = shared_from_this(), self, without = std::move(without),
                   callback = std::move(callback)]() mutable {
    if (!store->journal_->loaded()) return callback(Unavailable("the journal is not read yet"));
    baton::RecoverTree({store->executor_, store->client_, store->paths_, store->journal_,
                        store->peers_, self, store->known_epoch_},
                       std::move(without), std::move(callback));
  });
}

void ReplicaStore::OnView(const LeadershipView& view) {
  if (alone()) return;
  executor_->Post([journal = journal_, epoch = Epoch{view.last_winner.epoch()},
                   path = paths_.members(), members = view.members] {
    journal->NoteEpoch(epoch);
    if (members.version() != 0) journal->Learn(path, members.SerializeAsString());
  });
}

void ReplicaStore::Converge() {
  if (!alone()) executor_->Post([convergence = convergence_] { convergence->Start(); });
}

void ReplicaStore::OnPeer() {
  if (!alone()) executor_->Post([convergence = convergence_] { convergence->Hurry(); });
}

LeaderFencePtr ReplicaStore::Journaled(LeaderFencePtr fence) const {
  if (alone()) return fence;
  return NewJournalingFence(std::move(fence), journal_);
}

std::vector<std::string> StoreFamilies() {
  std::vector<std::string> families = BlobFamilies();
  families.push_back(RecordsFamily());
  return families;
}

}  // namespace baton
