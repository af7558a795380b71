#include "ha/fence.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/deliberate_break.h"
#include "base/status.h"
#include "ha/znode_path.h"

namespace baton {
namespace {

// A group that conflicts so often is tried transaction by transaction.
constexpr int kMaxFailedGroups = 3;

}  // namespace

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
  const size_t bytes = RequestBytes(ops);
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
  // Alone in its multi it still shares it with the check of the epoch.
  const size_t most = kMaxCoordinationRequestBytes - RequestBytes({EpochCheck()});
  if (bytes > most) {
    return InvalidArgument("a commit of {} bytes; at most {} fit", bytes, most);
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

CoordinationOp Fence::EpochCheck() const {
  const int32_t version = Broken(Break::kCommitsUnfenced) ? kAnyVersion : epoch_version_;
  return CoordinationOp::Check(paths_.epoch(), version);
}

void Fence::BeginMulti(std::vector<TransactionPtr> transactions) {
  std::vector<CoordinationOp> ops{EpochCheck()};
  for (const auto& transaction : transactions) {
    ops.insert(ops.end(), transaction->ops.begin(), transaction->ops.end());
  }
  const uint64_t id = ++last_multi_;
  in_flight_[id] =
      Group{std::move(transactions), std::exchange(confirmations_, {}), executor_->Now()};
  client_->Multi(std::move(ops), IfAlive(weak_from_this(), [id](Fence& fence, MultiResult result) {
                   fence.OnMultiDone(id, std::move(result));
                 }));
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
      if (EpochIsOver(group, result)) {
        in_flight_[id] = std::move(group);
        Depose(Aborted("epoch {} is over: {}", epoch_.value, Message(result.status)));
      } else if (group.transactions.empty()) {
        OnUnknown(std::move(group));  // the server is in trouble, the leadership is not
      } else {
        OnConflict(std::move(group), result);
      }
  }
  FinishDrain();
  Pump();
}

// Nothing but the check of `epoch` can refuse a confirmation that travels alone.
bool Fence::EpochIsOver(const Group& group, const MultiResult& result) {
  const bool refused = absl::IsFailedPrecondition(result.status) || absl::IsNotFound(result.status);
  return result.failed_op == 0u || (!result.failed_op && group.transactions.empty() && refused);
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
  if (Broken(Break::kUnknownCommitIsSuccess)) return OnCommitted(std::move(group));
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
  const std::optional<size_t> culprit = CulpritOf(group, result.failed_op);
  for (size_t i = 0; i < group.transactions.size(); ++i) {
    Transaction& transaction = *group.transactions[i];
    ++transaction.failed_groups;
    transaction.alone = !culprit || *culprit == i || transaction.failed_groups >= kMaxFailedGroups;
  }
  std::erase_if(group.transactions, [](const auto& t) { return t->answered(); });
  queue_.PushFront(group.transactions);
}

// Op 0 is the check of the epoch, the others belong to the transactions in their order.
std::optional<size_t> Fence::CulpritOf(const Group& group, std::optional<size_t> failed_op) {
  if (!failed_op) return std::nullopt;
  size_t end = 1;
  for (size_t i = 0; i < group.transactions.size(); ++i) {
    end += group.transactions[i]->ops.size();
    if (*failed_op < end) return i;
  }
  return std::nullopt;
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

ManagedFencePtr NewManagedFence(ManagedFence::Dependencies dependencies, const FenceGrant& grant) {
  return std::make_shared<Fence>(std::move(dependencies), grant);
}

}  // namespace baton
