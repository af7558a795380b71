#include "rpc/attempt_id.h"

#include <algorithm>
#include <array>

#include "base/status.h"

namespace baton {

pb::AttemptId ToProto(const ExecutionAttemptId& id) {
  pb::AttemptId proto;
  proto.set_job(id.job.bytes().data(), id.job.bytes().size());
  proto.set_vertex(id.vertex);
  proto.set_subtask(id.subtask);
  proto.set_attempt(id.attempt);
  proto.set_epoch(id.epoch.value);
  return proto;
}

absl::StatusOr<ExecutionAttemptId> FromProto(const pb::AttemptId& id) {
  std::array<uint8_t, 16> bytes;
  if (id.job().size() != bytes.size()) {
    return InvalidArgument("an attempt names a job by {} bytes, not 16", id.job().size());
  }
  std::copy(id.job().begin(), id.job().end(), bytes.begin());
  if (id.attempt() > kMaxAttempt) {
    return InvalidArgument("an attempt has the number {}, over {}", id.attempt(), kMaxAttempt);
  }
  ExecutionAttemptId attempt;
  attempt.job = JobId::FromBytes(bytes);
  attempt.vertex = id.vertex();
  attempt.subtask = id.subtask();
  attempt.attempt = id.attempt();
  attempt.epoch = Epoch{id.epoch()};
  return attempt;
}

}  // namespace baton
