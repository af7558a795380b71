// The lock that makes a directory one process's own.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace baton {

// Held until it is destroyed or the process ends, however it does.
class DirectoryLock {
 public:
  // Makes the directory if there is none. kUnavailable names the process that has it, and the
  // setting `key` by which to choose another one.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& directory,
                                                             std::string_view key);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace baton
