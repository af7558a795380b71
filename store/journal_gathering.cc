#include "store/journal_gathering.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"
#include "store/tree_recovery.h"

namespace baton {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(30);
constexpr uint32_t kRecordsPerPage = 200;
constexpr size_t kMaxPageBytes = 8 << 20;

// Lives on the executor given; its calls hold it.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  Gathering(JournalSources sources, JournalsCallback callback)
      : sources_(std::move(sources)), callback_(std::move(callback)) {
    for (const RpcLinkPtr& link : std::exchange(sources_.peers, {})) {
      peers_.emplace_back(link->peer().id(), link);
    }
  }

  void Begin() {
    auto own = std::make_shared<JournalCopy>();
    own->replica = sources_.self;
    own->highest_epoch = std::max(sources_.journal->highest_epoch(), sources_.epoch_seen);
    own->complete_at = sources_.journal->state().complete_at_ms();
    ReadOwn(own, "", [self = shared_from_this(), own](const absl::Status& status) {
      if (!status.ok()) return self->callback_(status);
      self->copies_.push_back(std::move(*own));
      self->AskPeers();
    });
  }

 private:
  void ReadOwn(std::shared_ptr<JournalCopy> copy, const std::string& after, StepDone done) {
    sources_.journal->ReadPage(
        after, kRecordsPerPage,
        [self = shared_from_this(), copy, done = std::move(done)](auto page) mutable {
          if (!page.ok()) return done(page.status());
          const bool last = page->size() < kRecordsPerPage - 1;  // one may be the state
          for (KvEntry& entry : *page) copy->records.push_back(std::move(entry));
          if (last) return done(absl::OkStatus());
          self->ReadOwn(copy, copy->records.back().key, std::move(done));
        });
  }

  void AskPeers() {
    RunBounded(
        peers_.size(), 1,
        [self = shared_from_this()](size_t i, StepDone done) {
          auto copy = std::make_shared<JournalCopy>();
          copy->replica = self->peers_[i].first;
          self->AskPeer(i, copy, "", std::move(done));
        },
        [self = shared_from_this()](const absl::Status& status) {
          if (!status.ok()) return self->callback_(status);
          self->callback_(std::move(self->copies_));
        });
  }

  void AskPeer(size_t index, std::shared_ptr<JournalCopy> copy, const std::string& after,
               StepDone done) {
    const RpcLinkPtr link = peers_[index].second.lock();
    if (!link) return done(absl::OkStatus());
    pb::Envelope request;
    request.mutable_read_journal()->set_after(after);
    request.mutable_read_journal()->set_limit(kRecordsPerPage);
    link->Call(
        std::move(request), kAnswerWithin,
        BindTo(sources_.executor, [self = shared_from_this(), index, copy, done = std::move(done)](
                                      absl::StatusOr<pb::Envelope> reply) mutable {
          if (!reply.ok()) {
            log::Warning("a peer's journal cannot be read peer={} error=\"{}\"", copy->replica,
                         Message(reply.status()));
            return done(absl::OkStatus());
          }
          self->OnPage(index, copy, reply->read_journal_reply(), std::move(done));
        }));
  }

  void OnPage(size_t index, std::shared_ptr<JournalCopy> copy, const pb::ReadJournalReply& page,
              StepDone done) {
    if (page.leads()) return done(FailedPrecondition("replica {} leads", copy->replica));
    copy->highest_epoch = Epoch{page.highest_epoch()};
    copy->complete_at = page.complete_at_ms();
    for (const auto& record : page.records()) {
      copy->records.push_back({record.key(), record.data()});
    }
    if (page.more()) return AskPeer(index, copy, copy->records.back().key, std::move(done));
    copies_.push_back(std::move(*copy));
    done(absl::OkStatus());
  }

  JournalSources sources_;
  JournalsCallback callback_;
  // Weak: a call under way, which holds this, must not keep its own link alive.
  std::vector<std::pair<std::string, std::weak_ptr<RpcLink>>> peers_;
  std::vector<JournalCopy> copies_;
};

}  // namespace

void GatherJournals(JournalSources sources, JournalsCallback callback) {
  std::make_shared<Gathering>(std::move(sources), std::move(callback))->Begin();
}

void ServeJournal(RequestDesk& desk, RecordJournalPtr journal, std::function<bool()> leads,
                  std::function<Epoch()> epoch_seen) {
  desk.Handle(pb::Envelope::kReadJournal, [journal, leads, epoch_seen](const RpcLinkPtr& link,
                                                                       pb::Envelope request) {
    const uint32_t limit = std::clamp(request.read_journal().limit(), 1u, kRecordsPerPage);
    pb::Envelope address;
    address.set_correlation_id(request.correlation_id());
    journal->ReadPage(
        request.read_journal().after(), limit,
        [journal, link, leads, epoch_seen, limit, to = std::move(address)](auto page) {
          if (!page.ok()) return link->ReplyError(to, page.status());
          pb::Envelope envelope;
          pb::ReadJournalReply& reply = *envelope.mutable_read_journal_reply();
          size_t bytes = 0;
          for (KvEntry& entry : *page) {
            bytes += entry.value.size();
            if (bytes > kMaxPageBytes) break;
            auto& record = *reply.add_records();
            record.set_key(std::move(entry.key));
            record.set_data(std::move(entry.value));
          }
          const bool whole = static_cast<size_t>(reply.records_size()) == page->size();
          reply.set_more(!page->empty() && (!whole || page->size() + 1 >= limit));
          reply.set_highest_epoch(std::max(journal->highest_epoch(), epoch_seen()).value);
          reply.set_complete_at_ms(journal->state().complete_at_ms());
          reply.set_leads(leads());
          link->Reply(to, std::move(envelope));
        });
  });
}

}  // namespace baton
