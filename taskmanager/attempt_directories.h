// The directories of attempts, <root>/<job>/<vertex>/<subtask>/<attempt>-e<epoch>/ with stdout,
// stderr and work/: read for REST, and removed, oldest first, beyond a limit.
//
// Blocks on the disk: lives on the executor for files; the constructor may run elsewhere before.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "taskmanager/process_launcher.h"

namespace baton {

class AttemptDirectories {
 public:
  static constexpr uint32_t kMaxReadBytes = 1 << 20;

  // Finds what earlier incarnations left; no attempt may be running. `kept_attempts`: how many
  // ended attempts keep their directory.
  AttemptDirectories(std::string root, size_t kept_attempts);

  // At most `limit` (and kMaxReadBytes) bytes from `offset`. An id of epoch 0 means the
  // newest attempt with that number, whichever leader deployed it. kNotFound: no such attempt (any
  // more).
  absl::StatusOr<LogChunk> ReadLog(const ExecutionAttemptId& id, const std::string& stream,
                                   uint64_t offset, uint32_t limit) const;

  // The attempt ended: its directory may go once enough newer ones are there.
  void AddEnded(const ExecutionAttemptId& id);

 private:
  std::string PathOf(const ExecutionAttemptId& id) const;
  std::string NewestPathOf(const ExecutionAttemptId& id) const;
  void FindEnded();
  void Prune();
  void Remove(const std::string& path);

  const std::string root_;
  const size_t kept_attempts_;
  std::deque<std::string> ended_;  // oldest first
};

}  // namespace baton
