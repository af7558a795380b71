// Starts and ends task processes: the seam between a TaskManager and the operating system. The real
// one talks to the guardian (guardian_launcher.h); tests have a fake.
//
// Lives on the executor it was made with; callbacks come there.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/time.h"
#include "rpc/messages.pb.h"

namespace baton {

struct LaunchSpec {
  ExecutionAttemptId id;
  std::vector<std::string> command;                      // placeholders replaced
  std::vector<std::pair<std::string, std::string>> env;  // the whole environment but BATON_WORK_DIR
  Duration timeout = Duration::zero();                   // zero: none
};

struct LogChunk {
  std::string content;
  uint64_t size = 0;  // of the file now
};

class ProcessLauncher {
 public:
  struct Listener {
    std::function<void(const ExecutionAttemptId&, int64_t pid, WallMillis started)> on_started;
    // Once for every Launch, also when it could not be started. No process of the attempt is left.
    std::function<void(const ExecutionAttemptId&, pb::FinalReport)> on_ended;
    // The guardian is dead, and its successor could not be started at once (the disk is full, the
    // binary was removed, there is no memory): ready() is false until one can be, which is tried on
    // and on. Once a death; every attempt has been reported by on_ended before.
    std::function<void(absl::Status why)> on_guardian_missing;
    // The guardian is dead and its successor works; every attempt has been reported by on_ended
    // (GUARDIAN_LOST) before.
    std::function<void(absl::Status why)> on_guardian_lost;
  };
  using LogCallback = absl::AnyInvocable<void(absl::StatusOr<LogChunk>)>;

  virtual ~ProcessLauncher() = default;

  virtual void Start(Listener listener) = 0;

  // False while a dead guardian has no successor yet: what is launched then is REFUSED.
  virtual bool ready() const = 0;
  virtual void Launch(LaunchSpec spec) = 0;
  // SIGTERM to the group now, SIGKILL to all that is left after `grace`; the outcome is CANCELED.
  virtual void Stop(const ExecutionAttemptId& id, Duration grace) = 0;

  // When this instant passes with no other one set, the guardian kills every task (LEASE_EXPIRED),
  // whatever this process does. No task starts without a running lease. It may be earlier than the
  // one before.
  virtual void SetLeaseDeadline(TimePoint deadline) = 0;

  // stream: "stdout" or "stderr". An id of epoch 0 means the newest attempt with that number.
  // kNotFound: no such log (any more).
  virtual void ReadLog(const ExecutionAttemptId& id, const std::string& stream, uint64_t offset,
                       uint32_t limit, LogCallback callback) = 0;

  // Where a dead guardian shows by a refused connection, and the incarnation it answers with.
  virtual std::string liveness_address() const = 0;
  virtual Incarnation guardian_incarnation() const = 0;
};
using ProcessLauncherPtr = std::shared_ptr<ProcessLauncher>;

}  // namespace baton
