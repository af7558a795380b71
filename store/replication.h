// One write of a blob to this replica's disk and to its peers'.

#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"
#include "store/blob_store.h"

namespace baton {

struct Blob {
  BlobKind kind;
  std::string digest;
  std::string bytes;
};

// One Put under way: counts the copies. Lives on the store's executor; the pushes hold it, also
// beyond the answer. Storm counted local and remote copies in one condition and waited for the
// wrong one: here the local copy is a fact of its own.
//
// Each link is asked once. While the copies that are stored or under way are too few, it looks for
// new links, up to peer_wait.
class Replication : public std::enable_shared_from_this<Replication> {
 public:
  struct Dependencies {
    BlobStorePtr local;
    ExecutorPtr executor;
    ReplicationOptions options;
    PeerLinks peers;
    absl::AnyInvocable<void()> on_settled;  // every copy is stored or failed
  };

  Replication(Dependencies dependencies, std::shared_ptr<const Blob> blob,
              BlobStore::PutCallback callback);

  void Run();

 private:
  enum class Local { kPending, kStored, kFailed };

  void PushToNewLinks();
  void Push(const RpcLinkPtr& link);
  void OnLocal(const absl::Status& status);
  void OnPeer(const std::string& peer, const absl::StatusOr<pb::Envelope>& reply);
  void Settle();
  void WaitForPeers();
  size_t Copies() const { return holders_.size() + (local_ == Local::kStored ? 1 : 0); }
  absl::Status TooFew() const;
  void Answer(absl::StatusOr<std::string> result);

  Dependencies deps_;
  const std::shared_ptr<const Blob> blob_;
  BlobStore::PutCallback callback_;  // null once it is answered
  TimePoint give_up_at_;
  Local local_ = Local::kPending;
  // Weak: a push under way must not keep its own link alive.
  std::set<std::weak_ptr<RpcLink>, std::owner_less<>> asked_;
  std::set<std::string> holders_;  // peers that have synced it
  size_t outstanding_ = 0;         // the local copy and pushes
  bool looking_ = false;           // for peers, by a timer
  std::string last_error_;
};

}  // namespace baton
