#include "cli/chaos/job_watch.h"

#include <utility>

#include "cli/chaos/task_witness.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kInterval(150);

}  // namespace

JobWatch::JobWatch(const std::map<std::string, std::string>& replicas, Choose choose)
    : choose_(std::move(choose)),
      poll_(replicas, kInterval,
            [this](const std::string& replica, RestClient& client) { Ask(replica, client); }) {}

void JobWatch::Ask(const std::string& replica, RestClient& client) {
  JobSighting sighting{choose_(NextLot()), replica, WallNs()};
  if (sighting.job.empty()) return;
  const auto job = client.GetJob(sighting.job);
  if (!job.ok()) return;
  sighting.answered_ns = WallNs();
  sighting.state = job->value.state;
  std::lock_guard lock(mutex_);
  sightings_.push_back(std::move(sighting));
}

uint64_t JobWatch::NextLot() {
  std::lock_guard lock(mutex_);
  return random_->Next();
}

std::vector<JobSighting> JobWatch::Sightings() const {
  std::lock_guard lock(mutex_);
  return sightings_;
}

}  // namespace baton
