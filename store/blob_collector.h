// Deletes the blobs that nothing refers to any more: graphs of jobs that ended, archives of results
// that were evicted, what failed submissions left. Ordered by the leader, on every replica's disk.
//
// One round, every step after the one before it:
//   1  from now on note every blob that is pinned (BlobPins);
//   2  list every replica's disk: digest, stamp, how long untouched; candidates are those untouched
//      for the grace period;
//   3  Sync, and read all of jobs/ and results/; what they refer to is no candidate;
//   4  Confirm the leadership;
//   5  what was noted since 1 is no candidate; order each replica to delete the rest, each blob by
//      the stamp that was seen in 2, and in the name of this epoch.
//
// Why no blob is taken that somebody refers to, or will without storing it again. Whoever comes to
// refer to D stored it first, in some epoch, pinned:
//   The commit's outcome was known before 1: the pointer is seen in 3, or was removed since.
//   It was not yet known at 1, or D was stored later: D is noted, and spared in 5. An unknown
//     outcome keeps its pin for ever, which is: for this epoch.
//   D was pinned after 5: it is stored after that. At each replica the deletion comes before that
//     Put (then D is there afterwards) or after it (then the stamp differs, and nothing is
//     deleted): LocalBlobStore says why there is no third. That the Put is acknowledged by
//     min-copies means that so many have stored it *since* (the touch needs them too, it is no mere
//     mention).
//   An older leader stored it: what it committed before this epoch began is seen in 3, which begins
//     after this epoch did; what it did not, the fence refuses for ever.
//   A newer leader stored it while this one, deposed in the middle, sends its orders: the stamp
//     differs where the newer one stored it, and whoever knows of the newer epoch refuses the order
//     as a whole. A deposed leader that is slow finds out in 4 most of the time; nothing rests on
//     it.
//   A recovery of the tree brings pointers back without storing blobs: no leader lives then, and
//     what it ordered before is done when its links are gone and each store has gone through what
//     came over them.
// The grace period is not needed for any of this. It spares those who repeat a refused submission,
// and is the margin for what this list may have missed.
//
// What the tree does not show is not taken for garbage: a missing folder or an unreadable record
// ends the round, and what this leader's own jobs refer to is never a candidate (F16).
//
// Lives on the executor of the leader process, owned by it; ends with the epoch.

#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "ha/leader_fence.h"
#include "store/blob_pins.h"
#include "store/blob_place.h"
#include "store/record_folder.h"

namespace baton {

struct CollectionOptions {
  Duration interval = std::chrono::minutes(10);  // store.collection-interval
  Duration grace = std::chrono::hours(1);        // store.collection-grace
};

class BlobCollector : public std::enable_shared_from_this<BlobCollector> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    LeaderFencePtr fence;
    BlobPinsPtr pins;
    BlobPlaces places;
    std::function<std::set<std::string>()> graphs_of_own_jobs;  // digests; on `executor`
    CollectionOptions options;
  };

  explicit BlobCollector(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  void Start() { ArmRound(); }

 private:
  // What one place may be told to delete.
  struct Listing {
    BlobPlacePtr place;
    BlobKind kind = BlobKind::kJobGraph;
    std::vector<StoredBlob> candidates;
  };
  struct Round {
    std::vector<Listing> listings;
    std::set<BlobPins::Blob> referenced;
  };
  using RoundPtr = std::shared_ptr<Round>;
  using Step = absl::AnyInvocable<void(absl::Status)>;

  void ArmRound();
  void BeginRound();
  void ListPlaces(std::vector<BlobPlacePtr> places);
  void ListPage(RoundPtr round, size_t index, std::string after, Step done);
  void OnPage(RoundPtr round, size_t index, absl::StatusOr<std::vector<StoredBlob>> page,
              Step done);
  void ReadReferences(RoundPtr round);
  void ReadFolder(RoundPtr round, std::string folder, Step done);
  absl::Status NoteReferences(Round& round, const std::string& folder,
                              const std::vector<StoredRecord>& records) const;
  void ConfirmAndOrder(RoundPtr round);
  void Order(RoundPtr round);
  void EndRound(const absl::Status& status);

  // A callback on deps_.executor that is dropped with the collector.
  template <class F>
  auto OnExecutor(F f) {
    return BindTo(deps_.executor, IfAlive(weak_from_this(), std::move(f)));
  }

  const Dependencies deps_;
};

}  // namespace baton
