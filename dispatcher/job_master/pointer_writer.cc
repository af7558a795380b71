#include "dispatcher/job_master/pointer_writer.h"

#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kMinInterval = std::chrono::milliseconds(50);
constexpr Duration kRetryDelay = std::chrono::milliseconds(200);

}  // namespace

PointerWriter::PointerWriter(ExecutorPtr executor, Commit commit, Build build)
    : executor_(std::move(executor)), commit_(std::move(commit)), build_(std::move(build)) {}

void PointerWriter::Write(Urgency urgency, Durable durable) {
  if (stopped_) return;
  if (durable) waiting_.push_back(std::move(durable));
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
  auto durable = std::exchange(committing_, {});
  if (!status.ok()) {
    // Also when the outcome is unknown: what is written next contains what was written here.
    log::Warning("a job's progress could not be stored yet error={}", Message(status));
    waiting_.insert(waiting_.begin(), std::make_move_iterator(durable.begin()),
                    std::make_move_iterator(durable.end()));
    dirty_ = true;
    return Schedule(kRetryDelay);
  }
  for (Durable& callback : durable) callback();
  if (dirty_ && !stopped_) {
    Schedule(urgent_ ? Duration::zero() : last_start_ + kMinInterval - executor_->Now());
  }
}

}  // namespace baton
