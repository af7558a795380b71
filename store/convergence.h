// Brings every live blob to this replica's disk, and keeps it readable there: a standby whose copy
// of a push was lost, a new replica, one with a new disk.
//
// Rounds, on every replica, leading or not: the tree is read into the journal (ReadTree); the live
// blobs that it names and the disk lacks are pulled from the peers; and a few of those that are
// there are read, so that a copy that rots is found and mended while there are others.
//
// It ends: a round pulls what one listing showed, each once, each in bounded time; a blob that came
// is not missing in the next round, and only the collector takes blobs, none that is live. It may
// stop anywhere: the next round starts from what the disk holds. What nobody can give stays
// missing, is counted (baton_store_missing_blobs) and asked for again.
//
// Bounded: a few pulls at once, and no more bytes a second than the limit says.
//
// Lives on one executor, the journal's. Owned by the ReplicaStore; ends with its last reference.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/metrics.h"
#include "ha/coordination_client.h"
#include "store/local_blob_store.h"
#include "store/record_journal.h"
#include "store/tree_reading.h"

namespace baton {

struct ConvergenceOptions {
  Duration interval = std::chrono::seconds(30);           // store.convergence-interval
  uint64_t pulled_bytes_per_second = 64 << 20;            // store.pull-bytes-per-second
  Duration verification_period = std::chrono::hours(24);  // store.verification-period
};

class Convergence : public std::enable_shared_from_this<Convergence> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    std::weak_ptr<CoordinationClient> client;
    CoordinationPaths paths;
    RecordJournalPtr journal;
    LocalBlobStorePtr local;
    BlobStorePtr blobs;  // asks the peers, and heals
    std::shared_ptr<MetricsRegistry> metrics;
    ConvergenceOptions options;
  };

  explicit Convergence(Dependencies dependencies);

  void Start();
  // Something may be missing: the next round comes at once (or right after the one under way).
  void Hurry();

 private:
  using Blobs = std::vector<std::pair<BlobKind, std::string>>;
  enum class RoundEnd {
    kDone,   // nothing is missing; the next one after the interval
    kRetry,  // something failed, or may be missing yet; the next one sooner
  };

  void ArmRound(Duration delay);
  void BeginRound();
  void OnTreeRead(const absl::Status& status);
  void ListLocal();
  void OnListed(const LiveBlobs& held);
  void Pull(Blobs missing);
  void PullOne(BlobKind kind, const std::string& digest, absl::AnyInvocable<void()> done);
  void OnPulled();
  Blobs NextToVerify(const LiveBlobs& live);
  void Verify(Blobs blobs);
  void EndRound(RoundEnd end);

  const Dependencies deps_;
  bool running_ = false;  // a round is under way
  bool hurry_ = false;
  TimerId timer_ = kNoTimer;
  Duration retry_;      // the delay after a round that ends with kRetry; it doubles
  size_t missing_ = 0;  // of this round's listing, and not pulled yet
  size_t pulled_ = 0;   // by this round
  std::pair<BlobKind, std::string> verified_;  // up to here

  Gauge& live_gauge_;
  Gauge& missing_gauge_;
  Gauge& records_gauge_;
  Gauge& complete_gauge_;
  Counter& pulled_counter_;
  Counter& verified_counter_;
};

}  // namespace baton
