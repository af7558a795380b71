// Is there anything that an earlier leader left? Asked only before the very first election: where
// `epoch` is missing (or counts from 0 again) although jobs, results or TaskManagers are on record,
// the tree was damaged, and an election would let epochs go back (3.2).

#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"

namespace baton {

// The path of one entry below jobs/, results/ or roster/; empty: there is none.
using StoredStateCallback = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
void FindStoredState(CoordinationClientPtr client, const CoordinationPaths& paths,
                     StoredStateCallback callback);

}  // namespace baton
