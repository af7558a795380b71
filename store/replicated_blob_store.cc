#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "store/blob_store.h"

namespace baton {
namespace {

// What a frame holds beside the content: names, tags, lengths.
constexpr size_t kMaxBlobBytes = kMaxFrameBytes - (4 << 10);
// More at once would fill the send queue of a link, and a full queue costs the link.
constexpr size_t kMaxPushedBytes = 24 << 20;
constexpr size_t kMaxWaitingBytes = 256 << 20;
// A peer that does not answer at once must not be waited for alone.
constexpr Duration kAskAnotherAfter = std::chrono::milliseconds(500);
constexpr Duration kLookForPeersEvery = std::chrono::milliseconds(50);

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
              BlobStore::PutCallback callback)
      : its_(std::move(dependencies)), blob_(std::move(blob)), callback_(std::move(callback)) {}

  void Run() {
    give_up_at_ = its_.executor->Now() + its_.options.peer_wait;
    ++outstanding_;
    its_.local->Put(
        blob_->kind, blob_->bytes,
        BindTo(its_.executor, [self = shared_from_this()](absl::StatusOr<std::string> stored) {
          self->OnLocal(stored.status());
        }));
    PushToNewLinks();
  }

 private:
  enum class Local { kPending, kStored, kFailed };

  void PushToNewLinks() {
    for (const RpcLinkPtr& link : its_.peers()) {
      if (link->closed() || holders_.contains(link->peer().id())) continue;
      if (asked_.insert(link).second) Push(link);
    }
  }

  void Push(const RpcLinkPtr& link) {
    ++outstanding_;
    pb::Envelope request;
    pb::PutBlob& put = *request.mutable_put_blob();
    put.set_kind(std::string(ToString(blob_->kind)));
    put.set_digest(blob_->digest);
    put.set_content(blob_->bytes);
    link->Call(std::move(request), its_.options.push_timeout,
               BindTo(its_.executor,
                      [self = shared_from_this(), peer = link->peer().id()](
                          absl::StatusOr<pb::Envelope> reply) { self->OnPeer(peer, reply); }));
  }

  void OnLocal(const absl::Status& status) {
    local_ = status.ok() ? Local::kStored : Local::kFailed;
    if (status.ok() && blob_->kind == BlobKind::kJobGraph) {
      FaultPoint("submission.stored-locally");
    }
    if (!status.ok()) Answer(At("the local copy", status));
    --outstanding_;
    Settle();
  }

  void OnPeer(const std::string& peer, const absl::StatusOr<pb::Envelope>& reply) {
    if (reply.ok() && reply->has_put_blob_reply()) {
      holders_.insert(peer);
    } else {
      last_error_ = peer + ": " + (reply.ok() ? "no answer to a push" : Message(reply.status()));
      log::Warning("push failed digest={} error=\"{}\"", blob_->digest, last_error_);
    }
    --outstanding_;
    Settle();
  }

  void Settle() {
    if (local_ == Local::kStored && Copies() >= its_.options.min_copies) {
      Answer(blob_->digest);
    } else if (callback_ && Copies() + outstanding_ < its_.options.min_copies) {
      WaitForPeers();
    }
    if (outstanding_ == 0 && !looking_) its_.on_settled();
  }

  void WaitForPeers() {
    if (looking_) return;
    if (its_.executor->Now() >= give_up_at_) return Answer(TooFew());
    looking_ = true;
    its_.executor->PostAfter(kLookForPeersEvery, [self = shared_from_this()] {
      self->looking_ = false;
      if (self->callback_) self->PushToNewLinks();
      self->Settle();
    });
  }

  size_t Copies() const { return holders_.size() + (local_ == Local::kStored ? 1 : 0); }

  absl::Status TooFew() const {
    const auto links = its_.peers();
    const auto open = std::count_if(links.begin(), links.end(),
                                    [](const RpcLinkPtr& link) { return !link->closed(); });
    return Unavailable("stored on {} of {} required replicas (reachable peers: {}){}{}", Copies(),
                       its_.options.min_copies, open, last_error_.empty() ? "" : "; ", last_error_);
  }

  void Answer(absl::StatusOr<std::string> result) {
    if (callback_) std::exchange(callback_, nullptr)(std::move(result));
  }

  Dependencies its_;
  const std::shared_ptr<const Blob> blob_;
  BlobStore::PutCallback callback_;  // null once it is answered
  TimePoint give_up_at_;
  Local local_ = Local::kPending;
  std::set<RpcLinkPtr> asked_;
  std::set<std::string> holders_;  // peers that have synced it
  size_t outstanding_ = 0;         // the local copy and pushes
  bool looking_ = false;           // for peers, by a timer
  std::string last_error_;
};

// One Get that the local disk could not answer: asks the peers, one after the other, the next one
// early if the last is slow. Lives on the store's executor; its calls hold it.
class Pull : public std::enable_shared_from_this<Pull> {
 public:
  struct Dependencies {
    BlobStorePtr local;
    ExecutorPtr executor;
    ReplicationOptions options;
    std::vector<RpcLinkPtr> peers;
  };

  Pull(Dependencies dependencies, Blob blob, absl::Status local_status,
       BlobStore::GetCallback callback)
      : its_(std::move(dependencies)),
        blob_(std::move(blob)),
        local_status_(std::move(local_status)),
        corrupt_(local_status_.code() == absl::StatusCode::kDataLoss),
        callback_(std::move(callback)) {}

  void AskNext() {
    if (!callback_) return;
    if (asked_ == its_.peers.size()) {
      if (outstanding_ == 0) Answer(Failure());
      return;
    }
    const RpcLinkPtr link = its_.peers[asked_++];
    ++outstanding_;
    pb::Envelope request;
    request.mutable_get_blob()->set_kind(std::string(ToString(blob_.kind)));
    request.mutable_get_blob()->set_digest(blob_.digest);
    link->Call(std::move(request), its_.options.pull_timeout,
               BindTo(its_.executor, [self = shared_from_this(), peer = link->peer().id()](
                                         absl::StatusOr<pb::Envelope> reply) {
                 self->OnReply(peer, std::move(reply));
               }));
    its_.executor->PostAfter(kAskAnotherAfter, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->AskNext();
    });
  }

 private:
  void OnReply(const std::string& peer, absl::StatusOr<pb::Envelope> reply) {
    --outstanding_;
    if (!callback_) return;
    if (reply.ok() && reply->has_get_blob_reply() && reply->get_blob_reply().found()) {
      std::string content = std::move(*reply->mutable_get_blob_reply()->mutable_content());
      if (Sha256Hex(content) == blob_.digest) return OnFound(peer, std::move(content));
      corrupt_ = true;
      log::Warning("a peer's copy is corrupt digest={} peer={}", blob_.digest, peer);
    } else if (reply.status().code() == absl::StatusCode::kDataLoss) {
      corrupt_ = true;
    }
    AskNext();
  }

  void OnFound(const std::string& peer, std::string content) {
    log::Info("blob pulled digest={} peer={}", blob_.digest, peer);
    its_.local->Put(blob_.kind, content, [digest = blob_.digest](auto healed) {
      if (healed.ok()) return;
      log::Warning("local copy not healed digest={} error=\"{}\"", digest,
                   Message(healed.status()));
    });
    Answer(std::move(content));
  }

  absl::Status Failure() const {
    const auto what = fmt::format("{} {}", ToString(blob_.kind), blob_.digest);
    if (corrupt_) {
      return DataLoss("only corrupt copies of {} (reachable peers: {})", what, its_.peers.size());
    }
    if (local_status_.code() != absl::StatusCode::kNotFound) return local_status_;
    return NotFound("no copy of {} (reachable peers: {})", what, its_.peers.size());
  }

  void Answer(absl::StatusOr<std::string> result) {
    if (callback_) std::exchange(callback_, nullptr)(std::move(result));
  }

  const Dependencies its_;
  const Blob blob_;  // without bytes
  const absl::Status local_status_;
  bool corrupt_;                     // a copy was, somewhere
  BlobStore::GetCallback callback_;  // null once it is answered
  size_t asked_ = 0;
  size_t outstanding_ = 0;
};

// Lives on `executor`; the Puts and Gets under way go on without it.
class ReplicatedBlobStore final : public BlobStore,
                                  public std::enable_shared_from_this<ReplicatedBlobStore> {
 public:
  ReplicatedBlobStore(BlobStorePtr local, PeerLinks peers, ExecutorPtr executor,
                      ReplicationOptions options)
      : local_(std::move(local)),
        peers_(std::move(peers)),
        executor_(std::move(executor)),
        options_(options) {}

  void Put(BlobKind kind, std::string bytes, PutCallback callback) override {
    if (bytes.size() > kMaxBlobBytes) {
      auto status = InvalidArgument("a blob of {} bytes is over the limit of {}", bytes.size(),
                                    kMaxBlobBytes);
      return executor_->Post(
          [callback = std::move(callback), status]() mutable { callback(status); });
    }
    std::string digest = Sha256Hex(bytes);
    auto blob = std::make_shared<const Blob>(Blob{kind, std::move(digest), std::move(bytes)});
    executor_->Post([self = shared_from_this(), blob = std::move(blob),
                     callback = std::move(callback)]() mutable {
      self->Enqueue(std::move(blob), std::move(callback));
    });
  }

  void Get(BlobKind kind, std::string digest, GetCallback callback) override {
    local_->Get(
        kind, digest,
        BindTo(executor_, [self = shared_from_this(), kind, digest, callback = std::move(callback)](
                              absl::StatusOr<std::string> found) mutable {
          if (found.ok()) return callback(std::move(found));
          log::Warning("blob is not readable here error=\"{}\"", Message(found.status()));
          std::make_shared<Pull>(
              Pull::Dependencies{self->local_, self->executor_, self->options_, self->peers_()},
              Blob{kind, digest, ""}, found.status(), std::move(callback))
              ->AskNext();
        }));
  }

 private:
  struct WaitingPut {
    std::shared_ptr<const Blob> blob;
    PutCallback callback;
  };

  void Enqueue(std::shared_ptr<const Blob> blob, PutCallback callback) {
    if (waiting_bytes_ + blob->bytes.size() > kMaxWaitingBytes) {
      return callback(ResourceExhausted("{} bytes wait to be replicated", waiting_bytes_));
    }
    waiting_bytes_ += blob->bytes.size();
    waiting_.push_back({std::move(blob), std::move(callback)});
    StartWaiting();
  }

  void StartWaiting() {
    while (!waiting_.empty()) {
      const size_t bytes = waiting_.front().blob->bytes.size();
      if (pushed_bytes_ != 0 && pushed_bytes_ + bytes > kMaxPushedBytes) return;
      WaitingPut next = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_bytes_ -= bytes;
      pushed_bytes_ += bytes;
      std::make_shared<Replication>(
          Replication::Dependencies{local_, executor_, options_, peers_,
                                    IfAlive(weak_from_this(),
                                            [bytes](ReplicatedBlobStore& self) {
                                              self.pushed_bytes_ -= bytes;
                                              self.StartWaiting();
                                            })},
          std::move(next.blob), std::move(next.callback))
          ->Run();
    }
  }

  const BlobStorePtr local_;
  const PeerLinks peers_;
  const ExecutorPtr executor_;
  const ReplicationOptions options_;

  // On executor_:
  std::deque<WaitingPut> waiting_;
  size_t waiting_bytes_ = 0;
  size_t pushed_bytes_ = 0;  // of the Puts under way
};

}  // namespace

BlobStorePtr NewReplicatedBlobStore(BlobStorePtr local, PeerLinks peers, ExecutorPtr executor,
                                    ReplicationOptions options) {
  return std::make_shared<ReplicatedBlobStore>(std::move(local), std::move(peers),
                                               std::move(executor), options);
}

}  // namespace baton
