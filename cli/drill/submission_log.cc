#include "cli/drill/submission_log.h"

#include <algorithm>
#include <utility>

namespace baton {

void SubmissionLog::Add(Submission submission) {
  std::lock_guard lock(mutex_);
  submissions_.push_back(std::move(submission));
}

uint64_t SubmissionLog::submitted() const {
  std::lock_guard lock(mutex_);
  return submissions_.size();
}

uint64_t SubmissionLog::acknowledged() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint64_t>(std::count_if(submissions_.begin(), submissions_.end(),
                                             [](const auto& s) { return s.acknowledged; }));
}

std::vector<std::string> SubmissionLog::AcknowledgedIds() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const Submission& submission : submissions_) {
    if (submission.acknowledged) ids.push_back(submission.id);
  }
  return ids;
}

std::map<std::string, uint64_t> SubmissionLog::AcknowledgedByReplica() const {
  std::lock_guard lock(mutex_);
  std::map<std::string, uint64_t> counts;
  for (const Submission& submission : submissions_) {
    if (submission.acknowledged) ++counts[submission.replica];
  }
  return counts;
}

std::vector<std::string> SubmissionLog::LastErrors(size_t count) const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> errors;
  for (auto it = submissions_.rbegin(); it != submissions_.rend() && errors.size() < count; ++it) {
    if (!it->acknowledged) errors.push_back(it->id + ": " + it->error);
  }
  return errors;
}

std::optional<Clock::time_point> SubmissionLog::FirstAcknowledgedAfter(
    Clock::time_point time) const {
  std::lock_guard lock(mutex_);
  std::optional<Clock::time_point> first;
  for (const Submission& submission : submissions_) {
    if (!submission.acknowledged || submission.answered <= time) continue;
    if (!first || submission.answered < *first) first = submission.answered;
  }
  return first;
}

std::chrono::nanoseconds SubmissionLog::LongestGap(Clock::time_point from,
                                                   Clock::time_point until) const {
  std::vector<Clock::time_point> answers;
  {
    std::lock_guard lock(mutex_);
    for (const Submission& submission : submissions_) {
      if (submission.acknowledged && submission.answered <= until) {
        answers.push_back(submission.answered);
      }
    }
  }
  std::sort(answers.begin(), answers.end());
  answers.push_back(until);
  std::chrono::nanoseconds longest{0};
  Clock::time_point before = answers.front();
  for (const Clock::time_point answer : answers) {
    if (answer > from) longest = std::max<std::chrono::nanoseconds>(longest, answer - before);
    before = answer;
  }
  return longest;
}

}  // namespace baton
