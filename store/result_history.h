// The results that are kept: the index of results/ in memory, and which of them must go.
//
// Plain data; lives where its owner does.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/ids.h"
#include "base/time.h"
#include "store/job_result_store.h"

namespace baton {

class ResultHistory {
 public:
  explicit ResultHistory(const HistoryLimits& limits) : limits_(limits) {}

  // A result known already stays as it is: results are never changed.
  void Add(const JobId& id, pb::JobResult result);
  void Remove(const JobId& id);

  const pb::JobResult* Find(const JobId& id) const;
  std::vector<pb::JobResult> List() const;  // oldest first
  size_t size() const { return results_.size(); }
  std::optional<WallMillis> oldest_end() const;

  // At most `count` results, oldest first, that are over a limit at `now` and not younger than
  // min_age.
  std::vector<JobId> Expired(WallMillis now, size_t count) const;

 private:
  const HistoryLimits limits_;
  absl::flat_hash_map<JobId, pb::JobResult> results_;
  std::set<std::pair<WallMillis, JobId>> by_end_;
};

}  // namespace baton
