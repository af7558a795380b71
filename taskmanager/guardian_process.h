// Starts one guardian: fork and exec of baton-guardian with one end of a socketpair, and its Hello.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/time.h"
#include "taskmanager/guardian/message_socket.h"

namespace baton {

struct GuardianOptions {
  std::string binary;  // path of baton-guardian
  std::string name;    // of the TaskManager, for ps
  std::string work_directory;
  std::string liveness_address;       // host:port; port 0 takes a free one
  uint64_t log_max_bytes = 16 << 20;  // task.log.max-bytes, of one stream of one attempt
  Duration kill_grace = std::chrono::seconds(10);
  size_t kept_attempts = 2'000;  // how many ended attempts keep their directory

  std::string task_root() const { return work_directory + "/tasks"; }
};

// A running guardian; it ends everything and exits when the socket closes.
struct GuardianProcess {
  pid_t pid = -1;
  std::unique_ptr<guardian::MessageSocket> socket;
  std::string liveness_address;
  Incarnation incarnation;
};

// Blocks until it works. kUnavailable says why it does not.
absl::StatusOr<GuardianProcess> StartGuardian(const GuardianOptions& options);

}  // namespace baton
