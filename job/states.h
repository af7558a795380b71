// The states of jobs and of execution attempts and the moves that are legal, after Flink's
// JobStatus and ExecutionState. One table each; whoever moves asks it.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace baton {

enum class JobStatus {
  kInitializing,
  kCreated,
  kRunning,
  kFailing,
  kFailed,
  kCancelling,
  kCanceled,
  kFinished,
  kRestarting,
  kSuspended,
  kReconciling,
};
inline constexpr size_t kJobStatusCount = 11;

enum class ExecutionState {
  kCreated,
  kScheduled,
  kDeploying,
  kInitializing,
  kRunning,
  kFinished,
  kCanceling,
  kCanceled,
  kFailed,
  kReconciling,
};
inline constexpr size_t kExecutionStateCount = 10;

// Flink's upper-case names ("CANCELLING" but "CANCELING", as there).
std::string_view ToString(JobStatus status);
std::string_view ToString(ExecutionState state);
std::optional<JobStatus> ParseJobStatus(std::string_view name);
std::optional<ExecutionState> ParseExecutionState(std::string_view name);

const std::array<JobStatus, kJobStatusCount>& AllJobStatuses();
const std::array<ExecutionState, kExecutionStateCount>& AllExecutionStates();

// FINISHED, FAILED, CANCELED: never left (P6).
bool IsGloballyTerminal(JobStatus status);
bool IsTerminal(ExecutionState state);

bool MayMove(JobStatus from, JobStatus to);
bool MayMove(ExecutionState from, ExecutionState to);

using ExecutionStateCounts = std::array<uint32_t, kExecutionStateCount>;  // by ExecutionState

// The state that tells most of `total` executions, as Flink's
// ExecutionJobVertex.getAggregateJobVertexState; CREATED where there is none.
ExecutionState AggregateState(const ExecutionStateCounts& counts, uint32_t total);

}  // namespace baton
