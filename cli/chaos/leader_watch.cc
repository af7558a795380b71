#include "cli/chaos/leader_watch.h"

#include <algorithm>

#include "cli/chaos/task_witness.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kInterval(200);

}  // namespace

LeaderWatch::LeaderWatch(const std::map<std::string, std::string>& replicas)
    : poll_(replicas, kInterval,
            [this](const std::string& replica, RestClient& client) { Ask(replica, client); }) {}

void LeaderWatch::Ask(const std::string& replica, RestClient& client) {
  const auto view = client.Leader();
  if (!view.ok() || view->value.epoch == 0 || view->value.replica.empty()) return;
  std::lock_guard lock(mutex_);
  EpochSighting& last = last_[replica];
  if (view->value.epoch == last.epoch && view->value.replica == last.leader) return;
  last = {replica, WallNs(), view->value.epoch, view->value.replica};
  sightings_.push_back(last);
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
