#include "cli/chaos/leader_watch.h"

#include <algorithm>

#include "cli/chaos/task_witness.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kInterval(200);

}  // namespace

LeaderWatch::LeaderWatch(const std::map<std::string, std::string>& replicas) {
  for (const auto& [name, url] : replicas) {
    threads_.emplace_back([this, name, url] { Ask(name, url); });
  }
}

LeaderWatch::~LeaderWatch() { Stop(); }

void LeaderWatch::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void LeaderWatch::Ask(const std::string& name, const std::string& url) {
  auto client = ProbeClient(url);
  EpochSighting last;
  while (client.ok() && !stopping_) {
    const auto view = (*client)->Leader();
    const bool told = view.ok() && view->value.epoch > 0 && !view->value.replica.empty();
    if (told && (view->value.epoch != last.epoch || view->value.replica != last.leader)) {
      last = {name, WallNs(), view->value.epoch, view->value.replica};
      std::lock_guard lock(mutex_);
      sightings_.push_back(last);
    }
    RestUntil(Clock::now() + kInterval);
  }
}

uint64_t LeaderWatch::NewestEpoch() const {
  std::lock_guard lock(mutex_);
  uint64_t newest = 0;
  for (const EpochSighting& sighting : sightings_) newest = std::max(newest, sighting.epoch);
  return newest;
}

std::vector<EpochSighting> LeaderWatch::Sightings() const {
  std::lock_guard lock(mutex_);
  return sightings_;
}

}  // namespace baton
