// Where a process keeps what it keeps (process.working-dir and what overrides parts of it), and the
// lock that makes a directory one process's own.

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/config.h"

namespace baton {

// Absolute; not made yet.
std::string WorkingDirectoryOf(const Config& config);
std::string StoreDirectoryOf(const Config& config);
std::string TaskDirectoryOf(const Config& config);
// Of a process that is the whole cluster: its tasks are all on this machine, and share one without
// anybody's doing.
std::string OwnSharedDirectoryOf(const Config& config);

// Held until it is destroyed or the process ends, however it does.
class DirectoryLock {
 public:
  // Makes the directory if there is none. kUnavailable names the process that has it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace baton
