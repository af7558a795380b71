// A job that ended, as bytes for the blob store, and back.

#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dispatcher/job_master/job_master.h"
#include "rpc/dispatcher_gateway.h"
#include "store/records.pb.h"

namespace baton {

struct ArchivedJob {
  JobDetails details;  // its vertices carry their subtasks
};

std::string ToArchive(const JobMaster& job);

// `result` says what the archive does not: the outcome and its time. kDataLoss: unreadable.
absl::StatusOr<ArchivedJob> FromArchive(std::string_view archive, const pb::JobResult& result);

// What a result alone tells.
JobOverview OverviewOf(const pb::JobResult& result);

// The counts of subtasks that a result keeps.
void CountInto(const JobOverview& overview, pb::JobResult* result);

}  // namespace baton
