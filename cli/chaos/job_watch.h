// Asks every replica several times a second how one of the jobs is, a late one or any, and
// remembers each answer: what has once ended must stay so, whoever is asked, whoever leads.
//
// Owns its threads, one a replica, so that a silent one delays no other; Stop ends them.

#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/chaos/history.h"

namespace baton {

class JobWatch {
 public:
  // The id of some job, by a lot; "": there is none yet. Called on the watch's threads.
  using Choose = std::function<std::string(uint64_t lot)>;

  // Names and URLs of the replicas.
  JobWatch(const std::map<std::string, std::string>& replicas, Choose choose);
  ~JobWatch();

  void Stop();

  std::vector<JobSighting> Sightings() const;

 private:
  void Ask(const std::string& name, const std::string& url);

  const Choose choose_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<JobSighting> sightings_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace baton
