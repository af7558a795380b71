// Asks every replica several times a second who leads, and remembers each answer: which epochs
// there were, and that nobody's word on them goes back.
//
// Any thread may read its sightings while it asks.

#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cli/chaos/history.h"
#include "cli/chaos/replica_poll.h"

namespace baton {

class LeaderWatch {
 public:
  // Names and URLs of the replicas.
  explicit LeaderWatch(const std::map<std::string, std::string>& replicas);

  void Stop() { poll_.Stop(); }

  uint64_t NewestEpoch() const;
  // Only those that say something new: a replica's first word on an epoch or a leader, or a word
  // that goes back.
  std::vector<EpochSighting> Sightings() const;

 private:
  void Ask(const std::string& replica, RestClient& client);

  mutable std::mutex mutex_;
  std::map<std::string, EpochSighting> last_;  // by replica; guarded by mutex_
  std::vector<EpochSighting> sightings_;       // guarded by mutex_
  ReplicaPoll poll_;                           // its threads use the rest
};

}  // namespace baton
