// Asks every replica the same again and again, until stopped.
//
// Owns its threads, one a replica, so that a silent one delays no other; Stop ends them.

#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "rest/client/rest_client.h"

namespace baton {

class ReplicaPoll {
 public:
  // Called on the thread of that replica; the client gives up soon and repeats nothing.
  using Ask = std::function<void(const std::string& replica, RestClient& client)>;

  // Names and URLs of the replicas.
  ReplicaPoll(const std::map<std::string, std::string>& replicas,
              std::chrono::milliseconds interval, Ask ask);
  ~ReplicaPoll() { Stop(); }

  // Returns when the answers that were waited for have come.
  void Stop();

 private:
  void Run(const std::string& replica, const std::string& url);

  const std::chrono::milliseconds interval_;
  const Ask ask_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace baton
