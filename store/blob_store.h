// Immutable bytes named by their SHA-256 (docs/protocols.md, 4).
//
// LocalBlobStore (local_blob_store.h) is this replica's disk; ReplicatedBlobStore adds the peers: a
// write is acknowledged when min-copies replicas have synced it, a read falls back to a peer and
// heals the local copy. Every read verifies the digest.
//
// Threading: any thread may call; callbacks may come on any thread: bind them.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rpc/rpc_link.h"
#include "store/request_desk.h"

namespace baton {

enum class BlobKind { kJobGraph, kArchivedExecution };
inline constexpr BlobKind kBlobKinds[] = {BlobKind::kJobGraph, BlobKind::kArchivedExecution};
std::string_view ToString(BlobKind kind);  // the column family
std::vector<std::string> BlobFamilies();   // of the blobs and what is kept beside them
std::optional<BlobKind> ParseBlobKind(std::string_view name);

class BlobStore {
 public:
  using PutCallback = absl::AnyInvocable<void(absl::StatusOr<std::string> digest)>;
  using GetCallback = absl::AnyInvocable<void(absl::StatusOr<std::string> bytes)>;

  virtual ~BlobStore() = default;

  // OK with the digest once it is durable; storing the same bytes again is no error.
  // kUnavailable: "stored on 1 of 2 required replicas (reachable: …)": nobody refers to it.
  virtual void Put(BlobKind kind, std::string bytes, PutCallback callback) = 0;
  // kNotFound: nowhere reachable; kDataLoss: only corrupt copies; kResourceExhausted: the own disk
  // is busy; kUnavailable: a peer that may hold it was busy or did not answer. Only the first two
  // say anything about the blob.
  virtual void Get(BlobKind kind, std::string digest, GetCallback callback) = 0;
};
using BlobStorePtr = std::shared_ptr<BlobStore>;

struct ReplicationOptions {
  size_t min_copies = 2;  // this replica's own included
  Duration push_timeout = std::chrono::seconds(5);
  // How long a write waits for replicas to be linked when too few are: a new leader's links to the
  // others may be a moment younger than its leadership.
  Duration peer_wait = std::chrono::seconds(5);
  Duration pull_timeout = std::chrono::seconds(5);
};

// A Put writes to the local disk and pushes to every peer at once; it is answered as soon as the
// local copy and min-copies in all are synced, or as soon as they can no longer be reached. The
// local copy is required: a leader that cannot write its own disk acknowledges nothing.
//
// `peers` returns the open links to the other replicas, on any thread; the pushes are counted on
// `executor`. Fault point: submission.stored-locally (a job graph's local copy is synced,
// whatever the peers have by then).
using PeerLinks = std::function<std::vector<RpcLinkPtr>()>;
BlobStorePtr NewReplicatedBlobStore(BlobStorePtr local, PeerLinks peers, ExecutorPtr executor,
                                    ReplicationOptions options);

// Answers PutBlob and GetBlob of the other replicas from this one's disk.
void ServeBlobs(RequestDesk& desk, BlobStorePtr local);

}  // namespace baton
