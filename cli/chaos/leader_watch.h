// Asks every replica several times a second who leads, and remembers each answer: which epochs
// there were, and that nobody's word on them goes back.
//
// Owns its threads, one a replica, so that a silent one delays no other; Stop ends them.

#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/chaos/history.h"

namespace baton {

class LeaderWatch {
 public:
  // Names and URLs of the replicas.
  explicit LeaderWatch(const std::map<std::string, std::string>& replicas);
  ~LeaderWatch();

  void Stop();

  uint64_t NewestEpoch() const;
  // Only those that say something new: a replica's first word on an epoch or a leader, or a word
  // that goes back.
  std::vector<EpochSighting> Sightings() const;

 private:
  void Ask(const std::string& name, const std::string& url);

  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<EpochSighting> sightings_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace baton
