// Takes submissions (5.1): the same id known? → store the blob (min-copies) → commit
// the pointer → answer → start the job.
//
// One id, one run (P2), by interleaving:
//   two requests with one id at once: the second joins the first, whatever its answer will be;
//   the id belongs to a job of this leadership: the registry knows it;
//   it ended, now or under an earlier leader: the transaction that makes the pointer is refused
//     where a result stands (JobGraphStore::Add), and only this fenced leader can move the job from
//     one to the other. Once the history is known the result is looked for first, which is cheaper;
//   an earlier request's commit has an unknown outcome: the id stays taken and the commit is tried
//     again until its outcome is known. From then on only "stored" and "exists already" settle it:
//     any other error of a later try says nothing about the first. What exists is read back: nobody
//     else may write under this epoch, so it is what an earlier try has committed.
//
// Lives on the executor of the leader process, owned by the Dispatcher.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/executor.h"
#include "dispatcher/job_registry.h"
#include "dispatcher/options.h"
#include "rpc/dispatcher_gateway.h"
#include "store/job_graph_store.h"
#include "store/job_result_store.h"

namespace baton {

class SubmissionDesk : public std::enable_shared_from_this<SubmissionDesk> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    ReplicaId replica;
    Epoch epoch;
    std::shared_ptr<JobRegistry> registry;
    JobGraphStorePtr graphs;
    JobResultStorePtr results;
    DispatcherOptions options;
  };
  using Callback = DispatcherGateway::Callback<SubmitReply>;

  explicit SubmissionDesk(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  void Submit(SubmitRequest request, Callback callback);

  // Its pointer may be there already.
  bool IsPending(const JobId& id) const { return pending_.contains(id); }

 private:
  struct Pending {
    SubmitRequest request;
    pb::JobPointer pointer;
    std::vector<Callback> callbacks;
    bool looked_up = false;  // whether it has ended
    bool unknown = false;    // a commit of it may have been applied
  };

  absl::Status Admit() const;
  void LookUp(const JobId& id, std::function<void(SubmissionDesk&)> go_on);
  void FinishAsEnded(const JobId& id, const pb::JobResult& result);
  void Store(const JobId& id);
  void OnStored(const JobId& id, absl::StatusOr<pb::JobPointer> stored);
  void Fail(const JobId& id, const absl::Status& why);
  void LookForCommitted(const JobId& id);
  void StartCommitted(const JobId& id, pb::JobPointer pointer);
  void StoreLater(const JobId& id, const absl::Status& why);
  void StartJob(const JobId& id, pb::JobPointer pointer);
  void Finish(const JobId& id, absl::StatusOr<SubmitReply> answer);
  static void Answer(std::vector<Callback> callbacks, absl::StatusOr<SubmitReply> answer);

  const Dependencies deps_;
  // In an order that does not depend on addresses: when a leadership ends, those who wait are
  // answered in it, and a simulated run must be the same each time.
  std::map<JobId, Pending> pending_;
};

}  // namespace baton
