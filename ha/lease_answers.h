// When this replica last told which TaskManager that it does not lead (way 2 of 3.6). Such
// an answer may have renewed a lease; should this replica lead later (or resume), it must not count
// that TaskManager as lost before lease + 1 s after it.
//
// Plain data; lives on the executor of the election that owns it.

#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>

#include "base/deliberate_break.h"
#include "base/ids.h"
#include "base/time.h"

namespace baton {

class LeaseAnswers {
 public:
  // Far beyond any lease: what is older can renew nothing any more.
  static constexpr Duration kKept = std::chrono::hours(1);

  explicit LeaseAnswers(size_t capacity = 100'000) : capacity_(capacity) {}

  // False when it cannot be remembered: then the answer must not be given.
  bool Remember(const TaskManagerId& task_manager, TimePoint now) {
    if (Broken(Break::kLeaseAnswersForgotten)) return true;
    if (now >= next_pruning_) Prune(now);
    auto found = last_.find(task_manager);
    if (found == last_.end()) {
      if (last_.size() >= capacity_) return false;
      found = last_.emplace(task_manager, now).first;
    }
    found->second = now;
    return true;
  }

  std::optional<TimePoint> Last(const TaskManagerId& task_manager) const {
    auto found = last_.find(task_manager);
    if (found == last_.end()) return std::nullopt;
    return found->second;
  }

  size_t size() const { return last_.size(); }

 private:
  void Prune(TimePoint now) {
    std::erase_if(last_, [now](const auto& entry) { return entry.second < now - kKept; });
    next_pruning_ = now + std::chrono::minutes(1);
  }

  const size_t capacity_;
  std::map<TaskManagerId, TimePoint> last_;
  TimePoint next_pruning_;
};

}  // namespace baton
