#include "store/result_history.h"

namespace baton {

void ResultHistory::Add(const JobId& id, pb::JobResult result) {
  const WallMillis end = result.ended_at_ms();
  if (results_.emplace(id, std::move(result)).second) by_end_.emplace(end, id);
}

void ResultHistory::Remove(const JobId& id) {
  auto it = results_.find(id);
  if (it == results_.end()) return;
  by_end_.erase({it->second.ended_at_ms(), id});
  results_.erase(it);
}

const pb::JobResult* ResultHistory::Find(const JobId& id) const {
  auto it = results_.find(id);
  return it == results_.end() ? nullptr : &it->second;
}

std::vector<pb::JobResult> ResultHistory::List() const {
  std::vector<pb::JobResult> list;
  list.reserve(results_.size());
  for (const auto& [end, id] : by_end_) list.push_back(results_.at(id));
  return list;
}

std::optional<WallMillis> ResultHistory::oldest_end() const {
  if (by_end_.empty()) return std::nullopt;
  return by_end_.begin()->first;
}

std::vector<JobId> ResultHistory::Expired(WallMillis now, size_t count) const {
  std::vector<JobId> expired;
  size_t left = results_.size();
  for (const auto& [end, id] : by_end_) {
    const bool too_old = now - end > ToMillis(limits_.max_age);
    const bool too_many = left > limits_.max_results;
    const bool young = now - end < ToMillis(limits_.min_age);
    if (expired.size() == count || young || (!too_old && !too_many)) break;
    expired.push_back(id);
    --left;
  }
  return expired;
}

}  // namespace baton
