// The attempts that a TaskManager knows: which hold a slot, and which have ended but whose end the
// leader has not confirmed as durable. What changed is reported until it is confirmed.
//
// Lives on the executor of its TaskExecutor, which owns it. Bounded: by the slots and by
// kMaxUnconfirmed.

#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/time.h"
#include "rpc/messages.pb.h"

namespace baton {

class TaskTable {
 public:
  static constexpr size_t kMaxUnconfirmed = 10'000;
  static constexpr size_t kMaxRetired = 100'000;
  static constexpr Duration kResendInterval = std::chrono::seconds(5);

  explicit TaskTable(size_t slots) : slots_(slots) {}

  enum class Admission { kNew, kKnown };
  // Takes a slot for a new attempt. kResourceExhausted: no free slot, or too many ends wait for
  // their confirmation. kFailedPrecondition: the attempt has been declared dead here.
  absl::StatusOr<Admission> Admit(const ExecutionAttemptId& id);

  void OnStarted(const ExecutionAttemptId& id, int64_t pid, WallMillis started);
  void OnEnded(const ExecutionAttemptId& id, pb::FinalReport report);

  // The end is durable: forgets it. One that has not ended is kept.
  void Confirm(const ExecutionAttemptId& id);

  // Dead, and stays so: a deployment of it that comes late is refused.
  void Retire(const ExecutionAttemptId& id);
  // A new registration: deployments of the old one are refused as such.
  void ForgetRetired();

  enum class Presence { kUnknown, kAlive, kEnded };
  Presence Find(const ExecutionAttemptId& id) const;

  // Epoch 0 asks for the attempt of that number, whichever leader deployed it.
  bool MayWriteLogs(const ExecutionAttemptId& id) const;

  void MarkCancelRequested(const ExecutionAttemptId& id);
  bool IsCancelRequested(const ExecutionAttemptId& id) const;

  // Reported again with the next batch.
  void MarkForReport(const ExecutionAttemptId& id) { due_.insert(id); }

  // What has to be reported now, at most `limit`; it counts as sent.
  std::vector<pb::AttemptStatus> TakeReports(TimePoint now, size_t limit);
  // Ends that were sent long ago and not confirmed are due again.
  void ResendUnconfirmed(TimePoint now);
  // Everything; it counts as sent.
  std::vector<pb::AttemptStatus> TakeInventory(TimePoint now);

  std::vector<ExecutionAttemptId> Alive() const;
  size_t alive_count() const { return alive_; }
  bool has_due_reports() const { return !due_.empty(); }

 private:
  struct Entry {
    pb::AttemptStatus status;
    bool cancel_requested = false;
    TimePoint sent{};
  };

  const size_t slots_;
  size_t alive_ = 0;
  std::map<ExecutionAttemptId, Entry> entries_;
  std::set<ExecutionAttemptId> due_;
  std::set<ExecutionAttemptId> retired_;
  std::deque<ExecutionAttemptId> retired_order_;  // oldest first
};

}  // namespace baton
