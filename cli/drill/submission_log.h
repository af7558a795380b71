// Every submission of a drill: when it was sent, when it was answered, and how.
//
// Threading: any thread. Grows by one small record a submission; a drill is bounded in time.

#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "rest/client/wait.h"

namespace baton {

struct Submission {
  std::string id;
  Clock::time_point sent;
  Clock::time_point answered;
  bool acknowledged = false;  // 2xx
  std::string replica;        // X-Baton-Replica of the answer
  std::string error;          // of one that was not acknowledged
};

class SubmissionLog {
 public:
  void Add(Submission submission);

  uint64_t submitted() const;
  uint64_t acknowledged() const;
  uint64_t errors() const { return submitted() - acknowledged(); }
  std::vector<std::string> AcknowledgedIds() const;
  std::map<std::string, uint64_t> AcknowledgedByReplica() const;
  // The most recent ones, for a person to read.
  std::vector<std::string> LastErrors(size_t count) const;

  // When the first acknowledgement after `time` came.
  std::optional<Clock::time_point> FirstAcknowledgedAfter(Clock::time_point time) const;

  // The longest time without an acknowledgement that ends between `from` and `until`; it may have
  // begun before `from`. What is still unanswered at `until` counts up to there.
  std::chrono::nanoseconds LongestGap(Clock::time_point from, Clock::time_point until) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Submission> submissions_;  // guarded by mutex_
};

}  // namespace baton
