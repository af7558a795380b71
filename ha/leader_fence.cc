#include "ha/leader_fence.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/commit_queue.h"
#include "ha/managed_fence.h"
#include "ha/outcome_reader.h"

namespace baton {
namespace {

// ZooKeeper drops the connection of who sends a larger request (jute.maxbuffer, 1 MiB), and every
// retry would drop it again.
constexpr size_t kMaxTransactionBytes = 1'000'000;
constexpr size_t kBytesPerOp = 64;  // what an op takes beside its path and data, roughly
// A group that conflicts so often is tried transaction by transaction.
constexpr int kMaxFailedGroups = 3;
// How often deadlines are looked at, and retried what the client refused to send.
constexpr Duration kTick = std::chrono::milliseconds(100);

size_t SizeOf(const std::vector<CoordinationOp>& ops) {
  size_t bytes = 0;
  for (const CoordinationOp& op : ops) bytes += kBytesPerOp + op.path.size() + op.data.size();
  return bytes;
}

struct Confirmation {
  LeaderFence::CommitCallback callback;
  TimePoint deadline;
};

// One multi on its way.
struct Group {
  std::vector<TransactionPtr> transactions;
  std::vector<Confirmation> confirmations;
  TimePoint began;
};

// The op of a multi belongs to which transaction of its group? Op 0 is the epoch check.
std::optional<size_t> TransactionOf(const Group& group, std::optional<size_t> op) {
  if (!op || *op == 0) return std::nullopt;
  size_t end = 1;
  for (size_t i = 0; i < group.transactions.size(); ++i) {
    end += group.transactions[i]->ops.size();
    if (*op < end) return i;
  }
  return std::nullopt;
}

class Fence final : public ManagedFence, public std::enable_shared_from_this<Fence> {
 public:
  Fence(Dependencies dependencies, const FenceGrant& grant)
      : client_(std::move(dependencies.client)),
        executor_(std::move(dependencies.executor)),
        paths_(std::move(dependencies.paths)),
        limits_(dependencies.limits),
        epoch_(grant.epoch),
        epoch_version_(grant.epoch_version),
        last_confirmation_(grant.began),
        on_deposed_(std::move(dependencies.on_deposed)),
        queue_(limits_) {}

  Epoch epoch() const override { return epoch_; }
  TimePoint last_confirmation() const override { return last_confirmation_; }
  CoordinationClient& client() override { return *client_; }
  const CoordinationPaths& paths() const override { return paths_; }

  void Commit(std::vector<CoordinationOp> ops, CommitCallback callback) override;
  void Confirm(CommitCallback callback) override;
  void Pause() override { paused_ = true; }
  void Resume() override;
  void Drain(absl::AnyInvocable<void()> done) override;
  void Close(const absl::Status& why) override;

 private:
  void Accept(std::vector<CoordinationOp> ops, CommitCallback callback);
  absl::Status Admit(const std::vector<CoordinationOp>& ops, size_t bytes) const;
  void AcceptConfirm(CommitCallback callback);

  void SchedulePump();
  void Pump();
  bool MayBegin() const;
  void BeginMulti(std::vector<TransactionPtr> transactions);

  void OnMultiDone(uint64_t id, MultiResult result);
  void OnCommitted(Group group);
  void OnNothingDone(Group group);
  void OnUnknown(Group group);
  void OnConflict(Group group, const MultiResult& result);

  void ResolveUnknown();
  void OnOutcomes(const std::vector<TransactionPtr>& asked,
                  absl::StatusOr<std::vector<CommitOutcome>> outcomes);

  void Answer(Transaction& transaction, absl::Status status);
  void ReturnConfirmations(std::vector<Confirmation> confirmations);
  void Depose(const absl::Status& why);
  void AbortAll();
  void ArmTick();
  void OnTick();
  void AnswerExpired();
  bool HasUnansweredCommit() const;
  void FinishDrain();

  // Constant after construction.
  const CoordinationClientPtr client_;
  const ExecutorPtr executor_;
  const CoordinationPaths paths_;
  const FenceLimits limits_;
  const Epoch epoch_;
  const int32_t epoch_version_;

  // Any thread.
  std::atomic<TimePoint> last_confirmation_;

  // On the executor.
  std::function<void(const absl::Status&)> on_deposed_;
  CommitQueue queue_;
  std::vector<Confirmation> confirmations_;
  std::map<uint64_t, Group> in_flight_;
  uint64_t last_multi_ = 0;
  std::vector<TransactionPtr> unresolved_;  // of unknown outcome; their paths stay busy
  bool resolving_ = false;
  bool paused_ = false;
  bool stalled_ = false;  // the client refused to send; until the next tick or Resume
  bool closed_ = false;
  absl::Status close_reason_;
  bool draining_ = false;
  absl::AnyInvocable<void()> on_drained_;
  bool pump_posted_ = false;
  bool tick_armed_ = false;
};

void Fence::Commit(std::vector<CoordinationOp> ops, CommitCallback callback) {
  executor_->Post(
      [self = shared_from_this(), ops = std::move(ops), callback = std::move(callback)]() mutable {
        self->Accept(std::move(ops), std::move(callback));
      });
}

void Fence::Confirm(CommitCallback callback) {
  executor_->Post([self = shared_from_this(), callback = std::move(callback)]() mutable {
    self->AcceptConfirm(std::move(callback));
  });
}

void Fence::Accept(std::vector<CoordinationOp> ops, CommitCallback callback) {
  const size_t bytes = SizeOf(ops);
  if (absl::Status status = Admit(ops, bytes); !status.ok()) return callback(std::move(status));
  auto transaction = std::make_shared<Transaction>();
  transaction->ops = std::move(ops);
  transaction->bytes = bytes;
  transaction->callback = std::move(callback);
  transaction->deadline = executor_->Now() + limits_.max_wait;
  queue_.PushBack(std::move(transaction));
  SchedulePump();
}

absl::Status Fence::Admit(const std::vector<CoordinationOp>& ops, size_t bytes) const {
  if (closed_) return close_reason_;
  if (draining_) return Aborted("the leader of epoch {} is handing over", epoch_.value);
  if (ops.empty()) return InvalidArgument("a commit without operations");
  if (bytes > kMaxTransactionBytes) {
    return InvalidArgument("a commit of {} bytes; at most {} fit", bytes, kMaxTransactionBytes);
  }
  if (queue_.size() >= limits_.max_waiting_transactions) {
    return ResourceExhausted("{} commits wait already", queue_.size());
  }
  return absl::OkStatus();
}

void Fence::AcceptConfirm(CommitCallback callback) {
  if (closed_) return callback(close_reason_);
  if (confirmations_.size() >= limits_.max_waiting_transactions) {
    return callback(ResourceExhausted("{} confirmations wait already", confirmations_.size()));
  }
  confirmations_.push_back({std::move(callback), executor_->Now() + limits_.max_wait});
  SchedulePump();
}

// What one burst of tasks commits shares a multi.
void Fence::SchedulePump() {
  ArmTick();
  if (std::exchange(pump_posted_, true)) return;
  executor_->Post([self = shared_from_this()] {
    self->pump_posted_ = false;
    self->Pump();
  });
}

bool Fence::MayBegin() const {
  return !closed_ && !paused_ && !stalled_ && in_flight_.size() < limits_.max_multis_in_flight;
}

void Fence::Pump() {
  ResolveUnknown();
  while (MayBegin()) {
    auto transactions = queue_.TakeGroup();
    if (transactions.empty() && confirmations_.empty()) return;
    BeginMulti(std::move(transactions));
  }
}

void Fence::BeginMulti(std::vector<TransactionPtr> transactions) {
  std::vector<CoordinationOp> ops{CoordinationOp::Check(paths_.epoch(), epoch_version_)};
  for (const auto& transaction : transactions) {
    ops.insert(ops.end(), transaction->ops.begin(), transaction->ops.end());
  }
  const uint64_t id = ++last_multi_;
  in_flight_[id] =
      Group{std::move(transactions), std::exchange(confirmations_, {}), executor_->Now()};
  client_->Multi(std::move(ops), [self = shared_from_this(), id](MultiResult result) {
    self->OnMultiDone(id, std::move(result));
  });
}

void Fence::OnMultiDone(uint64_t id, MultiResult result) {
  auto node = in_flight_.extract(id);
  if (node.empty()) return;  // closed in between; it was answered then
  Group group = std::move(node.mapped());
  switch (result.status.code()) {
    case absl::StatusCode::kOk:
      OnCommitted(std::move(group));
      break;
    case absl::StatusCode::kUnavailable:
      OnNothingDone(std::move(group));
      break;
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
      OnUnknown(std::move(group));
      break;
    case absl::StatusCode::kAborted:
      in_flight_[id] = std::move(group);  // for Depose to answer
      Depose(Aborted("the session of the leader of epoch {} is over", epoch_.value));
      break;
    default:
      if (result.failed_op == 0u || (!result.failed_op && group.transactions.empty())) {
        in_flight_[id] = std::move(group);
        Depose(Aborted("epoch {} is over: {}", epoch_.value, Message(result.status)));
      } else {
        OnConflict(std::move(group), result);
      }
  }
  FinishDrain();
  Pump();
}

void Fence::OnCommitted(Group group) {
  last_confirmation_ = std::max(last_confirmation_.load(), group.began);
  for (const auto& transaction : group.transactions) {
    queue_.Release(*transaction);
    Answer(*transaction, absl::OkStatus());
  }
  for (Confirmation& confirmation : group.confirmations) confirmation.callback(absl::OkStatus());
}

void Fence::OnNothingDone(Group group) {
  // The client knows of the lost connection before the session event reached the election: what
  // would be sent now would be refused again and again.
  stalled_ = true;
  for (const auto& transaction : group.transactions) queue_.Release(*transaction);
  std::erase_if(group.transactions, [](const auto& t) { return t->answered(); });
  queue_.PushFront(group.transactions);
  ReturnConfirmations(std::move(group.confirmations));
}

void Fence::OnUnknown(Group group) {
  stalled_ = true;  // its connection is lost
  for (const auto& transaction : group.transactions) {
    transaction->maybe_applied = true;
    unresolved_.push_back(transaction);
  }
  ReturnConfirmations(std::move(group.confirmations));
}

// Nothing of the group was applied. The culprit is tried alone, to learn its own error exactly; the
// others together, unless they meet one conflict after the other.
void Fence::OnConflict(Group group, const MultiResult& result) {
  for (const auto& transaction : group.transactions) queue_.Release(*transaction);
  ReturnConfirmations(std::move(group.confirmations));
  if (group.transactions.size() == 1) return Answer(*group.transactions[0], result.status);
  const std::optional<size_t> culprit = TransactionOf(group, result.failed_op);
  for (size_t i = 0; i < group.transactions.size(); ++i) {
    Transaction& transaction = *group.transactions[i];
    ++transaction.failed_groups;
    transaction.alone = !culprit || *culprit == i || transaction.failed_groups >= kMaxFailedGroups;
  }
  std::erase_if(group.transactions, [](const auto& t) { return t->answered(); });
  queue_.PushFront(group.transactions);
}

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
               [self = shared_from_this(), asked = std::move(asked)](auto outcomes) {
                 self->OnOutcomes(asked, std::move(outcomes));
               });
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
      Answer(*asked[i], absl::OkStatus());
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

void Fence::Answer(Transaction& transaction, absl::Status status) {
  if (transaction.answered()) return;
  auto callback = std::exchange(transaction.callback, nullptr);
  callback(std::move(status));
}

void Fence::ReturnConfirmations(std::vector<Confirmation> confirmations) {
  for (Confirmation& confirmation : confirmations) {
    confirmations_.push_back(std::move(confirmation));
  }
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
  const auto answer_unknown = [&](const std::vector<TransactionPtr>& transactions) {
    // By value: an answer may reach back in here.
    for (const auto& transaction : std::vector<TransactionPtr>(transactions)) {
      if (transaction->deadline > now) continue;
      Answer(*transaction, Unknown("no outcome of the commit within {} ms", waited));
    }
  };
  std::vector<TransactionPtr> sent = unresolved_;
  for (const auto& [id, group] : in_flight_) {
    sent.insert(sent.end(), group.transactions.begin(), group.transactions.end());
  }
  answer_unknown(sent);
  std::vector<Confirmation> late;
  for (Confirmation& confirmation : confirmations_) {
    if (confirmation.deadline <= now) late.push_back(std::move(confirmation));
  }
  std::erase_if(confirmations_, [now](const auto& waiting) { return waiting.deadline <= now; });
  for (Confirmation& confirmation : late) {
    confirmation.callback(Unavailable("leadership not confirmed within {} ms", waited));
  }
}

}  // namespace

ManagedFencePtr NewManagedFence(ManagedFence::Dependencies dependencies, const FenceGrant& grant) {
  return std::make_shared<Fence>(std::move(dependencies), grant);
}

}  // namespace baton
