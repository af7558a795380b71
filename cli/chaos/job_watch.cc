#include "cli/chaos/job_watch.h"

#include <utility>

#include "base/random.h"
#include "cli/chaos/task_witness.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kInterval(150);

}  // namespace

JobWatch::JobWatch(const std::map<std::string, std::string>& replicas, Choose choose)
    : choose_(std::move(choose)) {
  for (const auto& [name, url] : replicas) {
    threads_.emplace_back([this, name, url] { Ask(name, url); });
  }
}

JobWatch::~JobWatch() { Stop(); }

void JobWatch::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void JobWatch::Ask(const std::string& name, const std::string& url) {
  auto client = ProbeClient(url);
  const RandomPtr random = NewSystemRandom();
  while (client.ok() && !stopping_) {
    JobSighting sighting{choose_(random->Next()), name, WallNs()};
    if (!sighting.job.empty()) {
      const auto job = (*client)->GetJob(sighting.job);
      sighting.answered_ns = WallNs();
      if (job.ok()) {
        sighting.state = job->value.state;
        std::lock_guard lock(mutex_);
        sightings_.push_back(std::move(sighting));
      }
    }
    RestUntil(Clock::now() + kInterval);
  }
}

std::vector<JobSighting> JobWatch::Sightings() const {
  std::lock_guard lock(mutex_);
  return sightings_;
}

}  // namespace baton
