#include "dispatcher/job_master/pointer_writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kMinInterval = std::chrono::milliseconds(50);
constexpr Duration kRetryDelay = std::chrono::milliseconds(200);
constexpr Duration kMaxRetryDelay = std::chrono::seconds(10);
// So long it may be that too much waits, or that a disk is full, before whoever cancels hears it.
constexpr Duration kCrowdedPatience = std::chrono::seconds(5);

bool MayHaveHappened(const absl::Status& status) {
  return absl::IsUnknown(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

PointerWriter::PointerWriter(ExecutorPtr executor, Commit commit, Build build)
    : executor_(std::move(executor)),
      commit_(std::move(commit)),
      build_(std::move(build)),
      retry_delay_(kRetryDelay) {}

void PointerWriter::Write(Urgency urgency, Durable durable, Refused refused) {
  if (stopped_) return;
  if (durable) waiting_.push_back({.durable = std::move(durable), .refused = std::move(refused)});
  dirty_ = true;
  urgent_ |= urgency == Urgency::kNow;
  if (in_flight_) return;
  Schedule(urgent_ ? Duration::zero() : last_start_ + kMinInterval - executor_->Now());
}

void PointerWriter::Stop() {
  stopped_ = true;
  executor_->Cancel(timer_);
  waiting_.clear();
}

void PointerWriter::Schedule(Duration delay) {
  if (timer_ != kNoTimer) {
    if (!urgent_) return;
    executor_->Cancel(timer_);
  }
  timer_ = executor_->PostAfter(delay, IfAlive(weak_from_this(), [](PointerWriter& self) {
                                  self.timer_ = kNoTimer;
                                  self.Start();
                                }));
}

void PointerWriter::Start() {
  if (stopped_ || in_flight_ || !dirty_) return;
  in_flight_ = true;
  dirty_ = urgent_ = false;
  committing_ = std::exchange(waiting_, {});
  last_start_ = executor_->Now();
  commit_(build_(),
          BindTo(executor_, IfAlive(weak_from_this(), [](PointerWriter& self, absl::Status status) {
                   self.OnCommitted(std::move(status));
                 })));
}

void PointerWriter::OnCommitted(absl::Status status) {
  in_flight_ = false;
  if (stopped_ || absl::IsAborted(status)) return;
  auto committed = std::exchange(committing_, {});
  if (!status.ok()) {
    // Also when the outcome is unknown: what is written next contains what was written here.
    log::Warning("a job's progress could not be stored yet error={}", Message(status));
    for (Waiter& waiter : committed) waiter.perhaps_durable |= MayHaveHappened(status);
    waiting_.insert(waiting_.begin(), std::make_move_iterator(committed.begin()),
                    std::make_move_iterator(committed.end()));
    dirty_ = true;
    if (MayPassSoon(status)) return Schedule(kRetryDelay);
    Schedule(std::exchange(retry_delay_, std::min(2 * retry_delay_, kMaxRetryDelay)));
    return TellRefused(status);
  }
  retry_delay_ = kRetryDelay;
  crowded_since_.reset();
  for (Waiter& waiter : committed) waiter.durable();
  if (dirty_ && !stopped_) {
    Schedule(urgent_ ? Duration::zero() : last_start_ + kMinInterval - executor_->Now());
  }
}

// Want of a majority, an outcome that nobody knows, or a crowd before the store: a queue that is
// full at the instant of an election storm is empty a second later.
bool PointerWriter::MayPassSoon(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status)) crowded_since_.reset();
  if (absl::IsUnavailable(status) || MayHaveHappened(status)) return true;
  if (!absl::IsResourceExhausted(status)) return false;
  if (!crowded_since_) crowded_since_ = executor_->Now();
  return executor_->Now() - *crowded_since_ < kCrowdedPatience;
}

void PointerWriter::TellRefused(const absl::Status& why) {
  // That this commit was refused does not undo an earlier one, of which nobody knows whether it had
  // its effect: only a pointer that is durable decides, with what they wait for in it. Nor may
  // those that came later be told, since what they take back would be taken from the earlier ones
  // too.
  if (std::ranges::any_of(waiting_, [](const Waiter& waiter) {
        return waiter.refused && waiter.perhaps_durable;
      })) {
    return;
  }
  const auto first = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [](const Waiter& waiter) { return !waiter.refused; });
  std::vector<Waiter> told(std::make_move_iterator(first), std::make_move_iterator(waiting_.end()));
  waiting_.erase(first, waiting_.end());
  for (Waiter& waiter : told) waiter.refused(why);
}

}  // namespace baton
