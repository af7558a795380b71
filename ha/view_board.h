// Holds the newest LeadershipView of a replica: for readers on any thread, and for listeners on the
// election's executor, which hear true changes only (FLINK-20047).

#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/executor.h"
#include "ha/leader_election.h"

namespace baton {

// A leader answers as such only while its newest confirmation is at most so old (3.5).
inline constexpr Duration kConfirmationLife = std::chrono::seconds(3);

class ViewBoard {
 public:
  explicit ViewBoard(ExecutorPtr executor) : executor_(std::move(executor)) {}

  void AddListener(LeaderElection::ViewListener listener);

  // `fence`: of the own epoch while leading, else null; it decides self_leads.
  void Publish(LeadershipView view, LeaderFencePtr fence);

  // Any thread. The age of the confirmation is judged now, even if the executor is held up.
  LeadershipView Snapshot() const;

 private:
  bool IsConfirmed(const LeaderFencePtr& fence) const;

  const ExecutorPtr executor_;
  std::vector<LeaderElection::ViewListener> listeners_;
  LeadershipView told_;  // what the listeners heard last
  bool telling_ = false;

  mutable std::mutex mutex_;
  LeadershipView view_;
  LeaderFencePtr fence_;
};

}  // namespace baton
