// The transactions that wait for a fenced commit, and how they are grouped into multis.
//
// First in, first out. Two transactions that name the same path are never in progress together:
// the later one waits, and everything behind it, until the earlier is settled. So commits of one
// path take effect in the order of their calls, and a read-back after an unknown outcome never
// meets the trace of a sibling.
//
// Plain data, no callbacks of its own; lives on the executor of the fence that owns it.

#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/time.h"
#include "ha/leader_fence.h"

namespace baton {

struct Transaction {
  std::vector<CoordinationOp> ops;
  size_t bytes = 0;
  LeaderFence::CommitCallback callback;  // null once it was answered
  TimePoint deadline;
  int failed_groups = 0;       // how often a group that held it conflicted
  bool alone = false;          // shares no multi: it may be the one that conflicts
  bool maybe_applied = false;  // a multi that held it ended with an unknown outcome

  bool answered() const { return callback == nullptr; }
};
using TransactionPtr = std::shared_ptr<Transaction>;

class CommitQueue {
 public:
  explicit CommitQueue(const FenceLimits& limits) : limits_(limits) {}

  size_t size() const { return waiting_.size(); }
  bool empty() const { return waiting_.empty(); }

  void PushBack(TransactionPtr transaction) { waiting_.push_back(std::move(transaction)); }
  // Back to the head of the queue, in the given order, before anything that came later.
  void PushFront(const std::vector<TransactionPtr>& transactions);

  // The transactions of the next multi, within the limits; their paths are busy until Release.
  // Empty when nothing waits or the first must wait for a path.
  std::vector<TransactionPtr> TakeGroup();
  void Release(const Transaction& transaction);

  // Takes out those whose deadline has come.
  std::vector<TransactionPtr> TakeExpired(TimePoint now);
  std::vector<TransactionPtr> TakeAll();

 private:
  bool MustWait(const Transaction& transaction) const;

  const FenceLimits limits_;
  std::deque<TransactionPtr> waiting_;
  absl::flat_hash_set<std::string> busy_paths_;
};

}  // namespace baton
