// What clients ask of a leader that is none any more, directly at its REST port: fresh jobs, and
// the cancellation of a running one. All are sent at once; a stopped process finds them when it
// wakes.
//
// Belongs to one test, and is judged by ClusterTest::ExpectFenced. Its destructor waits for the
// answers.

#pragma once

#include <future>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "integration/http_exchange.h"

namespace baton::integration {

class LateWrites {
 public:
  struct Submission {
    std::string job;
    absl::StatusOr<HttpReply> reply;
  };

  // `address`: "host:port". `victim`: the job to cancel.
  LateWrites(const std::string& address, std::string victim);

  const std::string& victim() const { return victim_; }
  // These wait for the answers, once.
  std::vector<Submission> submissions();
  absl::StatusOr<HttpReply> cancellation() { return cancellation_.get(); }

 private:
  using Reply = std::future<absl::StatusOr<HttpReply>>;

  const std::string victim_;
  std::vector<std::pair<std::string, Reply>> submissions_;
  Reply cancellation_;
};

}  // namespace baton::integration
