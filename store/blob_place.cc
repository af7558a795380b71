#include "store/blob_place.h"

#include <atomic>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(30);
constexpr size_t kCollectedAtOnce = 100;
constexpr uint32_t kMaxPage = 5'000;

class LocalPlace final : public BlobPlace {
 public:
  LocalPlace(LocalBlobStorePtr local, KnownEpoch known_epoch)
      : local_(std::move(local)), known_epoch_(std::move(known_epoch)) {}

  std::string name() const override { return "here"; }

  void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) override {
    local_->List(kind, std::move(after), limit, std::move(callback));
  }

  void Collect(Epoch epoch, BlobKind kind, std::vector<StoredBlob> blobs,
               CountCallback callback) override {
    if (const Epoch known = known_epoch_(); epoch < known) {
      return callback(
          FailedPrecondition("epoch {} is over, {} is known here", epoch.value, known.value));
    }
    auto collected = std::make_shared<std::atomic<size_t>>(0);
    const size_t count = blobs.size();
    RunBounded(
        count, kCollectedAtOnce,
        [local = local_, kind, collected, blobs = std::move(blobs)](size_t i, StepDone done) {
          local->Collect(kind, blobs[i].digest, blobs[i].stamp,
                         [collected, done = std::move(done)](absl::Status status) mutable {
                           if (status.ok()) ++*collected;
                           // Stored again: not an error, the order was conditional.
                           if (absl::IsFailedPrecondition(status)) status = absl::OkStatus();
                           done(std::move(status));
                         });
        },
        [collected, callback = std::move(callback)](const absl::Status& status) mutable {
          if (!status.ok()) return callback(status);
          callback(collected->load());
        });
  }

 private:
  const LocalBlobStorePtr local_;
  const KnownEpoch known_epoch_;
};

class PeerPlace final : public BlobPlace {
 public:
  explicit PeerPlace(const RpcLinkPtr& link) : name_(link->peer().id()), link_(link) {}

  std::string name() const override { return name_; }

  void List(BlobKind kind, std::string after, size_t limit, PageCallback callback) override {
    const RpcLinkPtr link = link_.lock();
    if (!link) return callback(LinkIsGone());
    pb::Envelope request;
    pb::ListBlobs& list = *request.mutable_list_blobs();
    list.set_kind(std::string(ToString(kind)));
    list.set_after(std::move(after));
    list.set_limit(static_cast<uint32_t>(limit));
    link->Call(std::move(request), kAnswerWithin,
               [callback = std::move(callback)](absl::StatusOr<pb::Envelope> reply) mutable {
                 if (!reply.ok()) return callback(reply.status());
                 std::vector<StoredBlob> page;
                 for (const auto& entry : reply->list_blobs_reply().blobs()) {
                   page.push_back({entry.digest(), entry.stamp(),
                                   std::chrono::milliseconds(entry.untouched_ms())});
                 }
                 callback(std::move(page));
               });
  }

  void Collect(Epoch epoch, BlobKind kind, std::vector<StoredBlob> blobs,
               CountCallback callback) override {
    const RpcLinkPtr link = link_.lock();
    if (!link) return callback(LinkIsGone());
    pb::Envelope request;
    pb::CollectBlobs& collect = *request.mutable_collect_blobs();
    collect.set_epoch(epoch.value);
    collect.set_kind(std::string(ToString(kind)));
    for (const StoredBlob& blob : blobs) {
      collect.add_blobs()->set_digest(blob.digest);
      collect.mutable_blobs()->rbegin()->set_stamp(blob.stamp);
    }
    link->Call(std::move(request), kAnswerWithin,
               [callback = std::move(callback)](absl::StatusOr<pb::Envelope> reply) mutable {
                 if (!reply.ok()) return callback(reply.status());
                 callback(reply->collect_blobs_reply().collected());
               });
  }

 private:
  absl::Status LinkIsGone() const { return Unavailable("the link to {} is gone", name_); }

  const std::string name_;
  // Weak: a call under way, which holds this, must not keep its own link alive.
  const std::weak_ptr<RpcLink> link_;
};

pb::Envelope AddressOf(const pb::Envelope& request) {
  pb::Envelope address;
  address.set_correlation_id(request.correlation_id());
  return address;
}

void ServeList(const BlobPlacePtr& place, const RpcLinkPtr& link, const pb::Envelope& request) {
  const pb::ListBlobs& list = request.list_blobs();
  const auto kind = ParseBlobKind(list.kind());
  if (!kind) return link->ReplyError(request, InvalidArgument("no blob kind '{}'", list.kind()));
  place->List(*kind, list.after(), std::min(list.limit(), kMaxPage),
              [link, to = AddressOf(request)](absl::StatusOr<std::vector<StoredBlob>> page) {
                if (!page.ok()) return link->ReplyError(to, page.status());
                pb::Envelope reply;
                auto& answer = *reply.mutable_list_blobs_reply();
                for (const StoredBlob& blob : *page) {
                  auto& entry = *answer.add_blobs();
                  entry.set_digest(blob.digest);
                  entry.set_stamp(blob.stamp);
                  entry.set_untouched_ms(ToMillis(blob.untouched));
                }
                link->Reply(to, std::move(reply));
              });
}

void ServeCollect(const BlobPlacePtr& place, const RpcLinkPtr& link, const pb::Envelope& request) {
  const pb::CollectBlobs& collect = request.collect_blobs();
  const auto kind = ParseBlobKind(collect.kind());
  if (!kind) return link->ReplyError(request, InvalidArgument("no blob kind '{}'", collect.kind()));
  std::vector<StoredBlob> blobs;
  for (const auto& entry : collect.blobs()) blobs.push_back({entry.digest(), entry.stamp(), {}});
  place->Collect(
      Epoch{collect.epoch()}, *kind, std::move(blobs),
      [link, to = AddressOf(request)](absl::StatusOr<size_t> collected) {
        if (!collected.ok()) return link->ReplyError(to, collected.status());
        pb::Envelope reply;
        reply.mutable_collect_blobs_reply()->set_collected(static_cast<uint32_t>(*collected));
        link->Reply(to, std::move(reply));
      });
}

}  // namespace

BlobPlacePtr NewLocalPlace(LocalBlobStorePtr local, KnownEpoch known_epoch) {
  return std::make_shared<LocalPlace>(std::move(local), std::move(known_epoch));
}

BlobPlacePtr NewPeerPlace(RpcLinkPtr link) { return std::make_shared<PeerPlace>(link); }

void ServePlace(RequestDesk& desk, BlobPlacePtr local) {
  desk.Handle(pb::Envelope::kListBlobs, [local](const RpcLinkPtr& link, pb::Envelope request) {
    ServeList(local, link, request);
  });
  desk.Handle(pb::Envelope::kCollectBlobs, [local](const RpcLinkPtr& link, pb::Envelope request) {
    ServeCollect(local, link, request);
  });
}

}  // namespace baton
