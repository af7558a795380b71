#include "entrypoint/replica_config.h"

#include <string>

#include "base/config_options.h"
#include "entrypoint/host_name.h"
#include "entrypoint/version.h"
#include "fmt/format.h"

namespace baton {
namespace {

size_t Size(const Config& config, const ConfigOption<int64_t>& option) {
  return static_cast<size_t>(config.Get(option));
}

DispatcherOptions DispatcherOptionsFrom(const Config& config) {
  DispatcherOptions dispatcher;
  dispatcher.max_pending_submissions = Size(config, options::kMaxPendingSubmissions);
  dispatcher.max_jobs = Size(config, options::kMaxJobs);
  auto& restart = dispatcher.default_restart_strategy;
  if (config.Get(options::kRestartStrategy) == "fixed-delay") {
    restart.type = RestartStrategyConfig::Type::kFixedDelay;
  }
  restart.attempts = static_cast<uint32_t>(config.Get(options::kRestartAttempts));
  restart.delay = config.Get(options::kRestartDelay);
  dispatcher.history.max_results = Size(config, options::kJobStoreMaxCapacity);
  dispatcher.history.max_age = config.Get(options::kJobStoreExpirationTime);
  dispatcher.lease.lease = config.Get(options::kLease);
  dispatcher.member_timeout = config.Get(options::kMemberTimeout);
  dispatcher.collection.interval = config.Get(options::kStoreCollectionInterval);
  dispatcher.collection.grace = config.Get(options::kStoreCollectionGrace);
  return dispatcher;
}

}  // namespace

ReplicaSettings ReplicaSettingsFrom(const Config& config) {
  ReplicaSettings settings;
  const int64_t rpc_port = config.Get(options::kRpcPort);
  settings.id = ReplicaId(config.Get(options::kReplicaId));
  if (settings.id.empty()) settings.id = ReplicaId(fmt::format("{}-{}", HostName(), rpc_port));
  settings.cluster_id = config.Get(options::kClusterId);
  settings.zookeeper_root = config.Get(options::kZooKeeperRoot);
  settings.rpc_bind_address = fmt::format("{}:{}", config.Get(options::kRpcAddress), rpc_port);
  settings.rpc_advertised_address = config.Get(options::kRpcAdvertisedAddress);
  settings.version = kVersion;
  settings.store.replication.min_copies = static_cast<size_t>(MinCopies(config));
  auto& convergence = settings.store.convergence;
  convergence.interval = config.Get(options::kStoreConvergenceInterval);
  convergence.pulled_bytes_per_second =
      static_cast<uint64_t>(config.Get(options::kStorePullBytesPerSecond).value);
  convergence.verification_period = config.Get(options::kStoreVerificationPeriod);
  settings.dispatcher = DispatcherOptionsFrom(config);
  settings.max_log_followers = Size(config, options::kRestMaxLogFollowers);
  settings.job_limits.max_vertices = Size(config, options::kMaxVertices);
  settings.job_limits.max_edges = Size(config, options::kMaxEdges);
  settings.job_limits.max_parallelism = static_cast<uint32_t>(config.Get(options::kMaxParallelism));
  settings.job_limits.max_subtasks = static_cast<uint64_t>(config.Get(options::kMaxSubtasks));
  settings.relay_limits.leader_wait = config.Get(options::kRestLeaderWait);
  settings.relay_limits.max_requests = Size(config, options::kRestMaxHeldRequests);
  settings.relay_limits.max_bytes =
      static_cast<size_t>(config.Get(options::kRestMaxHeldBytes).value);
  return settings;
}

HttpServerLimits HttpServerLimitsFrom(const Config& config) {
  HttpServerLimits limits;
  limits.max_header_bytes = static_cast<uint32_t>(config.Get(options::kRestMaxHeaderBytes).value);
  limits.max_body_bytes = static_cast<uint64_t>(config.Get(options::kRestMaxBodyBytes).value);
  limits.max_connections = Size(config, options::kRestMaxConnections);
  limits.header_timeout = limits.body_timeout = config.Get(options::kRestReadTimeout);
  limits.write_timeout = config.Get(options::kRestWriteTimeout);
  limits.max_reading_bytes = static_cast<uint64_t>(config.Get(options::kRestMaxReadingBytes).value);
  limits.max_writing_bytes = static_cast<uint64_t>(config.Get(options::kRestMaxWritingBytes).value);
  limits.idle_timeout = config.Get(options::kRestIdleTimeout);
  return limits;
}

}  // namespace baton
