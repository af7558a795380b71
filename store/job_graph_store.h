// The jobs that are not yet globally terminal: JobGraph bytes in the BlobStore, a JobPointer in
// ZooKeeper. The pointer is the commit point (DESIGN section 4).
//
// Every write goes through the LeaderFence of one epoch; make a new store with each grant.
//
// Threading: any thread may call; callbacks may come on any thread: bind them.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "ha/leader_fence.h"
#include "job/job_graph.h"
#include "store/blob_store.h"
#include "store/records.pb.h"

namespace baton {

// What recovery found under jobs/.
struct RecoveredPointer {
  JobId id;
  absl::StatusOr<pb::JobPointer> pointer;  // kDataLoss: unreadable; that job alone is quarantined
};

class JobGraphStore {
 public:
  template <class T>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  virtual ~JobGraphStore() = default;

  // Makes the folders of jobs/, results/ and roster/ that are missing (a new cluster).
  virtual void Prepare(StatusCallback callback) = 0;

  // Every pointer, reads pipelined. A job deleted between listing and reading is left out.
  virtual void List(Callback<std::vector<RecoveredPointer>> callback) = 0;

  // Blob first (min-copies), then the pointer (graph_digest, graph_size, epoch and sequence are set
  // here). kAlreadyExists: that id has a pointer. kUnknown: it may be there. `pointer` as
  // committed. Fault points: submission.before-store, submission.stored-locally,
  // submission.replicated, submission.pointer-committed.
  virtual void Add(JobId id, const JobGraph& graph, pb::JobPointer pointer,
                   Callback<pb::JobPointer> callback) = 0;

  // Replaces the pointer; epoch and sequence are set here. Updates of one job are committed in the
  // order of the calls: the caller has at most one in flight.
  virtual void Update(JobId id, pb::JobPointer pointer, StatusCallback callback) = 0;

  virtual void LoadGraph(const pb::JobPointer& pointer, Callback<JobGraphPtr> callback) = 0;
};
using JobGraphStorePtr = std::shared_ptr<JobGraphStore>;

JobGraphStorePtr NewJobGraphStore(LeaderFencePtr fence, BlobStorePtr blobs);

}  // namespace baton
