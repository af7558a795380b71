// An ExecutionAttemptId on the wire.

#pragma once

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "rpc/messages.pb.h"

namespace baton {

pb::AttemptId ToProto(const ExecutionAttemptId& id);

// The next one has a number too: after it, none would begin again at 0.
inline constexpr uint32_t kMaxAttempt = 1'000'000'000;

// kInvalidArgument: the job's id has not exactly 16 bytes, or the number is over kMaxAttempt.
absl::StatusOr<ExecutionAttemptId> FromProto(const pb::AttemptId& id);

}  // namespace baton
