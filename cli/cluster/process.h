// Processes that outlive the command that started them, known by pid AND start time: a pid that
// the kernel has given to somebody else is never signalled.
//
// Threading: any thread; short system calls only, no waiting.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace baton {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat: ticks since boot

  bool operator==(const ProcessId&) const = default;
};

enum class Lifetime {
  kOfItsOwn,         // goes on when the starter ends
  kWithThisProcess,  // gets SIGKILL when the thread that started it ends (tests leave nothing)
};

struct SpawnSpec {
  std::vector<std::string> argv;           // argv[0] with its path
  std::map<std::string, std::string> env;  // added to this process's environment
  std::string directory;                   // working directory
  std::string log_file;                    // stdout and stderr are appended to it
  Lifetime lifetime = Lifetime::kOfItsOwn;
  std::string network_namespace;  // a file under /run/netns; empty: the one of this process
};

// In a session of its own, stdin from /dev/null. kNotFound / kInternal with the kernel's words when
// the program cannot be executed.
absl::StatusOr<ProcessId> Spawn(const SpawnSpec& spec);

// This process itself.
ProcessId ThisProcess();

// The start time of whoever has this pid now; none: nobody, or only a zombie.
std::optional<uint64_t> StartTimeOf(pid_t pid);

bool IsAlive(const ProcessId& process);

// kNotFound: it is gone.
absl::Status SendSignal(const ProcessId& process, int signal);

// Each of its threads rests. A SIGSTOP has been sent long before: it waits for one thread of the
// process to run and take it, and until then the others go on working.
bool IsStopped(const ProcessId& process);

// How a child of this process ended, once it has ("SIGKILL", "exit 85"); none: it lives, or it is
// nobody's child here. Remembers nothing: asks the kernel once and reaps.
std::optional<std::string> ReapIfEnded(const ProcessId& process);

// "SIGKILL" for 9.
std::string SignalName(int signal);

}  // namespace baton
