// The end of what an earlier incarnation of a TaskManager left running: its guardian, if that
// hangs, and processes that outlived even the guardian. For whoever holds the lock of its work
// directory.
//
// Blocks: for the start of a process, before anything runs.

#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "base/ids.h"

namespace baton {

// Writes down which guardian works for `work_directory`: <work_directory>/guardian.pid.
absl::Status RecordGuardian(const std::string& work_directory, pid_t pid,
                            const Incarnation& incarnation);

// Ends the guardian that is written down and every process that it started.
absl::Status EndEarlierIncarnation(const std::string& work_directory);

}  // namespace baton
