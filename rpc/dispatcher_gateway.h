// What REST asks of the leading Dispatcher (Flink's DispatcherGateway): plain questions, plain
// answers, no insides.
//
// Threading: any thread may call; callbacks come on the Dispatcher's executor: bind them. Errors:
// kNotFound, kInvalidArgument, kAlreadyExists (another job under that id), kFailedPrecondition (the
// job's state does not allow it), kResourceExhausted (429), kUnavailable (503), kAborted (it
// stopped leading in between: ask the next leader; nothing was answered yet), kUnknown.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/time.h"
#include "job/job_graph.h"
#include "job/states.h"

namespace baton {

struct SubmitRequest {
  JobId job_id;
  JobGraphPtr graph;
  std::string digest;  // of the canonical JSON
};

struct SubmitReply {
  JobId job_id;
  bool already_known = false;  // 200 with the same body instead of 202
};

struct JobOverview {
  JobId id;
  std::string name;
  JobStatus status = JobStatus::kInitializing;
  WallMillis start = kNotYet;
  WallMillis end = kNotYet;
  WallMillis last_modification = kNotYet;
  ExecutionStateCounts tasks{};
  uint32_t total_tasks = 0;
};

struct AttemptDetails {
  uint32_t subtask = 0;
  uint32_t attempt = 0;
  Epoch epoch;  // of the leader that deployed it
  ExecutionState state = ExecutionState::kCreated;
  std::string task_manager_id;  // empty: none
  std::string endpoint;         // host of the TaskManager
  WallMillis start = kNotYet;
  WallMillis end = kNotYet;
  std::map<ExecutionState, WallMillis> timestamps;
  std::string failure;
  std::optional<int32_t> exit_code;
};

struct VertexDetails {
  std::string id;
  std::string name;
  uint32_t parallelism = 0;
  ExecutionState status = ExecutionState::kCreated;
  WallMillis start = kNotYet;
  WallMillis end = kNotYet;
  ExecutionStateCounts tasks{};
  std::vector<AttemptDetails> subtasks;  // current attempts; only where asked for
};

struct ExceptionEntry {
  std::string message;
  WallMillis timestamp = kNotYet;
  std::string task_name;  // "Count words (3/8)"
  std::string endpoint;
  std::string task_manager_id;
};

struct JobDetails {
  JobOverview overview;
  int32_t priority = 0;
  std::map<JobStatus, WallMillis> timestamps;
  std::vector<VertexDetails> vertices;
  JobGraphPtr graph;                       // null where only the result is kept
  std::vector<ExceptionEntry> exceptions;  // newest first, bounded
  std::string failure_cause;
  std::string restart_strategy;  // in words
};

struct ClusterOverview {
  uint32_t task_managers = 0;
  uint32_t slots_total = 0;
  uint32_t slots_available = 0;
  uint32_t jobs_running = 0;  // every job that is not globally terminal
  uint32_t jobs_finished = 0;
  uint32_t jobs_cancelled = 0;
  uint32_t jobs_failed = 0;
};

// A TaskManager takes no more tasks; those that run at the deadline are moved.
struct DrainInfo {
  WallMillis deadline = kNotYet;  // none: they may finish
};

struct TaskManagerInfo {
  enum class Link {
    kConnected,
    kDisconnected,  // its tasks may be alive: it is waited for
    kAwaited,       // held tasks under an earlier leader and has not been heard since
  };

  std::string id;
  Link link = Link::kConnected;
  std::optional<DrainInfo> drain;
  std::string host;
  std::string rpc_address;  // of its link
  std::string liveness_address;
  uint32_t slots = 0;
  uint32_t free_slots = 0;
  uint32_t cpu_cores = 0;
  uint64_t memory_bytes = 0;
  WallMillis last_heartbeat = kNotYet;
  std::vector<JobId> allocated;  // the job of each slot in use
};

struct DrainRequest {
  enum class Action { kBegin, kCancel };

  std::string task_manager;
  Action action = Action::kBegin;
  std::optional<Duration> deadline;  // from now; none: tasks may finish
};

struct TaskLogRequest {
  JobId job;
  std::string vertex_id;
  uint32_t subtask = 0;
  uint32_t attempt = 0;
  std::string stream;  // "stdout" or "stderr"
  uint64_t offset = 0;
  uint32_t limit = 0;  // bytes
};

struct TaskLogChunk {
  std::string content;
  uint64_t size = 0;   // of the whole log now
  bool ended = false;  // nothing will be added
};

class DispatcherGateway {
 public:
  template <class T>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  virtual ~DispatcherGateway() = default;

  virtual Epoch epoch() const = 0;

  // Durable (P1) when the callback says OK.
  virtual void SubmitJob(SubmitRequest request, Callback<SubmitReply> callback) = 0;

  // OK when the intent to cancel is durable; a job that is CANCELED already: OK.
  // kFailedPrecondition: it ended otherwise.
  virtual void CancelJob(JobId job, absl::AnyInvocable<void(absl::Status)> callback) = 0;

  // Running and terminal jobs, each once.
  virtual void ListJobs(Callback<std::vector<JobOverview>> callback) = 0;
  virtual void GetJob(JobId job, Callback<JobDetails> callback) = 0;
  // With its subtasks.
  virtual void GetVertex(JobId job, std::string vertex_id, Callback<VertexDetails> callback) = 0;

  virtual void GetOverview(Callback<ClusterOverview> callback) = 0;
  virtual void ListTaskManagers(Callback<std::vector<TaskManagerInfo>> callback) = 0;
  // OK once the TaskManager has it. Repeatable; the newest counts.
  virtual void DrainTaskManager(DrainRequest request,
                                absl::AnyInvocable<void(absl::Status)> callback) = 0;
  // Its host is dead, says the operator: its subtasks run elsewhere from now on.
  // kFailedPrecondition: it is alive.
  virtual void ForgetTaskManager(std::string id,
                                 absl::AnyInvocable<void(absl::Status)> callback) = 0;

  // OK once the list of members is changed (3.6). kFailedPrecondition: it leads.
  virtual void RetireReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) = 0;
  // One that was retired may be admitted again.
  virtual void AdmitReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) = 0;

  virtual void ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback) = 0;
};
using DispatcherGatewayPtr = std::shared_ptr<DispatcherGateway>;

}  // namespace baton
