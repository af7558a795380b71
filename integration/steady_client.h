// A client of the load balancer that submits one small job after the other, each under an id of its
// own, and never repeats a request: what it is answered is what any user would have been answered.
//
// Owns its thread; Stop (or destruction) waits for the answer that is outstanding.

#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace baton::integration {

class SteadyClient {
 public:
  // `balancer`: "host:port".
  explicit SteadyClient(std::string balancer);
  ~SteadyClient() { Stop(); }

  // Grows while it runs.
  size_t acknowledged_so_far() const { return count_; }

  void Stop();
  // After Stop.
  const std::vector<std::string>& acknowledged() const { return acknowledged_; }
  // Answers that were neither 2xx nor 503 with Retry-After, and broken connections.
  const std::vector<std::string>& errors() const { return errors_; }
  size_t told_to_wait() const { return told_to_wait_; }

 private:
  void Run();

  const std::string balancer_;
  std::atomic<bool> stopping_ = false;
  std::atomic<size_t> count_ = 0;
  std::vector<std::string> acknowledged_;
  std::vector<std::string> errors_;
  size_t told_to_wait_ = 0;
  std::thread thread_;
};

}  // namespace baton::integration
