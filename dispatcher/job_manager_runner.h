// One job under this leadership, from its pointer to its result (Flink's JobManagerRunner): loads
// the graph of a recovered job, runs its JobMaster, makes its outcome durable.
//
// A job whose pointer or graph cannot be read is in quarantine: visible, retried, in nobody's way
// (P7). It can be cancelled: its result is committed at once, and what may still run of it is ended
// as its TaskManagers tell of it.
//
// Lives on the executor of the leader process, owned by the Dispatcher until on_done.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "dispatcher/job_master/job_master.h"
#include "store/job_graph_store.h"
#include "store/job_result_store.h"

namespace baton {

class JobManagerRunner : public std::enable_shared_from_this<JobManagerRunner> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    ResourceManagerGateway* resource_manager = nullptr;
    Epoch epoch;
    RestartStrategyConfig default_restart_strategy;
    JobGraphStorePtr graphs;
    JobResultStorePtr results;
    // The result is durable; the runner is not needed any more.
    std::function<void(const JobId&)> on_done;
  };

  JobManagerRunner(Dependencies dependencies, JobId id, pb::JobPointer pointer);

  // A job that was just submitted.
  void StartNew(JobGraphPtr graph);
  // A job of an earlier leader. `tried` runs when its graph was read, or could not be.
  void Recover(Task tried = nullptr);
  // A job whose pointer itself cannot be read.
  void Quarantine(const absl::Status& why);

  void Cancel(absl::AnyInvocable<void(absl::Status)> callback);

  JobOverview Overview() const;
  JobDetails Details() const;
  absl::StatusOr<VertexDetails> DescribeVertex(const std::string& vertex_id) const;
  absl::StatusOr<ReportedAttempt> FindAttempt(const TaskLogRequest& request) const;
  const std::string& submission_digest() const { return pointer_.submission_digest(); }
  const std::string& graph_digest() const { return pointer_.graph_digest(); }

 private:
  void ReadPointerAgain(Task tried);
  void LoadGraph(Task tried);
  void OnGraph(absl::StatusOr<JobGraphPtr> graph);
  void EndInQuarantine();
  bool StartMaster(JobGraphPtr graph, JobMaster::Origin origin);
  void OnEnded(JobOutcome outcome);
  void CommitResult();
  void OnResultCommitted(absl::Status status);

  const Dependencies deps_;
  const JobId id_;
  pb::JobPointer pointer_;
  std::shared_ptr<JobMaster> master_;  // null while loading or in quarantine
  std::string quarantine_;             // why; empty: not
  bool ending_in_quarantine_ = false;  // cancelled there
  Duration retry_delay_;
  std::vector<absl::AnyInvocable<void(absl::Status)>> waiting_cancels_;
  JobOutcome outcome_;
};

}  // namespace baton
