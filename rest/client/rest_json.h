// Reads the server's JSON. Every reader takes what it knows and ignores the rest, so that a newer
// server serves an older client; kInternal: the text is no such answer.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rest/client/rest_client.h"

namespace baton {

// The sentences of {"errors": ["…"]}, joined; the body itself (cut) where it is no such thing.
std::string ErrorText(const std::string& body);

// The "jobid" of a submission; none if it has none or is no valid id.
std::optional<JobId> JobIdOf(const std::string& job_json);

absl::StatusOr<std::vector<JobRow>> ReadJobRows(const std::string& body);
absl::StatusOr<JobView> ReadJobView(const std::string& body);
absl::StatusOr<LeaderView> ReadLeaderView(const std::string& body);
absl::StatusOr<OverviewView> ReadOverviewView(const std::string& body);
absl::StatusOr<std::vector<TaskManagerRow>> ReadTaskManagerRows(const std::string& body);
absl::StatusOr<std::vector<ReplicaRow>> ReadReplicaRows(const std::string& body);
absl::StatusOr<uint32_t> ReadAttempt(const std::string& body);

}  // namespace baton
