// The folders jobs/<h>/<job id> and results/<h>/<job id>: reading all records of one.

#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "ha/coordination_client.h"
#include "ha/leader_fence.h"

namespace baton {

struct StoredRecord {
  JobId id;
  std::string data;
};
using RecordsCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<StoredRecord>>)>;

// "0" … "f"
std::vector<std::string> BucketNames();

enum class ReadPace {
  kWhatIsWaitedFor,  // as fast as the service answers
  // The service answers a session in order: what a client waits for (a submission asks and commits
  // three times) must not stand behind hundreds of reads that nobody waits for.
  kInTheBackground,
};

// Reads are pipelined. What goes between the listing and its reading is left out. A tree of a
// version that kept its records in 256 folders is refused with kFailedPrecondition: no replica may
// lead over jobs that it does not see. `fence` lends its session and is held until the answer,
// which comes on the coordination client's executor.
void ReadRecords(LeaderFencePtr fence, std::string folder, ReadPace pace, RecordsCallback callback);

// Makes the folders that a record of `id` stands in, in jobs/ and results/: somebody may have
// deleted them (F16). While its leader lives, nothing is lost by that: it knows its jobs.
void MakeFoldersOf(LeaderFencePtr fence, JobId id, absl::AnyInvocable<void(absl::Status)> callback);

}  // namespace baton
