// The jobs of this leadership that are not yet terminal, by id: one JobManagerRunner each.
//
// Lives on the executor of the leader process, owned by the Dispatcher.

#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "dispatcher/job_manager_runner.h"

namespace baton {

class JobRegistry : public std::enable_shared_from_this<JobRegistry> {
 public:
  // `common`: as for a JobManagerRunner; its on_done is set here.
  explicit JobRegistry(JobManagerRunner::Dependencies common) : common_(std::move(common)) {}

  JobManagerRunner& Add(const JobId& id, pb::JobPointer pointer);
  JobManagerRunner* Find(const JobId& id) const;
  size_t size() const { return runners_.size(); }
  std::vector<JobOverview> Overviews() const;
  std::set<std::string> GraphDigests() const;

 private:
  JobManagerRunner::Dependencies common_;
  absl::btree_map<JobId, std::shared_ptr<JobManagerRunner>> runners_;
};

}  // namespace baton
