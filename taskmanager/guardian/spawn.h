// Makes the process of a task: own session and process group, dead with its guardian, a clean
// environment, its own directory, nothing open but stdin (/dev/null), stdout and stderr.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace baton::guardian {

struct SpawnPlan {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value", the whole of it
  std::string directory;
};

// The three descriptors belong to the caller and are non-blocking.
struct Spawned {
  pid_t pid = -1;
  // Ends empty when the command runs; else holds what ReadExecState reads.
  int exec_result = -1;
  int stdout_pipe = -1;
  int stderr_pipe = -1;
};

// kResourceExhausted: no descriptors or processes left.
absl::StatusOr<Spawned> Spawn(const SpawnPlan& plan);

enum class ExecState { kPending, kRunning, kFailed };

// Whether the command runs by now; `failure` says why it does not ("exec bin/foo: No such file or
// directory").
ExecState ReadExecState(int exec_result, const std::string& command, std::string* failure);

// Called once before the first Spawn: as many descriptors as this process may have (tasks get the
// old limit back), no SIGPIPE.
void PrepareToSpawn();

}  // namespace baton::guardian
