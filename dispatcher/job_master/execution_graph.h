// The JobGraph as it runs: which subtask is in which state, which could start (Flink's
// ExecutionGraph → ExecutionJobVertex → ExecutionVertex → Execution).
//
// Pure state: no time of its own, no I/O, no callbacks. All-to-all edges are never expanded to
// pairs of subtasks, and a subtask that was never deployed takes a few bytes.
//
// Every move of a state is checked against the table of job/states.h: an illegal one aborts, it is
// a bug of the caller. Reset and RestoreFinished are no moves: they begin a new attempt, and take
// over an end that an earlier leader recorded.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "job/job_graph.h"
#include "job/states.h"
#include "rpc/dispatcher_gateway.h"
#include "store/records.pb.h"

namespace baton {

// One attempt to run one subtask.
struct Execution {
  ExecutionAttemptId id;
  TaskManagerId task_manager;
  std::string host;
  std::map<ExecutionState, WallMillis> timestamps;
  std::string failure;
  std::optional<int32_t> exit_code;
};

struct ExecutionVertex {
  ExecutionState state = ExecutionState::kCreated;
  bool queued = false;  // in its vertex's ready queue
  uint8_t losses = 0;   // attempts lost with their TaskManager
  uint8_t refusals = 0;
  uint32_t next_attempt = 0;
  std::unique_ptr<Execution> execution;  // the current or last attempt; null before the first
};

struct SubtaskIndex {
  uint32_t vertex = 0;
  uint32_t subtask = 0;
  auto operator<=>(const SubtaskIndex&) const = default;
};

class ExecutionGraph {
 public:
  ExecutionGraph(JobId job, JobGraphPtr graph);

  const JobGraph& graph() const { return *graph_; }
  const JobGraphPtr& graph_ptr() const { return graph_; }
  uint64_t total() const { return total_; }
  uint64_t count(ExecutionState state) const { return counts_[static_cast<size_t>(state)]; }
  // Deployed and not ended.
  uint64_t active() const;
  bool all_finished() const { return count(ExecutionState::kFinished) == total_; }

  ExecutionVertex& at(SubtaskIndex index) {
    return vertices_[index.vertex].subtasks[index.subtask];
  }
  const ExecutionVertex& at(SubtaskIndex index) const {
    return vertices_[index.vertex].subtasks[index.subtask];
  }
  bool Contains(SubtaskIndex index) const;

  void Move(SubtaskIndex index, ExecutionState to, WallMillis now);

  // The attempt has ended and another one is to come: back to CREATED, as a new Execution would be.
  void Reset(SubtaskIndex index);

  // What a finished subtask of an earlier leader left behind: finished, without an attempt.
  void RestoreFinished(SubtaskIndex index);

  // Looks for every subtask that can start now. Called once when the job starts to run.
  void QueueConsumable(WallMillis now);
  // Puts one subtask (CREATED again after a failure) back into the queue.
  void Requeue(SubtaskIndex index, WallMillis now);
  size_t ready_count() const { return ready_count_; }
  // The next to run: by priority of the vertex, then in order. ready_count() > 0.
  SubtaskIndex TakeReady();
  void ClearReady();

  void ForEach(const std::function<void(SubtaskIndex, ExecutionVertex&)>& visit);

  // The subtasks that have finished and the attempts made, for the JobPointer.
  void WriteProgress(pb::JobPointer* pointer) const;
  // False if it names what the graph does not have.
  bool ReadProgress(const pb::JobPointer& pointer);

  ExecutionStateCounts Counts() const { return counts_; }
  VertexDetails Describe(uint32_t vertex, bool with_subtasks) const;

 private:
  struct InputEdge {
    uint32_t source;
    DistributionPattern pattern;
  };
  struct Vertex {
    std::vector<ExecutionVertex> subtasks;
    std::vector<InputEdge> inputs;
    std::vector<std::pair<uint32_t, DistributionPattern>> outputs;
    uint32_t finished = 0;
    uint32_t unfinished_all_to_all_inputs = 0;
    ExecutionStateCounts counts{};
    std::deque<uint32_t> ready;
    WallMillis first_start = kNotYet;
  };

  void SetState(SubtaskIndex index, ExecutionState to);
  void OnFinished(SubtaskIndex index, WallMillis now);
  bool IsConsumable(SubtaskIndex index) const;
  void QueueIfConsumable(SubtaskIndex index, WallMillis now);
  void QueueAllConsumable(uint32_t vertex, WallMillis now);

  const JobId job_;
  const JobGraphPtr graph_;
  std::vector<Vertex> vertices_;
  uint64_t total_ = 0;
  ExecutionStateCounts counts_{};
  bool scheduling_ = false;  // QueueConsumable was called
  size_t ready_count_ = 0;
  std::set<std::pair<int64_t, uint32_t>> ready_vertices_;  // (-priority, vertex) with a queue
};

// The subtasks [first, second) of a source vertex that a target subtask waits for under the
// pointwise pattern, as Flink distributes them.
std::pair<uint32_t, uint32_t> PointwiseSources(uint32_t target, uint32_t source_parallelism,
                                               uint32_t target_parallelism);
// And the target subtasks that wait for a source subtask: at least one.
std::pair<uint32_t, uint32_t> PointwiseTargets(uint32_t source, uint32_t source_parallelism,
                                               uint32_t target_parallelism);

}  // namespace baton
