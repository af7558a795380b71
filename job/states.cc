#include "job/states.h"

namespace baton {
namespace {

constexpr std::array<std::string_view, kJobStatusCount> kJobStatusNames = {
    "INITIALIZING", "CREATED",  "RUNNING",    "FAILING",   "FAILED",     "CANCELLING",
    "CANCELED",     "FINISHED", "RESTARTING", "SUSPENDED", "RECONCILING"};

constexpr std::array<std::string_view, kExecutionStateCount> kExecutionStateNames = {
    "CREATED",  "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING",
    "FINISHED", "CANCELING", "CANCELED",  "FAILED",       "RECONCILING"};

// Row: from, a bit for each state that it may move to.
template <class State>
constexpr uint32_t To(std::initializer_list<State> states) {
  uint32_t bits = 0;
  for (State state : states) bits |= 1u << static_cast<unsigned>(state);
  return bits;
}

using enum JobStatus;

// SUSPENDED ends a JobMaster whose leadership ended; the next leader starts over at INITIALIZING
// with a JobMaster of its own. A cancelled job never turns FINISHED or RESTARTING (P6).
constexpr std::array<uint32_t, kJobStatusCount> kJobMoves = {
    /* INITIALIZING */ To({kCreated, kReconciling, kCancelling, kFailing, kFailed, kSuspended}),
    /* CREATED      */ To({kRunning, kReconciling, kCancelling, kFailing, kFailed, kSuspended}),
    /* RUNNING      */ To({kFinished, kFailing, kCancelling, kRestarting, kSuspended}),
    /* FAILING      */ To({kFailed, kCancelling, kRestarting, kSuspended}),
    /* FAILED       */ 0,
    /* CANCELLING   */ To({kCanceled, kFailed, kSuspended}),
    /* CANCELED     */ 0,
    /* FINISHED     */ 0,
    /* RESTARTING   */ To({kCreated, kRunning, kFailing, kCancelling, kSuspended}),
    /* SUSPENDED    */ 0,
    /* RECONCILING  */
    To({kRunning, kCancelling, kFailing, kFailed, kCanceled, kFinished, kRestarting, kSuspended}),
};

using E = ExecutionState;

// One attempt. DEPLOYING may be followed at once by any later state: a short task has ended before
// its start is reported. RECONCILING is an attempt of an earlier leader whose fate is being asked
// for: back to CREATED when it turns out that nothing was ever deployed, CANCELING when the job is
// cancelled meanwhile and it may be alive.
constexpr std::array<uint32_t, kExecutionStateCount> kExecutionMoves = {
    /* CREATED      */ To({E::kScheduled, E::kReconciling, E::kCanceled, E::kFailed}),
    /* SCHEDULED    */ To({E::kDeploying, E::kCanceled, E::kFailed}),
    /* DEPLOYING    */
    To({E::kInitializing, E::kRunning, E::kFinished, E::kCanceling, E::kCanceled, E::kFailed}),
    /* INITIALIZING */ To({E::kRunning, E::kFinished, E::kCanceling, E::kCanceled, E::kFailed}),
    /* RUNNING      */ To({E::kFinished, E::kCanceling, E::kCanceled, E::kFailed}),
    /* FINISHED     */ 0,
    /* CANCELING    */ To({E::kCanceled, E::kFailed}),
    /* CANCELED     */ 0,
    /* FAILED       */ 0,
    /* RECONCILING  */
    To({E::kCreated, E::kDeploying, E::kInitializing, E::kRunning, E::kFinished, E::kCanceling,
        E::kCanceled, E::kFailed}),
};

template <class State, size_t N>
std::optional<State> Find(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<State>(i);
  }
  return std::nullopt;
}

template <class State, size_t N>
constexpr std::array<State, N> All() {
  std::array<State, N> all{};
  for (size_t i = 0; i < N; ++i) all[i] = static_cast<State>(i);
  return all;
}

}  // namespace

std::string_view ToString(JobStatus status) { return kJobStatusNames[static_cast<size_t>(status)]; }

std::string_view ToString(ExecutionState state) {
  return kExecutionStateNames[static_cast<size_t>(state)];
}

std::optional<JobStatus> ParseJobStatus(std::string_view name) {
  return Find<JobStatus>(kJobStatusNames, name);
}

std::optional<ExecutionState> ParseExecutionState(std::string_view name) {
  return Find<ExecutionState>(kExecutionStateNames, name);
}

const std::array<JobStatus, kJobStatusCount>& AllJobStatuses() {
  static constexpr auto kAll = All<JobStatus, kJobStatusCount>();
  return kAll;
}

const std::array<ExecutionState, kExecutionStateCount>& AllExecutionStates() {
  static constexpr auto kAll = All<ExecutionState, kExecutionStateCount>();
  return kAll;
}

bool IsGloballyTerminal(JobStatus status) {
  return status == kFinished || status == kFailed || status == kCanceled;
}

bool IsTerminal(ExecutionState state) {
  return state == E::kFinished || state == E::kCanceled || state == E::kFailed;
}

bool MayMove(JobStatus from, JobStatus to) {
  return (kJobMoves[static_cast<size_t>(from)] >> static_cast<unsigned>(to)) & 1;
}

bool MayMove(ExecutionState from, ExecutionState to) {
  return (kExecutionMoves[static_cast<size_t>(from)] >> static_cast<unsigned>(to)) & 1;
}

ExecutionState AggregateState(const ExecutionStateCounts& counts, uint32_t total) {
  const auto count = [&](ExecutionState state) { return counts[static_cast<size_t>(state)]; };
  for (ExecutionState state :
       {E::kFailed, E::kCanceling, E::kCanceled, E::kInitializing, E::kRunning}) {
    if (count(state) > 0) return state;
  }
  if (count(E::kFinished) > 0) return count(E::kFinished) == total ? E::kFinished : E::kRunning;
  for (ExecutionState state : {E::kDeploying, E::kScheduled, E::kReconciling}) {
    if (count(state) > 0) return state;
  }
  return E::kCreated;
}

}  // namespace baton
