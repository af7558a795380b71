// The leaders that this replica has seen come, newest first: what GET /v1/failovers shows.
//
// Threading: any thread. Bounded; lives as long as the RestEndpoint.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "ha/leader_election.h"

namespace baton {

struct Failover {
  pb::LeaderRecord leader;      // who took the baton, when and why
  uint64_t previous_epoch = 0;  // the epoch seen before; 0: none
  std::string previous_replica;
  // From this replica's seeing that nobody leads to its seeing this leader; -1: it did not see the
  // beginning.
  int64_t leaderless_ms = -1;
};

class LeaderHistory {
 public:
  static constexpr size_t kMaxEntries = 100;

  // `now` is the executor's.
  void Observe(const LeadershipView& view, TimePoint now);

  std::vector<Failover> Snapshot() const;

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::deque<Failover> failovers_;  // newest first
  std::optional<TimePoint> leaderless_since_;
};

}  // namespace baton
