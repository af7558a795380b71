// The bodies of answers, in the shapes of Flink's Monitoring REST API (the union of the fields of
// its 1.x and 2.x, since clients of both ignore what they do not know): numbers are never null,
// times are milliseconds since 1970 and -1 for "not yet".

#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "ha/leader_election.h"
#include "rest/leader_history.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

std::string ErrorsJson(const std::vector<std::string>& errors);

// json_cluster.cc
std::string ConfigJson(const std::string& version);
std::string OverviewJson(const ClusterOverview& overview, const std::string& version);
std::string TaskManagersJson(const std::vector<TaskManagerInfo>& task_managers);
std::string TaskManagerJson(const TaskManagerInfo& task_manager);
std::string LeaderJson(const pb::LeaderRecord& leader);
std::string ReplicasJson(const LeadershipView& view, const std::set<std::string>& unreachable = {});
std::string FailoversJson(const std::vector<Failover>& failovers);
std::string HealthJson(const ReplicaId& self, const std::string& status);

// json_jobs.cc; `now` is for the durations of what still runs.
std::string SubmittedJson(const JobId& job);
std::string JobsJson(const std::vector<JobOverview>& jobs);
std::string JobsOverviewJson(const std::vector<JobOverview>& jobs, WallMillis now);
std::string JobDetailsJson(const JobDetails& job, WallMillis now);
std::string JobStatusJson(const JobDetails& job);
std::string JobPlanJson(const JobDetails& job);
std::string JobConfigJson(const JobDetails& job);
std::string JobExecutionResultJson(const JobDetails& job, WallMillis now);
std::string JobExceptionsJson(const JobDetails& job, size_t max_exceptions);

// json_vertices.cc
std::string VertexJson(const VertexDetails& vertex, WallMillis now);
std::string SubtaskTimesJson(const VertexDetails& vertex, WallMillis now);
std::string VertexTaskManagersJson(const VertexDetails& vertex, WallMillis now);
std::string AttemptJson(const AttemptDetails& attempt, WallMillis now);

}  // namespace baton
