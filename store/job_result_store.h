// The jobs that ended: a JobResult in ZooKeeper under results/, kept for the history limits. Moving
// a job there is one multi with the deletion of its pointer, so it can never run again (P6).
//
// Threading: any thread may call; callbacks may come on any thread: bind them.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/time.h"
#include "ha/leader_fence.h"
#include "store/blob_pins.h"
#include "store/blob_store.h"
#include "store/records.pb.h"

namespace baton {

struct HistoryLimits {
  size_t max_results = 10'000;                    // jobstore.max-capacity
  Duration max_age = std::chrono::hours(24 * 7);  // jobstore.expiration-time
  Duration min_age = std::chrono::hours(1);       // nothing younger is evicted
};

class JobResultStore {
 public:
  template <class T>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

  virtual ~JobResultStore() = default;

  // Stores `archive` (may be empty) in the blob store and then, in one multi, deletes jobs/<id> and
  // creates results/<id>. If the archive cannot be stored the result is committed without it: a
  // full disk must not keep a finished job alive. kUnknown: read back by Find.
  virtual void Commit(JobId id, pb::JobResult result, std::string archive,
                      StatusCallback callback) = 0;

  // The result of a job that ended, read through from ZooKeeper where it is not at hand.
  virtual void Find(JobId id, Callback<std::optional<pb::JobResult>> callback) = 0;

  virtual void LoadArchive(const pb::JobResult& result, Callback<std::string> callback) = 0;

  // Reads all results in the background, newest limits applied (older ones are deleted under the
  // fence). Until it is done, List gives what is known so far.
  virtual void LoadHistory(StatusCallback callback) = 0;
  // Whether it is done: then Find knows without asking which ids have no result. Any thread.
  virtual bool history_loaded() const = 0;
  virtual void List(Callback<std::vector<pb::JobResult>> callback) = 0;

  // True when a submission must be refused with 429: the history is full of young results.
  virtual bool full() const = 0;
};
using JobResultStorePtr = std::shared_ptr<JobResultStore>;

// `executor` guards the index and gives it time; any.
JobResultStorePtr NewJobResultStore(LeaderFencePtr fence, BlobStorePtr blobs, BlobPinsPtr pins,
                                    ExecutorPtr executor, HistoryLimits limits);

}  // namespace baton
