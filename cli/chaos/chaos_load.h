// The clients of a run of chaos: they submit jobs of every kind at a steady rate through the
// balancer, some of them under one id through several replicas at once, cancel some, and send
// again, under the same id, what was not acknowledged. Each exchange is recorded.
//
// Owns its threads; Stop (or destruction) waits for what is under way.

#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/random.h"
#include "cli/chaos/history.h"
#include "rest/client/http_session.h"
#include "rest/client/wait.h"

namespace baton {

class ChaosLoad {
 public:
  struct Options {
    std::string balancer;                         // URL
    std::map<std::string, std::string> replicas;  // URLs by name
    std::string trace;                            // where tasks write, below the shared directory
    double jobs_per_second = 6;
    int clients = 32;
    uint64_t seed = 1;
  };

  explicit ChaosLoad(Options options);
  ~ChaosLoad();

  absl::Status Start();
  void Stop();

  // Submits one job now, and goes on until it is acknowledged or the deadline; its id.
  std::string SubmitNow(JobKind kind, Clock::time_point deadline, bool* acknowledged);
  // The same for a cancellation.
  bool CancelNow(const std::string& job, Clock::time_point deadline);

  // Ids of those jobs that should end at once, and were acknowledged before `before_ns`; with how
  // many tasks each has.
  std::map<std::string, size_t> ShortJobs(int64_t from_ns, int64_t before_ns) const;
  std::map<std::string, PlannedJob> Jobs() const;
  // An acknowledged one, chosen by the lot: every other time a late one. "": there is none.
  std::string SomeJob(uint64_t lot) const;
  std::vector<ClientRequest> Requests() const;
  // The longest time without an acknowledged submission that ends after `from_ns`, in ms.
  double LongestGapMs(int64_t from_ns, int64_t until_ns) const;
  size_t acknowledged() const;

 private:
  struct Client;  // the connections of one thread
  struct DueCancel {
    Clock::time_point due;
    std::string job;
    bool operator>(const DueCancel& other) const { return due > other.due; }
  };

  void Work();
  bool CancelIfDue(Client& client);
  std::string SubmitOne(Client& client, uint64_t number);
  void SubmitEverywhere(const std::string& job, const std::string& json, uint64_t number);
  // Until acknowledged, refused for good, or the deadline.
  bool Persist(Client& client, RequestKind kind, const std::string& job, const std::string& json,
               Clock::time_point deadline);
  int Exchange(HttpSession& session, const std::string& to, RequestKind kind,
               const std::string& job, const std::string& json);
  std::string Remember(JobKind kind, const PlannedJob& planned, Random& random);

  const Options options_;
  Clock::time_point started_;  // constant after Start
  std::atomic<uint64_t> next_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, PlannedJob> jobs_;
  std::vector<ClientRequest> requests_;
  std::vector<std::string> acknowledged_;  // by when; some more than once
  std::priority_queue<DueCancel, std::vector<DueCancel>, std::greater<>> cancels_;
  std::vector<std::thread> threads_;
};

}  // namespace baton
