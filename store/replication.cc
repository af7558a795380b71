#include "store/replication.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kLookForPeersEvery = std::chrono::milliseconds(50);

}  // namespace

Replication::Replication(Dependencies dependencies, std::shared_ptr<const Blob> blob,
                         BlobStore::PutCallback callback)
    : deps_(std::move(dependencies)), blob_(std::move(blob)), callback_(std::move(callback)) {}

void Replication::Run() {
  give_up_at_ = deps_.executor->Now() + deps_.options.peer_wait;
  ++outstanding_;
  deps_.local->Put(
      blob_->kind, blob_->bytes,
      BindTo(deps_.executor, [self = shared_from_this()](absl::StatusOr<std::string> stored) {
        self->OnLocal(stored.status());
      }));
  PushToNewLinks();
}

void Replication::PushToNewLinks() {
  for (const RpcLinkPtr& link : deps_.peers()) {
    if (link->closed() || holders_.contains(link->peer().id())) continue;
    if (asked_.insert(link).second) Push(link);
  }
}

void Replication::Push(const RpcLinkPtr& link) {
  ++outstanding_;
  pb::Envelope request;
  pb::PutBlob& put = *request.mutable_put_blob();
  put.set_kind(std::string(ToString(blob_->kind)));
  put.set_digest(blob_->digest);
  put.set_content(blob_->bytes);
  link->Call(std::move(request), deps_.options.push_timeout,
             BindTo(deps_.executor,
                    [self = shared_from_this(), peer = link->peer().id()](
                        absl::StatusOr<pb::Envelope> reply) { self->OnPeer(peer, reply); }));
}

void Replication::OnLocal(const absl::Status& status) {
  local_ = status.ok() ? Local::kStored : Local::kFailed;
  if (status.ok() && blob_->kind == BlobKind::kJobGraph) {
    FaultPoint("submission.stored-locally");
  }
  // Full, busy or broken: nothing was accepted, and it may be otherwise soon, here or elsewhere.
  if (!status.ok()) Answer(Unavailable("the local copy: {}", Message(status)));
  --outstanding_;
  Settle();
}

void Replication::OnPeer(const std::string& peer, const absl::StatusOr<pb::Envelope>& reply) {
  if (reply.ok() && reply->has_put_blob_reply()) {
    holders_.insert(peer);
  } else {
    last_error_ = peer + ": " + (reply.ok() ? "no answer to a push" : Message(reply.status()));
    log::Warning("push failed digest={} error=\"{}\"", blob_->digest, last_error_);
  }
  --outstanding_;
  Settle();
}

void Replication::Settle() {
  const size_t enough = Broken(Break::kOneCopySuffices) ? 1 : deps_.options.min_copies;
  if (local_ == Local::kStored && Copies() >= enough) {
    Answer(blob_->digest);
  } else if (callback_ && Copies() + outstanding_ < deps_.options.min_copies) {
    WaitForPeers();
  }
  if (outstanding_ == 0 && !looking_) deps_.on_settled();
}

void Replication::WaitForPeers() {
  if (looking_) return;
  if (deps_.executor->Now() >= give_up_at_) return Answer(TooFew());
  looking_ = true;
  deps_.executor->PostAfter(kLookForPeersEvery, [self = shared_from_this()] {
    self->looking_ = false;
    if (self->callback_) self->PushToNewLinks();
    self->Settle();
  });
}

absl::Status Replication::TooFew() const {
  const auto links = deps_.peers();
  const auto open = std::count_if(links.begin(), links.end(),
                                  [](const RpcLinkPtr& link) { return !link->closed(); });
  return Unavailable("stored on {} of {} required replicas (reachable peers: {}){}{}", Copies(),
                     deps_.options.min_copies, open, last_error_.empty() ? "" : "; ", last_error_);
}

void Replication::Answer(absl::StatusOr<std::string> result) {
  if (callback_) std::exchange(callback_, nullptr)(std::move(result));
}

}  // namespace baton
