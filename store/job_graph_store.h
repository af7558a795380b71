// The jobs that are not yet globally terminal: JobGraph bytes in the BlobStore, a JobPointer in
// ZooKeeper. The pointer is the commit point (docs/protocols.md, 4).
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
#include "store/blob_pins.h"
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
  // kUnavailable, kUnknown: the connection was away in between; list again.
  virtual void List(Callback<std::vector<RecoveredPointer>> callback) = 0;

  // One pointer, read again. kNotFound: there is none; kDataLoss: unreadable.
  virtual void ReadPointer(JobId id, Callback<pb::JobPointer> callback) = 0;

  // Blob first (min-copies), then the pointer (job_id, graph_digest, graph_size, epoch and sequence
  // are set here). kAlreadyExists: that id has a pointer, or a result: the job ended. kUnknown: it
  // may be there. `pointer` as committed. Fault points: submission.before-store,
  // submission.stored-locally, submission.replicated, submission.pointer-committed.
  //
  // Never a second run (P2, P6): the caller looks for a result first, and what it read stays true,
  // for pointer and result of one id are written by the one fenced leader alone, in order. The one
  // gap is a result whose commit is of unknown outcome: it may land between the look and the
  // pointer. So the transaction closes it itself: it makes and removes results/<id> beside the
  // pointer, which fails as a whole where a result stands.
  virtual void Add(JobId id, const JobGraph& graph, pb::JobPointer pointer,
                   Callback<pb::JobPointer> callback) = 0;

  // Replaces the pointer; job_id, epoch and sequence are set here. Updates of one job are committed
  // in the order of the calls: the caller has at most one in flight. kResourceExhausted: it would
  // not fit in a znode; the one that is committed stays. (That a job is ending always fits: then
  // its progress is left out.) A pointer that somebody deleted is made again: while its leader
  // lives, the leader knows better.
  virtual void Update(JobId id, pb::JobPointer pointer, StatusCallback callback) = 0;

  virtual void LoadGraph(const pb::JobPointer& pointer, Callback<JobGraphPtr> callback) = 0;
};
using JobGraphStorePtr = std::shared_ptr<JobGraphStore>;

JobGraphStorePtr NewJobGraphStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins);

}  // namespace baton
