// What becomes of commits that do not simply succeed or conflict: their answer is lost, their
// deadline comes, or the epoch ends.

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "ha/fence.h"

namespace baton {
namespace {

// How often deadlines are looked at, and retried what the client refused to send.
constexpr Duration kTick = std::chrono::milliseconds(100);

}  // namespace

void Fence::ResolveUnknown() {
  if (closed_ || paused_ || stalled_ || resolving_ || unresolved_.empty()) return;
  resolving_ = true;
  std::vector<TransactionPtr> asked = unresolved_;
  std::vector<CoordinationOp> ops;
  for (const auto& transaction : asked) {
    const CoordinationOp* op = DecisiveOp(transaction->ops);
    // A transaction of checks changes nothing: "not applied" is always right.
    ops.push_back(op != nullptr ? *op : CoordinationOp::Create(paths_.epoch(), ""));
  }
  ReadOutcomes(client_, std::move(ops),
               IfAlive(weak_from_this(), [asked = std::move(asked)](Fence& fence, auto outcomes) {
                 fence.OnOutcomes(asked, std::move(outcomes));
               }));
}

void Fence::OnOutcomes(const std::vector<TransactionPtr>& asked,
                       absl::StatusOr<std::vector<CommitOutcome>> outcomes) {
  resolving_ = false;
  if (closed_) return;
  if (outcomes.status().code() == absl::StatusCode::kAborted) {
    return Depose(Aborted("the session of the leader of epoch {} is over", epoch_.value));
  }
  if (!outcomes.ok()) {
    stalled_ = true;
    return ArmTick();
  }
  std::vector<TransactionPtr> again;
  for (size_t i = 0; i < asked.size(); ++i) {
    queue_.Release(*asked[i]);
    std::erase(unresolved_, asked[i]);
    if ((*outcomes)[i] == CommitOutcome::kApplied) {
      const bool refused = Broken(Break::kUnknownCommitIsFailure);
      Answer(*asked[i], refused ? Unavailable("its answer was lost") : absl::OkStatus());
    } else if (!asked[i]->answered()) {
      asked[i]->maybe_applied = false;
      again.push_back(asked[i]);
    }
  }
  log::Info("outcome of commits read back epoch={} applied={} submitted_again={}", epoch_.value,
            asked.size() - again.size(), again.size());
  queue_.PushFront(again);
  FinishDrain();
  Pump();
}

void Fence::Resume() {
  paused_ = false;
  stalled_ = false;
  SchedulePump();
}

void Fence::Drain(absl::AnyInvocable<void()> done) {
  draining_ = true;
  on_drained_ = std::move(done);
  FinishDrain();
}

bool Fence::HasUnansweredCommit() const {
  const auto unanswered = [](const auto& transaction) { return !transaction->answered(); };
  if (!queue_.empty() || std::any_of(unresolved_.begin(), unresolved_.end(), unanswered)) {
    return true;
  }
  return std::any_of(in_flight_.begin(), in_flight_.end(), [&](const auto& entry) {
    const auto& transactions = entry.second.transactions;
    return std::any_of(transactions.begin(), transactions.end(), unanswered);
  });
}

void Fence::FinishDrain() {
  if (!on_drained_ || HasUnansweredCommit()) return;
  // Posted: whoever waits for it may close this fence.
  executor_->Post(std::exchange(on_drained_, nullptr));
}

void Fence::Depose(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  close_reason_ = why;
  // First the leader process hears that it is over, then those who wait for its commits.
  if (auto on_deposed = std::exchange(on_deposed_, nullptr)) on_deposed(why);
  AbortAll();
}

void Fence::Close(const absl::Status& why) {
  if (!closed_) {
    closed_ = true;
    close_reason_ = why.ok() ? Aborted("epoch {} was handed over", epoch_.value) : why;
    if (close_reason_.code() != absl::StatusCode::kAborted) {
      close_reason_ = Aborted("epoch {} is over: {}", epoch_.value, Message(why));
    }
  }
  on_deposed_ = nullptr;
  AbortAll();
}

void Fence::AbortAll() {
  auto transactions = queue_.TakeAll();
  auto confirmations = std::exchange(confirmations_, {});
  for (auto& [id, group] : std::exchange(in_flight_, {})) {
    transactions.insert(transactions.end(), group.transactions.begin(), group.transactions.end());
    for (auto& confirmation : group.confirmations) {
      confirmations.push_back(std::move(confirmation));
    }
  }
  auto unresolved = std::exchange(unresolved_, {});
  transactions.insert(transactions.end(), unresolved.begin(), unresolved.end());
  for (const auto& transaction : transactions) Answer(*transaction, close_reason_);
  for (Confirmation& confirmation : confirmations) confirmation.callback(close_reason_);
  FinishDrain();
}

void Fence::ArmTick() {
  if (closed_ || std::exchange(tick_armed_, true)) return;
  executor_->PostAfter(kTick, IfAlive(weak_from_this(), [](Fence& fence) {
                         fence.tick_armed_ = false;
                         fence.OnTick();
                       }));
}

void Fence::OnTick() {
  if (closed_) return;
  stalled_ = false;
  AnswerExpired();
  FinishDrain();
  const bool idle =
      queue_.empty() && confirmations_.empty() && in_flight_.empty() && unresolved_.empty();
  if (!idle) ArmTick();
  Pump();
}

void Fence::AnswerExpired() {
  const TimePoint now = executor_->Now();
  const auto waited = ToMillis(limits_.max_wait);
  for (const auto& transaction : queue_.TakeExpired(now)) {
    Answer(*transaction, Unavailable("not committed within {} ms", waited));
  }
  // A copy: an answer may reach back in here, and change what is unresolved or in flight.
  std::vector<TransactionPtr> sent = unresolved_;
  for (const auto& [id, group] : in_flight_) {
    sent.insert(sent.end(), group.transactions.begin(), group.transactions.end());
  }
  for (const auto& transaction : sent) {
    if (transaction->deadline > now) continue;
    Answer(*transaction, Unknown("no outcome of the commit within {} ms", waited));
  }
  std::vector<Confirmation> late;
  for (Confirmation& confirmation : confirmations_) {
    if (confirmation.deadline <= now) late.push_back(std::move(confirmation));
  }
  std::erase_if(confirmations_, [now](const auto& waiting) { return waiting.deadline <= now; });
  for (Confirmation& confirmation : late) {
    confirmation.callback(Unavailable("leadership not confirmed within {} ms", waited));
  }
}

}  // namespace baton
