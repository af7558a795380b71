#include "dispatcher/job_registry.h"

#include <utility>

namespace baton {

JobManagerRunner& JobRegistry::Add(const JobId& id, pb::JobPointer pointer) {
  JobManagerRunner::Dependencies deps = common_;
  deps.on_done = IfAlive(weak_from_this(),
                         [](JobRegistry& self, const JobId& done) { self.runners_.erase(done); });
  auto& runner = runners_[id];
  runner = std::make_shared<JobManagerRunner>(std::move(deps), id, std::move(pointer));
  return *runner;
}

JobManagerRunner* JobRegistry::Find(const JobId& id) const {
  auto it = runners_.find(id);
  return it == runners_.end() ? nullptr : it->second.get();
}

std::vector<JobOverview> JobRegistry::Overviews() const {
  std::vector<JobOverview> overviews;
  overviews.reserve(runners_.size());
  for (const auto& [id, runner] : runners_) overviews.push_back(runner->Overview());
  return overviews;
}

std::set<std::string> JobRegistry::GraphDigests() const {
  std::set<std::string> digests;
  for (const auto& [id, runner] : runners_) digests.insert(runner->graph_digest());
  return digests;
}

}  // namespace baton
