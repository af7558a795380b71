#include "ha/commit_queue.h"

#include <algorithm>
#include <utility>

namespace baton {

void CommitQueue::PushFront(const std::vector<TransactionPtr>& transactions) {
  waiting_.insert(waiting_.begin(), transactions.begin(), transactions.end());
}

std::vector<TransactionPtr> CommitQueue::TakeGroup() {
  std::vector<TransactionPtr> group;
  size_t ops = 0;
  size_t bytes = 0;
  while (!waiting_.empty()) {
    const Transaction& next = *waiting_.front();
    // The first is taken whatever its size: limits bound groups, not transactions.
    const bool fits = group.empty() || (!next.alone && !group.front()->alone &&
                                        ops + next.ops.size() <= limits_.max_ops_per_multi &&
                                        bytes + next.bytes <= limits_.max_bytes_per_multi);
    if (!fits || MustWait(next)) break;
    ops += next.ops.size();
    bytes += next.bytes;
    for (const CoordinationOp& op : next.ops) busy_paths_.insert(op.path);
    group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return group;
}

bool CommitQueue::MustWait(const Transaction& transaction) const {
  return std::any_of(transaction.ops.begin(), transaction.ops.end(),
                     [this](const auto& op) { return busy_paths_.contains(op.path); });
}

void CommitQueue::Release(const Transaction& transaction) {
  for (const CoordinationOp& op : transaction.ops) busy_paths_.erase(op.path);
}

std::vector<TransactionPtr> CommitQueue::TakeExpired(TimePoint now) {
  std::vector<TransactionPtr> expired;
  for (const auto& transaction : waiting_) {
    if (transaction->deadline <= now) expired.push_back(transaction);
  }
  if (!expired.empty()) {
    std::erase_if(waiting_, [now](const auto& waiting) { return waiting->deadline <= now; });
  }
  return expired;
}

std::vector<TransactionPtr> CommitQueue::TakeAll() {
  std::vector<TransactionPtr> all(waiting_.begin(), waiting_.end());
  waiting_.clear();
  return all;
}

}  // namespace baton
