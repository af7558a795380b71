// Asks every replica several times a second how one of the jobs is, a late one or any, and
// remembers each answer: what has once ended must stay so, whoever is asked, whoever leads.
//
// Any thread may read its sightings while it asks.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/random.h"
#include "cli/chaos/history.h"
#include "cli/chaos/replica_poll.h"

namespace baton {

class JobWatch {
 public:
  // The id of some job, by a lot; "": there is none yet. Called on the watch's threads.
  using Choose = std::function<std::string(uint64_t lot)>;

  // Names and URLs of the replicas.
  JobWatch(const std::map<std::string, std::string>& replicas, Choose choose);

  void Stop() { poll_.Stop(); }

  std::vector<JobSighting> Sightings() const;

 private:
  void Ask(const std::string& replica, RestClient& client);
  uint64_t NextLot();

  const Choose choose_;
  mutable std::mutex mutex_;
  const RandomPtr random_ = NewSystemRandom();  // guarded by mutex_
  std::vector<JobSighting> sightings_;          // guarded by mutex_
  ReplicaPoll poll_;                            // its threads use the rest
};

}  // namespace baton
