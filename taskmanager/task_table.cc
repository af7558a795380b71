#include "taskmanager/task_table.h"

#include <utility>

#include "base/deliberate_break.h"
#include "base/status.h"
#include "rpc/attempt_id.h"

namespace baton {

absl::StatusOr<TaskTable::Admission> TaskTable::Admit(const ExecutionAttemptId& id) {
  if (entries_.contains(id)) return Admission::kKnown;
  if (retired_.contains(id)) return FailedPrecondition("the attempt was declared dead here");
  if (alive_ >= slots_) return ResourceExhausted("no free slot of {}", slots_);
  if (entries_.size() - alive_ >= kMaxUnconfirmed) {
    return ResourceExhausted("{} final reports wait for their confirmation",
                             entries_.size() - alive_);
  }
  Entry entry;
  *entry.status.mutable_id() = ToProto(id);
  entry.status.set_phase(pb::AttemptStatus::STARTING);
  entry.status.set_started_ms(kNotYet);
  entries_.emplace(id, std::move(entry));
  ++alive_;
  return Admission::kNew;
}

void TaskTable::OnStarted(const ExecutionAttemptId& id, int64_t pid, WallMillis started) {
  auto it = entries_.find(id);
  if (it == entries_.end() || it->second.status.phase() != pb::AttemptStatus::STARTING) return;
  it->second.status.set_phase(pb::AttemptStatus::RUNNING);
  it->second.status.set_pid(pid);
  it->second.status.set_started_ms(started);
  due_.insert(id);
}

void TaskTable::OnEnded(const ExecutionAttemptId& id, pb::FinalReport report) {
  auto it = entries_.find(id);
  if (it == entries_.end() || it->second.status.phase() == pb::AttemptStatus::ENDED) return;
  it->second.status.set_phase(pb::AttemptStatus::ENDED);
  *it->second.status.mutable_report() = std::move(report);
  --alive_;
  due_.insert(id);
}

void TaskTable::Confirm(const ExecutionAttemptId& id) {
  if (Find(id) != Presence::kEnded) return;
  entries_.erase(id);
  due_.erase(id);
  Retire(id);
}

void TaskTable::Retire(const ExecutionAttemptId& id) {
  if (!retired_.insert(id).second) return;
  retired_order_.push_back(id);
  if (retired_order_.size() <= kMaxRetired) return;
  retired_.erase(retired_order_.front());
  retired_order_.pop_front();
}

void TaskTable::ForgetRetired() {
  retired_.clear();
  retired_order_.clear();
}

TaskTable::Presence TaskTable::Find(const ExecutionAttemptId& id) const {
  auto it = entries_.find(id);
  if (it == entries_.end()) return Presence::kUnknown;
  return it->second.status.phase() == pb::AttemptStatus::ENDED ? Presence::kEnded
                                                               : Presence::kAlive;
}

bool TaskTable::MayWriteLogs(const ExecutionAttemptId& id) const {
  if (id.epoch != Epoch{}) return Find(id) == Presence::kAlive;
  // The epoch is the last to be compared: the candidates stand together.
  for (auto it = entries_.lower_bound(id); it != entries_.end(); ++it) {
    ExecutionAttemptId candidate = it->first;
    candidate.epoch = id.epoch;
    if (candidate != id) return false;
    if (it->second.status.phase() != pb::AttemptStatus::ENDED) return true;
  }
  return false;
}

void TaskTable::MarkCancelRequested(const ExecutionAttemptId& id) {
  if (auto it = entries_.find(id); it != entries_.end()) it->second.cancel_requested = true;
}

bool TaskTable::IsCancelRequested(const ExecutionAttemptId& id) const {
  auto it = entries_.find(id);
  return it != entries_.end() && it->second.cancel_requested;
}

std::vector<pb::AttemptStatus> TaskTable::TakeReports(TimePoint now, size_t limit) {
  std::vector<pb::AttemptStatus> reports;
  while (!due_.empty() && reports.size() < limit) {
    auto it = entries_.find(*due_.begin());
    due_.erase(due_.begin());
    if (it == entries_.end()) continue;
    it->second.sent = now;
    reports.push_back(it->second.status);
    const bool ended = it->second.status.phase() == pb::AttemptStatus::ENDED;
    if (ended && Broken(Break::kReportsForgotten)) entries_.erase(it);
  }
  return reports;
}

void TaskTable::ResendUnconfirmed(TimePoint now) {
  for (const auto& [id, entry] : entries_) {
    const bool ended = entry.status.phase() == pb::AttemptStatus::ENDED;
    if (ended && now - entry.sent >= kResendInterval) due_.insert(id);
  }
}

std::vector<pb::AttemptStatus> TaskTable::TakeInventory(TimePoint now) {
  std::vector<pb::AttemptStatus> inventory;
  for (auto& [id, entry] : entries_) {
    entry.sent = now;
    inventory.push_back(entry.status);
  }
  return inventory;
}

std::vector<ExecutionAttemptId> TaskTable::Alive() const {
  std::vector<ExecutionAttemptId> alive;
  for (const auto& [id, entry] : entries_) {
    if (entry.status.phase() != pb::AttemptStatus::ENDED) alive.push_back(id);
  }
  return alive;
}

}  // namespace baton
