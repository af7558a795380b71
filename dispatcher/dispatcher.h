// The heart of a leadership (Flink's Dispatcher): recovers the jobs of earlier leaders, takes new
// ones, answers what REST asks.
//
// The files beside it: submission_desk (5.1), job_registry and job_manager_runner (the jobs),
// archive (jobs that ended), job_queries.cc (the reading half of this class).
//
// Lives on the executor of the leader process, owned by DispatcherLeaderProcess, ends with the
// epoch: a new epoch has a new Dispatcher, nothing of the old one reaches it. Requests that come
// before the jobs are listed wait for that, bounded in number.

#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.h"
#include "dispatcher/archive.h"
#include "dispatcher/job_registry.h"
#include "dispatcher/options.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "dispatcher/submission_desk.h"
#include "rpc/dispatcher_gateway.h"
#include "store/job_graph_store.h"
#include "store/job_result_store.h"

namespace baton {

class Dispatcher : public std::enable_shared_from_this<Dispatcher> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    ReplicaId replica;
    Epoch epoch;
    ResourceManager* resource_manager = nullptr;  // outlives the Dispatcher
    JobGraphStorePtr graphs;
    JobResultStorePtr results;
    DispatcherOptions options;
  };
  template <class T>
  using Callback = DispatcherGateway::Callback<T>;
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  explicit Dispatcher(Dependencies dependencies);

  void Start();

  // Not yet terminal, or not yet known to be.
  bool JobIsLive(const JobId& id) const;

  // Of every job here; empty for one whose pointer is unreadable.
  std::set<std::string> GraphDigests() const { return registry_->GraphDigests(); }

  // Runs `request` once the jobs are listed; the questions below belong in one. Too many that wait
  // are dropped uncalled.
  void WhenListed(Task request);

  void SubmitJob(SubmitRequest request, Callback<SubmitReply> callback);
  void CancelJob(JobId job, StatusCallback callback);
  void ListJobs(Callback<std::vector<JobOverview>> callback);
  void GetJob(JobId job, Callback<JobDetails> callback);
  void GetVertex(JobId job, std::string vertex_id, Callback<VertexDetails> callback);
  void GetOverview(Callback<ClusterOverview> callback);
  void ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback);

 private:
  void Prepare();
  void ListPointers();
  void LoadHistory();
  // A step of the start; it is over where a newer leader has taken its place.
  void RetryLater(void (Dispatcher::*step)(), std::string_view what, const absl::Status& why);
  void OnPointers(std::vector<RecoveredPointer> pointers);
  void RecoverJobs(std::vector<JobId> jobs);
  void CheckListed();
  void FindArchived(JobId job, Callback<ArchivedJob> callback);
  void ReadArchivedLog(const JobDetails& job, const TaskLogRequest& request,
                       Callback<TaskLogChunk> callback);

  const Dependencies deps_;
  const std::shared_ptr<JobRegistry> registry_;
  const std::shared_ptr<SubmissionDesk> desk_;
  bool prepared_ = false;
  bool pointers_read_ = false;
  std::vector<Task> waiting_;
};

}  // namespace baton
