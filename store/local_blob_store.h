// The blobs on this replica's own disk, each with a stamp that says when it was last stored.
//
// Storing a blob and touching it are one synced write: whoever stores bytes that are there already
// renews the stamp (and mends a damaged copy). A collector names the stamp that it saw; Collect
// takes the blob only if nobody has stored it since. What could be stored in between is excluded
// here, by the order of the writes:
//   a Put that began before Collect and is not yet synced: Collect finds it under way and refuses;
//   a Put that begins while Collect reads the stamp: it is noted, and Collect refuses;
//   a Put that begins after the deletion was queued: the engine writes in order, so it comes last.
//
// Threading: any thread may call; callbacks come on any thread: bind them.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "store/blob_store.h"
#include "store/kv_engine.h"

namespace baton {

struct StoredBlob {
  std::string digest;
  std::string stamp;
  Duration untouched{};  // since it was last stored, by this machine's clock
};

class LocalBlobStore : public BlobStore {
 public:
  using DigestsCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)>;
  using PageCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredBlob>>)>;
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  // Every digest that is here, readable or not.
  virtual void Digests(BlobKind kind, DigestsCallback callback) = 0;

  // The first `limit` blobs whose digest is greater than `after`. One without a stamp (of an
  // earlier version) gets one now.
  virtual void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) = 0;

  // Deletes it. kFailedPrecondition: it was stored again since that stamp was read.
  virtual void Collect(BlobKind kind, std::string digest, std::string stamp,
                       StatusCallback callback) = 0;
};
using LocalBlobStorePtr = std::shared_ptr<LocalBlobStore>;

// `executor` gives it time, and its own steps a thread.
LocalBlobStorePtr NewLocalBlobStore(KvEnginePtr engine, ExecutorPtr executor);

}  // namespace baton
