#include "rest/leader_history.h"

#include <utility>

namespace baton {

void LeaderHistory::Observe(const LeadershipView& view, TimePoint now) {
  std::lock_guard lock(mutex_);
  const bool first = failovers_.empty();
  if (!view.leader) {
    // Before the first leader was seen, the beginning was not.
    if (!first && !leaderless_since_) leaderless_since_ = now;
    return;
  }
  const uint64_t newest = first ? 0 : failovers_.front().leader.epoch();
  if (view.leader->epoch() > newest) {
    Failover failover;
    failover.leader = *view.leader;
    if (!first) {
      failover.previous_epoch = newest;
      failover.previous_replica = failovers_.front().leader.replica_id();
      // One view showed the old leader, the next one the new: no gap was seen.
      failover.leaderless_ms = leaderless_since_ ? ToMillis(now - *leaderless_since_) : 0;
    }
    failovers_.push_front(std::move(failover));
    if (failovers_.size() > kMaxEntries) failovers_.pop_back();
  }
  leaderless_since_.reset();
}

std::vector<Failover> LeaderHistory::Snapshot() const {
  std::lock_guard lock(mutex_);
  return {failovers_.begin(), failovers_.end()};
}

}  // namespace baton
