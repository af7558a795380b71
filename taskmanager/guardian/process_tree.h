// What the kernel says of processes below this one, and how they are ended. Signals go only to
// one's own children that are not yet reaped, or through a pidfd: a pid that was used again is
// never hit.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace baton::guardian {

struct ProcessStat {
  char state = '?';  // 'Z': dead, not yet reaped
  pid_t parent = 0;
  uint64_t start_ticks = 0;     // since boot; with the pid it names a process for ever
  int64_t block_io_ticks = -1;  // -1: the kernel does not count them
};

// None: there is no such process (any more).
std::optional<ProcessStat> ReadProcessStat(pid_t pid);

// The value of an environment variable as the process was started with it; none if it has none or
// may not be read.
std::optional<std::string> ReadEnvironment(pid_t pid, const std::string& name);

// Every process that may be seen.
std::vector<pid_t> ListProcesses();

// The direct children of this process, zombies too. A subreaper's list is complete in this sense:
// every descendant has a live ancestor, or is itself, in it.
std::vector<pid_t> ListChildren();

// Makes orphaned descendants children of this process instead of init's.
void BecomeSubreaper();

// SIGKILL to every child, their orphans when they arrive here, and so on until none is left or
// `limit` is over; whether none is left. Blocks. Reaps every child of this process.
bool KillAndReapAllChildren(Duration limit);

// SIGKILL to the process that `pid` named when it had `start_ticks`, and waits until it is gone.
// It need not be a child. Whether it is gone.
bool KillAndAwait(pid_t pid, uint64_t start_ticks, Duration limit);

}  // namespace baton::guardian
