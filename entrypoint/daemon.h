// What the daemons share: flags, configuration, logs, signals, the ready file.

#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/config.h"
#include "rpc/cluster_secret.h"

namespace baton {

struct DaemonFlag {
  const char* name;
  const char* description;
  bool* given;
};

// Reads --config FILE and -D key=value, arms fault points, opens the log, ignores SIGPIPE and
// blocks SIGTERM and SIGINT in this and every later thread. On a bad flag or configuration it says
// so on stderr and exits with 2; --help exits with 0.
// `flags` are those of this daemon alone; what they point to outlives the call.
Config StartDaemon(const std::string& name, const std::string& description, int argc, char** argv,
                   std::span<const DaemonFlag> flags = {});

// What security.cluster-secret-file holds; null: it names none.
absl::StatusOr<ClusterSecretsPtr> LoadClusterSecrets(const Config& config);

// Raises the limit of open files to what the system allows (a TaskManager does not: its tasks would
// inherit it, and programs that use select() misbehave then). Warns if it is below `needed`.
void RaiseFileLimit(uint64_t needed);

// Blocks until SIGTERM or SIGINT and returns it.
int WaitForSignal();

// Whole or not at all: written beside it and renamed. An empty name does nothing.
absl::Status WriteReadyFile(const std::string& file, const std::string& content);

}  // namespace baton
