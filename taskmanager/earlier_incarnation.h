// A TaskManager's hold on its work directory, and the end of what an earlier incarnation left
// running there: its guardian, if that hangs, and processes that outlived even the guardian.
//
// Blocks: for the start of a process, before anything runs.

#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"

namespace baton {

// Held while it lives; the kernel frees it when the process dies.
class WorkDirectoryLock {
 public:
  // Makes the directory if need be. kUnavailable: another TaskManager works there.
  static absl::StatusOr<std::unique_ptr<WorkDirectoryLock>> Take(const std::string& work_directory);
  ~WorkDirectoryLock();
  WorkDirectoryLock(const WorkDirectoryLock&) = delete;
  WorkDirectoryLock& operator=(const WorkDirectoryLock&) = delete;

 private:
  explicit WorkDirectoryLock(int fd) : fd_(fd) {}
  const int fd_;
};

// Writes down which guardian works for `work_directory`: <work_directory>/guardian.pid.
absl::Status RecordGuardian(const std::string& work_directory, pid_t pid,
                            const Incarnation& incarnation);

// Ends the guardian that is written down and every process that it started.
absl::Status EndEarlierIncarnation(const std::string& work_directory);

}  // namespace baton
