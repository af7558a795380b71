// An ExecutionAttemptId on the wire.

#pragma once

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rpc/messages.pb.h"

namespace baton {

pb::AttemptId ToProto(const ExecutionAttemptId& id);

// kInvalidArgument: the job's id has not exactly 16 bytes.
absl::StatusOr<ExecutionAttemptId> FromProto(const pb::AttemptId& id);

}  // namespace baton
