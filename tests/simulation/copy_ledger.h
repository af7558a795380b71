// Which disks hold an undamaged copy of which graph, and which had one and lost it to an injected
// fault: what a leader was told is there may be gone by the time at which it commits.
//
// Single-threaded, as the simulation is. Told by the disks (FakeDisk::Listen), at the instant at
// which it happens.

#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "base/executor.h"

namespace baton {

class CopyLedger {
 public:
  // `clock` gives the time.
  explicit CopyLedger(ExecutorPtr clock) : clock_(std::move(clock)) {}

  void OnWritten(const std::string& disk, const std::string& digest);  // and synced
  void OnDeleted(const std::string& disk, const std::string& digest);  // by a process
  void OnLost(const std::string& disk, const std::string& digest);     // to a fault

  // Undamaged, at this instant.
  size_t Copies(const std::string& digest) const;
  // The same, and those that were lost to a fault after they had been written, at `since` or later.
  // Not one that a process has deleted: that is nobody's fault but its own.
  size_t CopiesOrLost(const std::string& digest, TimePoint since) const;

  // A graph that faults have left on some disk, but on fewer than `enough`: the next disk that is
  // lost may be its last.
  bool IsAnyShort(size_t enough) const;

 private:
  struct Copy {
    TimePoint written;
    bool lost = false;
  };
  using Disks = std::map<std::string, Copy>;

  const ExecutorPtr clock_;
  std::map<std::string, Disks> graphs_;  // by digest
};

}  // namespace baton
