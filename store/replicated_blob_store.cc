#include <deque>
#include <map>
#include <utility>

#include "base/digest.h"
#include "base/log.h"
#include "base/status.h"
#include "store/blob_store.h"
#include "store/replication.h"

namespace baton {
namespace {

// What a frame holds beside the content: names, tags, lengths.
constexpr size_t kMaxBlobBytes = kMaxFrameBytes - (4 << 10);
// More at once would fill the send queue of a link, and a full queue costs the link.
constexpr size_t kMaxPushedBytes = 24 << 20;
constexpr size_t kMaxWaitingBytes = 256 << 20;
// A peer that does not answer at once must not be waited for alone.
constexpr Duration kAskAnotherAfter = std::chrono::milliseconds(500);

// A peer that is too busy to look is asked again: that says nothing about the blob.
constexpr Duration kAskBusyOnesAfter = std::chrono::milliseconds(250);

// One Get that the local disk could not answer: asks the peers, one after the other, the next one
// early if the last is slow, and those that were busy again and again, up to pull_timeout. Lives on
// the store's executor; its calls hold it.
//
// "Nowhere" (kNotFound) and "only corrupt copies" (kDataLoss) are said only when every peer that is
// linked has said so of its own disk. One that was busy, silent or failing may hold the last copy.
class Pull : public std::enable_shared_from_this<Pull> {
 public:
  using Peer = std::weak_ptr<RpcLink>;

  struct Dependencies {
    BlobStorePtr local;
    ExecutorPtr executor;
    ReplicationOptions options;
    // Weak: a call under way, which holds this, must not keep its own link alive.
    std::vector<Peer> peers;
  };

  Pull(Dependencies dependencies, Blob blob, absl::Status local_status,
       BlobStore::GetCallback callback)
      : deps_(std::move(dependencies)),
        blob_(std::move(blob)),
        local_status_(std::move(local_status)),
        give_up_at_(deps_.executor->Now() + deps_.options.pull_timeout),
        corrupt_(local_status_.code() == absl::StatusCode::kDataLoss),
        callback_(std::move(callback)),
        to_ask_(deps_.peers.begin(), deps_.peers.end()) {}

  void AskNext() {
    if (!callback_) return;
    if (to_ask_.empty()) {
      if (outstanding_ == 0 && to_be_asked_again_ == 0) Answer(Failure());
      return;
    }
    const Peer peer = to_ask_.front();
    to_ask_.pop_front();
    const RpcLinkPtr link = peer.lock();
    if (!link) return AskNext();
    ++outstanding_;
    pb::Envelope request;
    request.mutable_get_blob()->set_kind(std::string(ToString(blob_.kind)));
    request.mutable_get_blob()->set_digest(blob_.digest);
    const Duration left = give_up_at_ - deps_.executor->Now();
    link->Call(std::move(request), std::max(left, kAskAnotherAfter),
               BindTo(deps_.executor, [self = shared_from_this(), peer,
                                       id = link->peer().id()](absl::StatusOr<pb::Envelope> reply) {
                 self->OnReply(peer, id, std::move(reply));
               }));
    deps_.executor->PostAfter(kAskAnotherAfter, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->AskNext();
    });
  }

 private:
  void OnReply(const Peer& peer, const std::string& id, absl::StatusOr<pb::Envelope> reply) {
    --outstanding_;
    if (!callback_) return;
    unsure_.erase(id);
    if (reply.ok() && reply->has_get_blob_reply() && reply->get_blob_reply().found()) {
      std::string content = std::move(*reply->mutable_get_blob_reply()->mutable_content());
      if (Sha256Hex(content) == blob_.digest) return OnFound(id, std::move(content));
      corrupt_ = true;
      log::Warning("a peer's copy is corrupt digest={} peer={}", blob_.digest, id);
    } else if (absl::IsDataLoss(reply.status())) {
      corrupt_ = true;
    } else if (!reply.ok()) {
      unsure_[id] = Message(reply.status());
      if (absl::IsResourceExhausted(reply.status())) AskAgainLater(peer);
    }
    AskNext();
  }

  // Whatever the others do: it may be that one of them never answers.
  void AskAgainLater(const Peer& peer) {
    if (deps_.executor->Now() + kAskBusyOnesAfter >= give_up_at_) return;
    ++to_be_asked_again_;
    deps_.executor->PostAfter(kAskBusyOnesAfter, [self = shared_from_this(), peer] {
      --self->to_be_asked_again_;
      self->to_ask_.push_back(peer);
      self->AskNext();
    });
  }

  void OnFound(const std::string& peer, std::string content) {
    log::Info("blob pulled digest={} peer={}", blob_.digest, peer);
    deps_.local->Put(blob_.kind, content, [digest = blob_.digest](auto healed) {
      if (healed.ok()) return;
      log::Warning("local copy not healed digest={} error=\"{}\"", digest,
                   Message(healed.status()));
    });
    Answer(std::move(content));
  }

  absl::Status Failure() const {
    const auto what = fmt::format("{} {}", ToString(blob_.kind), blob_.digest);
    if (!unsure_.empty()) {
      const auto& [peer, why] = *unsure_.begin();
      return Unavailable("{} of {} reachable peers may hold {} and did not say ({}: {})",
                         unsure_.size(), deps_.peers.size(), what, peer, why);
    }
    if (corrupt_) {
      return DataLoss("only corrupt copies of {} (reachable peers: {})", what, deps_.peers.size());
    }
    if (local_status_.code() != absl::StatusCode::kNotFound) return local_status_;
    return NotFound("no copy of {} (reachable peers: {})", what, deps_.peers.size());
  }

  void Answer(absl::StatusOr<std::string> result) {
    if (callback_) std::exchange(callback_, nullptr)(std::move(result));
  }

  const Dependencies deps_;
  const Blob blob_;  // without bytes
  const absl::Status local_status_;
  const TimePoint give_up_at_;       // busy ones are not asked again after it
  bool corrupt_;                     // a copy was, somewhere
  BlobStore::GetCallback callback_;  // null once it is answered
  std::deque<Peer> to_ask_;          // next
  size_t to_be_asked_again_ = 0;     // busy ones, whose timers run
  size_t outstanding_ = 0;
  std::map<std::string, std::string> unsure_;  // peers that have not told what they hold, and why
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
    executor_->Post([self = shared_from_this(), kind, bytes = std::move(bytes),
                     callback = std::move(callback)]() mutable {
      std::string digest = Sha256Hex(bytes);
      self->Enqueue(std::make_shared<const Blob>(Blob{kind, std::move(digest), std::move(bytes)}),
                    std::move(callback));
    });
  }

  void Get(BlobKind kind, std::string digest, GetCallback callback) override {
    local_->Get(
        kind, digest,
        BindTo(executor_, [self = shared_from_this(), kind, digest, callback = std::move(callback)](
                              absl::StatusOr<std::string> found) mutable {
          if (found.ok()) return callback(std::move(found));
          // The own disk is busy: that says nothing about the blob, and the peers are no busier.
          if (absl::IsResourceExhausted(found.status())) return callback(std::move(found));
          if (found.status().code() != absl::StatusCode::kNotFound) {
            log::Warning("blob is not readable here error=\"{}\"", Message(found.status()));
          }
          std::make_shared<Pull>(
              Pull::Dependencies{self->local_, self->executor_, self->options_, self->Links()},
              Blob{kind, digest, ""}, found.status(), std::move(callback))
              ->AskNext();
        }));
  }

 private:
  struct WaitingPut {
    std::shared_ptr<const Blob> blob;
    PutCallback callback;
  };

  std::vector<std::weak_ptr<RpcLink>> Links() const {
    const auto links = peers_();
    return {links.begin(), links.end()};
  }

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
