// Sees a new epoch the moment a replica tells it: asks each of some replicas every few
// milliseconds.
//
// Owns its threads (one a replica, so that a silent one delays nobody); destruction ends them.

#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "rest/client/wait.h"

namespace baton {

class EpochWatch {
 public:
  struct Sighting {
    uint64_t epoch = 0;
    Clock::time_point at;
  };

  // Starts to ask; answers up to `epoch` are old news.
  EpochWatch(const std::vector<std::string>& urls, uint64_t epoch);
  ~EpochWatch();

  // The first sight of a later epoch with a leader; none: not until the deadline.
  std::optional<Sighting> Wait(Clock::time_point deadline);

 private:
  void Ask(const std::string& url);

  const uint64_t old_epoch_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable seen_;
  std::optional<Sighting> sighting_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace baton
