// One replica's disk, as the collector sees it: this replica's, or a peer's over its link.
//
// Threading: any thread may call; callbacks come on any thread: bind them.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rpc/rpc_link.h"
#include "store/local_blob_store.h"
#include "store/request_desk.h"

namespace baton {

class BlobPlace {
 public:
  using PageCallback = LocalBlobStore::PageCallback;
  using CountCallback = absl::AnyInvocable<void(absl::StatusOr<size_t> collected)>;

  virtual ~BlobPlace() = default;

  virtual std::string name() const = 0;
  virtual void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) = 0;
  // Those of `blobs` that were not stored since their stamp. kFailedPrecondition: the place knows a
  // newer epoch.
  virtual void Collect(Epoch epoch, BlobKind kind, std::vector<StoredBlob> blobs,
                       CountCallback callback) = 0;
};
using BlobPlacePtr = std::shared_ptr<BlobPlace>;

// Every disk that can be reached now; any thread may ask.
using BlobPlaces = std::function<void(absl::AnyInvocable<void(std::vector<BlobPlacePtr>)>)>;

// The highest epoch that this replica has heard of; any thread.
using KnownEpoch = std::function<Epoch()>;

BlobPlacePtr NewLocalPlace(LocalBlobStorePtr local, KnownEpoch known_epoch);
BlobPlacePtr NewPeerPlace(RpcLinkPtr link);

// The other side: answers ListBlobs and CollectBlobs.
void ServePlace(RequestDesk& desk, BlobPlacePtr local);

}  // namespace baton
