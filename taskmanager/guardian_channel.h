// The thread that talks to the guardian: sends requests, takes events, and when the guardian dies
// ends what it left (this process is a subreaper too) and starts the next one.
//
// Send and KillGuardian: any thread. Handlers are called on the channel's own thread: they post. At
// most one channel may live in a process, because it reaps every child. Ends with its destructor,
// which waits until the guardian has ended every task.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "taskmanager/guardian/guardian.pb.h"
#include "taskmanager/guardian_process.h"

namespace baton {

// Counts the guardians of one channel: a request meant for a dead one is dropped.
struct GuardianGeneration {
  uint64_t value = 1;
  auto operator<=>(const GuardianGeneration&) const = default;
};

struct GuardianAddress {
  std::string liveness_address;
  Incarnation incarnation;
};

class GuardianChannel {
 public:
  struct Handlers {
    std::function<void(std::vector<pb::GuardianEvent>)> on_events;
    // The guardian is dead, and so is every process that it had.
    std::function<void(std::string why)> on_lost;
    // The next one cannot be started yet; once a loss, on_restarted follows when it can. May be
    // null.
    std::function<void(std::string why)> on_restart_failed;
    std::function<void(GuardianGeneration, GuardianAddress)> on_restarted;
  };

  GuardianChannel(GuardianOptions options, GuardianProcess first, Handlers handlers);
  ~GuardianChannel();
  GuardianChannel(const GuardianChannel&) = delete;
  GuardianChannel& operator=(const GuardianChannel&) = delete;

  // kResourceExhausted: the guardian does not read.
  absl::Status Send(GuardianGeneration to, const pb::GuardianRequest& request);

  void KillGuardian();

 private:
  void Run();
  // Until the guardian is gone or the channel stops; says why.
  std::string Serve();
  absl::Status Exchange(short events);
  void EndGuardian(Duration patience);
  void Restart();
  bool stopping();
  void Wake();

  const GuardianOptions options_;
  const Handlers handlers_;
  const int wake_;  // eventfd

  std::mutex mutex_;
  // Guarded by mutex_; the socket is read only by the thread.
  bool stopping_ = false;
  GuardianGeneration generation_;
  GuardianProcess guardian_;  // pid -1: dead and reaped

  std::thread thread_;
};

}  // namespace baton
