// From a TaskDeployment of the leader to what is launched here.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "rpc/messages.pb.h"
#include "taskmanager/process_launcher.h"

namespace baton {

// What every task finds in its environment unless its vertex says otherwise (sorted or not).
using DefaultEnvironment = std::vector<std::pair<std::string, std::string>>;

// Replaces the placeholders and puts the environment together: defaults, then the vertex's
// entries, then what Baton says (BATON_JOB_ID and so on; BATON_SHARED_DIR if `shared_directory` is
// not empty), which wins.
LaunchSpec ToLaunchSpec(const pb::TaskDeployment& task, const ExecutionAttemptId& id,
                        const DefaultEnvironment& defaults, const std::string& shared_directory);

}  // namespace baton
