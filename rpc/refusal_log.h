// Warns of links that were refused, once a minute for each peer: a process with a wrong secret
// tries again and again, and a stranger may knock a thousand times a second.
//
// Lives on one executor, which gives the time; owned by whoever opens or accepts links.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "base/executor.h"

namespace baton {

class RefusalLog {
 public:
  static constexpr Duration kInterval = std::chrono::minutes(1);
  // Beyond, new peers share one line.
  static constexpr size_t kMaxPeers = 100;

  explicit RefusalLog(ExecutorPtr executor) : executor_(std::move(executor)) {}

  // `peer`: without what differs from one connection to the next.
  void Warn(const std::string& peer, const absl::Status& why);

 private:
  struct Said {
    TimePoint at;
    uint64_t unsaid = 0;  // refusals since
  };

  const ExecutorPtr executor_;
  std::map<std::string, Said> said_;
};

// Of "host:port".
std::string HostOfPeer(const std::string& address);

}  // namespace baton
