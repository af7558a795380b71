#include "cli/chaos/replica_poll.h"

#include <utility>

#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {

ReplicaPoll::ReplicaPoll(const std::map<std::string, std::string>& replicas,
                         std::chrono::milliseconds interval, Ask ask)
    : interval_(interval), ask_(std::move(ask)) {
  for (const auto& [name, url] : replicas) {
    threads_.emplace_back([this, name, url] { Run(name, url); });
  }
}

void ReplicaPoll::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ReplicaPoll::Run(const std::string& replica, const std::string& url) {
  const auto client = ProbeClient(url);
  while (client.ok() && !stopping_) {
    ask_(replica, **client);
    RestUntil(Clock::now() + interval_);
  }
}

}  // namespace baton
