#include "store/convergence.h"

#include <algorithm>

#include "base/log.h"
#include "base/status.h"
#include "store/bounded_loop.h"

namespace baton {
namespace {

constexpr Duration kFirstRound = std::chrono::milliseconds(500);
constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr size_t kPullsAtOnce = 4;
constexpr size_t kMaxVerifiedARound = 1'000;

}  // namespace

Convergence::Convergence(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      retry_(kFirstRetry),
      live_gauge_(deps_.metrics->GetGauge("baton_store_live_blobs",
                                          "Blobs that a job or a result refers to")),
      missing_gauge_(deps_.metrics->GetGauge("baton_store_missing_blobs",
                                             "Live blobs that this replica does not hold")),
      records_gauge_(deps_.metrics->GetGauge("baton_store_journal_records",
                                             "Records in this replica's journal")),
      complete_gauge_(deps_.metrics->GetGauge(
          "baton_store_journal_complete_timestamp_seconds",
          "When the whole tree was last read into the journal, seconds since 1970")),
      pulled_counter_(deps_.metrics->GetCounter("baton_store_pulled_blobs_total",
                                                "Missing blobs that came from peers")),
      verified_counter_(deps_.metrics->GetCounter("baton_store_verified_blobs_total",
                                                  "Blobs read to see whether they are intact")) {}

void Convergence::Start() { ArmRound(kFirstRound); }

void Convergence::Hurry() {
  hurry_ = true;
  if (!running_) ArmRound(Duration::zero());
}

void Convergence::ArmRound(Duration delay) {
  deps_.executor->Cancel(timer_);
  timer_ = deps_.executor->PostAfter(
      delay, IfAlive(weak_from_this(), [](Convergence& self) { self.BeginRound(); }));
}

void Convergence::BeginRound() {
  if (running_) return;
  running_ = true;
  hurry_ = false;
  ReadTree(deps_.client, deps_.paths, deps_.journal,
           BindTo(deps_.executor,
                  IfAlive(weak_from_this(), [](Convergence& self, const absl::Status& status) {
                    self.OnTreeRead(status);
                  })));
}

void Convergence::OnTreeRead(const absl::Status& status) {
  records_gauge_.Set(static_cast<double>(deps_.journal->size()));
  if (!status.ok()) {
    if (absl::IsFailedPrecondition(status)) {
      log::Warning("the tree in the coordination service is not whole: {}", Message(status));
    }
    return EndRound(RoundEnd::kRetry);
  }
  complete_gauge_.Set(static_cast<double>(deps_.journal->state().complete_at_ms()) / 1000);
  ListLocal();
}

void Convergence::ListLocal() {
  auto held = std::make_shared<LiveBlobs>();
  RunBounded(
      std::size(kBlobKinds), 1,
      [self = shared_from_this(), held](size_t i, StepDone done) {
        const BlobKind kind = kBlobKinds[i];
        self->deps_.local->Digests(
            kind, BindTo(self->deps_.executor,
                         [held, kind, done = std::move(done)](auto digests) mutable {
                           if (!digests.ok()) return done(digests.status());
                           for (std::string& digest : *digests)
                             held->emplace(kind, std::move(digest));
                           done(absl::OkStatus());
                         }));
      },
      IfAlive(weak_from_this(), [held](Convergence& self, const absl::Status& status) {
        if (status.ok()) return self.OnListed(*held);
        if (absl::IsDataLoss(status)) {
          log::Error(
              "the store is damaged: restart this replica, it then begins with an empty one "
              "and fills it from the others error=\"{}\"",
              Message(status));
        } else {
          log::Warning("the blobs here cannot be listed error=\"{}\"", Message(status));
        }
        self.EndRound(RoundEnd::kRetry);
      }));
}

void Convergence::OnListed(const LiveBlobs& held) {
  const LiveBlobs live = deps_.journal->live_blobs();
  Blobs missing;
  std::set_difference(live.begin(), live.end(), held.begin(), held.end(),
                      std::back_inserter(missing));
  missing_ = missing.size();
  live_gauge_.Set(static_cast<double>(live.size()));
  missing_gauge_.Set(static_cast<double>(missing_));
  if (missing.empty()) return Verify(NextToVerify(live));
  Pull(std::move(missing));
}

void Convergence::Pull(Blobs missing) {
  log::Info("live blobs are missing here, pulling them blobs={}", missing.size());
  const size_t count = missing.size();
  pulled_ = 0;
  RunBounded(
      count, kPullsAtOnce,
      [weak = weak_from_this(), missing = std::move(missing)](size_t i, StepDone done) {
        auto self = weak.lock();
        if (!self) return done(Aborted("the store is closed"));
        self->PullOne(missing[i].first, missing[i].second,
                      [done = std::move(done)]() mutable { done(absl::OkStatus()); });
      },
      IfAlive(weak_from_this(), [](Convergence& self, const absl::Status&) { self.OnPulled(); }));
}

// The step ends only after the time that its bytes may take: that is the limit on their rate.
void Convergence::PullOne(BlobKind kind, const std::string& digest,
                          absl::AnyInvocable<void()> done) {
  deps_.blobs->Get(
      kind, digest,
      BindTo(deps_.executor,
             IfAlive(weak_from_this(), [done = std::move(done)](
                                           Convergence& self,
                                           const absl::StatusOr<std::string>& bytes) mutable {
               if (!bytes.ok()) return done();
               ++self.pulled_;
               self.pulled_counter_.Increment();
               self.missing_gauge_.Set(static_cast<double>(--self.missing_));
               const double seconds =
                   static_cast<double>(kPullsAtOnce * bytes->size()) /
                   static_cast<double>(self.deps_.options.pulled_bytes_per_second);
               self.deps_.executor->PostAfter(
                   std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)),
                   std::move(done));
             })));
}

void Convergence::OnPulled() {
  log::Info("blobs pulled from peers blobs={} still_missing={}", pulled_, missing_);
  if (pulled_ > 0) retry_ = kFirstRetry;  // there are peers that give
  // Even if all came: the local copies may not be synced yet, and the next round looks.
  EndRound(RoundEnd::kRetry);
}

Convergence::Blobs Convergence::NextToVerify(const LiveBlobs& live) {
  const auto& options = deps_.options;
  const double share = std::chrono::duration<double>(options.interval).count() /
                       std::chrono::duration<double>(options.verification_period).count();
  const size_t wanted = std::min(
      {live.size(), kMaxVerifiedARound, static_cast<size_t>(share * double(live.size())) + 1});
  Blobs blobs;
  auto it = live.upper_bound(verified_);
  while (blobs.size() < wanted) {
    if (it == live.end()) it = live.begin();
    blobs.push_back(*it++);
  }
  if (!blobs.empty()) verified_ = blobs.back();
  return blobs;
}

void Convergence::Verify(Blobs blobs) {
  const size_t count = blobs.size();
  RunBounded(
      count, 1,
      [weak = weak_from_this(), blobs = std::move(blobs)](size_t i, StepDone done) {
        auto self = weak.lock();
        if (!self) return done(Aborted("the store is closed"));
        self->deps_.blobs->Get(
            blobs[i].first, blobs[i].second,
            BindTo(self->deps_.executor, [weak, done = std::move(done)](const auto&) mutable {
              if (auto self = weak.lock()) self->verified_counter_.Increment();
              done(absl::OkStatus());
            }));
      },
      IfAlive(weak_from_this(),
              [](Convergence& self, const absl::Status&) { self.EndRound(RoundEnd::kDone); }));
}

void Convergence::EndRound(RoundEnd end) {
  running_ = false;
  const Duration interval = deps_.options.interval;
  const Duration next = end == RoundEnd::kDone ? interval : std::min(retry_, interval);
  retry_ = end == RoundEnd::kDone ? kFirstRetry : std::min(2 * retry_, interval);
  ArmRound(hurry_ ? Duration::zero() : next);
}

}  // namespace baton
