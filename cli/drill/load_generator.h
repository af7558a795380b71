// Submits small jobs at a steady rate over several connections, each job under an id of its own,
// and records every answer. It never tries again: an error that reaches it is an error that a
// client of the load balancer would have seen.
//
// Owns its threads; Stop (or destruction) waits for the answers that are outstanding.

#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/random.h"
#include "cli/drill/submission_log.h"
#include "rest/client/http_session.h"

namespace baton {

class LoadGenerator {
 public:
  struct Options {
    std::string server;
    double jobs_per_second = 20;
    int connections = 32;  // as many submissions may be outstanding
    std::string job_json;  // submitted again and again
  };

  LoadGenerator(Options options, SubmissionLog* log);
  ~LoadGenerator();

  absl::Status Start();
  void Stop();

 private:
  void Work(HttpSession& session);
  Submission SubmitOne(HttpSession& session);

  const Options options_;
  SubmissionLog* const log_;
  const RandomPtr random_ = NewSystemRandom();
  Clock::time_point started_;  // constant after Start
  std::atomic<uint64_t> next_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace baton
