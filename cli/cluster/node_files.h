// What each node of a local cluster needs before it starts: its configuration on disk and the
// command that runs it.

#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"
#include "cli/cluster/process.h"

namespace baton {

// Writes the directories and configuration files of every node; the same again is harmless.
absl::Status WriteNodeFiles(const ClusterState& state);

// kNotFound: a program is missing; the message says which and where it was looked for.
absl::StatusOr<SpawnSpec> CommandOf(const ClusterState& state, const ClusterNode& node);

// The path of a program of ours ("baton-dispatcher"): it stands beside this one, or in
// BATON_BIN_DIR. kNotFound.
absl::StatusOr<std::string> DaemonPath(const std::string& name);

}  // namespace baton
