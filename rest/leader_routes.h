// The routes that only the leader answers, as questions to its DispatcherGateway.

#pragma once

#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "base/random.h"
#include "job/job_graph.h"
#include "rest/router.h"

namespace baton {

struct LeaderRoutesContext {
  ExecutorPtr executor;
  RandomPtr random;
  JobLimits job_limits;
  std::string version;
  std::function<void(absl::AnyInvocable<void(absl::Status)>)> transfer;
  size_t max_log_followers = 0;
};

void AddSubmissionRoutes(const LeaderRoutesContext& context, Router& router);
void AddJobRoutes(const LeaderRoutesContext& context, Router& router);
void AddVertexRoutes(const LeaderRoutesContext& context, Router& router);
void AddTaskLogRoutes(const LeaderRoutesContext& context, Router& router);
void AddClusterRoutes(const LeaderRoutesContext& context, Router& router);
void AddOperatorRoutes(const LeaderRoutesContext& context, Router& router);

}  // namespace baton
