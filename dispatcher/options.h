// The limits and defaults of a leading Dispatcher, from the configuration.

#pragma once

#include <cstddef>
#include <string>

#include "dispatcher/resource_manager/loss_detector.h"
#include "job/job_graph.h"
#include "store/blob_collector.h"
#include "store/job_result_store.h"

namespace baton {

struct DispatcherOptions {
  size_t max_pending_submissions = 2'000;  // beyond: 429
  size_t max_jobs = 100'000;               // not yet terminal; beyond: 429
  RestartStrategyConfig default_restart_strategy;
  std::string assignment_policy = "greedy";
  HistoryLimits history;
  CollectionOptions collection;
  LeaseOptions lease;
  Duration member_timeout = std::chrono::minutes(10);  // away for so long: removed (3.6)
};

}  // namespace baton
