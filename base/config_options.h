// Every option of Baton: its key (Flink's where there is a counterpart), kind, default, meaning and
// range. deploy/baton.yaml.sample shows them all; a test holds the two together.

#pragma once

#include <span>

#include "base/config.h"

namespace baton::options {

// ---- Leadership

inline constexpr ConfigOption<std::string> kHaType{
    {.key = "high-availability.type",
     .default_text = "none",
     .description = "none: one dispatcher with its own journal; zookeeper: replicas elect a leader",
     .choices = "none|zookeeper"}};
inline constexpr ConfigOption<std::string> kZooKeeperQuorum{
    {.key = "high-availability.zookeeper.quorum",
     .default_text = "",
     .description = "host:port of each ZooKeeper server, separated by commas"}};
inline constexpr ConfigOption<std::string> kZooKeeperRoot{
    {.key = "high-availability.zookeeper.path.root",
     .default_text = "/baton",
     .description = "the znode under which the cluster's tree stands"}};
inline constexpr ConfigOption<Duration> kZooKeeperSessionTimeout{
    {.key = "high-availability.zookeeper.client.session-timeout",
     .default_text = "10 s",
     .description = "asked of the server, which bounds it to 2..20 of its ticks",
     .least = "1 s",
     .most = "10 min"}};
inline constexpr ConfigOption<std::string> kClusterId{
    {.key = "high-availability.cluster-id",
     .default_text = "default",
     .description = "the same for all processes of one cluster; clusters may share a ZooKeeper"}};
inline constexpr ConfigOption<std::string> kReplicaId{
    {.key = "replica.id",
     .default_text = "",
     .description = "this dispatcher's name, kept across restarts; empty: host name and RPC port, "
                    "with high-availability.type none: local"}};
inline constexpr ConfigOption<Duration> kMemberTimeout{
    {.key = "replica.member-timeout",
     .default_text = "10 min",
     .description = "a member that is away for so long is removed while two others remain; it is "
                    "admitted again when it is back",
     .least = "1 s",
     .most = "3650 d"}};

// ---- Addresses

inline constexpr ConfigOption<std::string> kRestAddress{
    {.key = "rest.address",
     .default_text = "127.0.0.1",
     .description = "address that REST listens on; other than loopback needs "
                    "security.allow-unauthenticated"}};
inline constexpr ConfigOption<int64_t> kRestPort{{.key = "rest.port",
                                                  .default_text = "8081",
                                                  .description = "0: any free port",
                                                  .least = "0",
                                                  .most = "65535"}};
inline constexpr ConfigOption<std::string> kRestAdvertisedAddress{
    {.key = "rest.advertised-address",
     .default_text = "",
     .description = "host:port under which others reach REST; empty: where it listens"}};
inline constexpr ConfigOption<std::string> kRpcAddress{
    {.key = "rpc.address",
     .default_text = "127.0.0.1",
     .description = "address that replicas and TaskManagers connect to; other than loopback needs "
                    "security.cluster-secret-file (or security.allow-unauthenticated)"}};
inline constexpr ConfigOption<int64_t> kRpcPort{{.key = "rpc.port",
                                                 .default_text = "6123",
                                                 .description =
                                                     "0: any free port; so also where it is not "
                                                     "set and high-availability.type is none",
                                                 .least = "0",
                                                 .most = "65535"}};
inline constexpr ConfigOption<std::string> kRpcAdvertisedAddress{
    {.key = "rpc.advertised-address",
     .default_text = "",
     .description = "host:port under which others reach RPC; empty: where it listens"}};

// ---- REST

inline constexpr ConfigOption<Duration> kRestLeaderWait{
    {.key = "rest.leader-wait",
     .default_text = "20 s",
     .description = "how long a request is held while nobody leads, before it gets 503",
     .least = "0 s",
     .most = "10 min"}};
inline constexpr ConfigOption<ByteSize> kRestMaxBodyBytes{
    {.key = "rest.max-body-bytes",
     .default_text = "8 MiB",
     .description = "a larger request gets 413",
     .least = "1 KiB",
     .most = "12 MiB"}};
inline constexpr ConfigOption<ByteSize> kRestMaxHeaderBytes{
    {.key = "rest.max-header-bytes",
     .default_text = "32 KiB",
     .description = "larger headers get 431",
     .least = "1 KiB",
     .most = "1 MiB"}};
inline constexpr ConfigOption<int64_t> kRestMaxConnections{
    {.key = "rest.max-connections",
     .default_text = "10000",
     .description = "further connections get 503; beyond 64 of those at once they are closed",
     .least = "1",
     .most = "1000000"}};
inline constexpr ConfigOption<Duration> kRestReadTimeout{
    {.key = "rest.read-timeout",
     .default_text = "30 s",
     .description = "for one whole request to arrive",
     .least = "1 s",
     .most = "1 h"}};
inline constexpr ConfigOption<Duration> kRestIdleTimeout{
    {.key = "rest.idle-timeout",
     .default_text = "5 min",
     .description = "then a kept-alive connection without a request is closed",
     .least = "1 s",
     .most = "1 d"}};
inline constexpr ConfigOption<int64_t> kRestMaxHeldRequests{
    {.key = "rest.max-held-requests",
     .default_text = "10000",
     .description = "held while nobody leads; beyond it 503 at once",
     .least = "0",
     .most = "1000000"}};
inline constexpr ConfigOption<ByteSize> kRestMaxHeldBytes{
    {.key = "rest.max-held-bytes",
     .default_text = "256 MiB",
     .description = "bodies of the held requests together",
     .least = "0 b",
     .most = "64 GiB"}};
inline constexpr ConfigOption<Duration> kRestWriteTimeout{
    {.key = "rest.write-timeout",
     .default_text = "1 min",
     .description = "for one whole answer to be taken by its reader",
     .least = "1 s",
     .most = "1 h"}};
inline constexpr ConfigOption<ByteSize> kRestMaxReadingBytes{
    {.key = "rest.max-reading-bytes",
     .default_text = "64 MiB",
     .description = "bodies that are arriving, together; beyond it the one that has been arriving "
                    "longest gets 503",
     .least = "1 MiB",
     .most = "64 GiB"}};
inline constexpr ConfigOption<ByteSize> kRestMaxWritingBytes{
    {.key = "rest.max-writing-bytes",
     .default_text = "32 MiB",
     .description = "answers that their readers have not taken yet, together; beyond it the one "
                    "that has been waiting longest is cut off",
     .least = "1 MiB",
     .most = "64 GiB"}};
inline constexpr ConfigOption<int64_t> kRestMaxLogFollowers{
    {.key = "rest.max-log-followers",
     .default_text = "500",
     .description = "requests that wait for a task's log to grow; beyond it 429",
     .least = "0",
     .most = "1000000"}};

// ---- What survives

inline constexpr ConfigOption<std::string> kWorkingDirectory{
    {.key = "process.working-dir",
     .default_text = "./baton-data",
     .description = "what a process keeps is below it, where nothing else is said"}};
inline constexpr ConfigOption<std::string> kStoreDirectory{
    {.key = "store.directory",
     .default_text = "",
     .description = "this replica's own disk; never shared between replicas; empty: store/ in "
                    "process.working-dir"}};
inline constexpr ConfigOption<int64_t> kStoreMinCopies{
    {.key = "store.min-copies",
     .default_text = "2",
     .description = "replicas that must have synced a job before it is accepted; always 1 with "
                    "high-availability.type none",
     .least = "1",
     .most = "7"}};
inline constexpr ConfigOption<Duration> kStoreConvergenceInterval{
    {.key = "store.convergence-interval",
     .default_text = "30 s",
     .description = "how often a replica looks for live blobs that its disk lacks",
     .least = "1 s",
     .most = "1 d"}};
inline constexpr ConfigOption<ByteSize> kStorePullBytesPerSecond{
    {.key = "store.pull-bytes-per-second",
     .default_text = "64 MiB",
     .description = "at most so much is pulled from the other replicas to fill a disk",
     .least = "64 KiB",
     .most = "64 GiB"}};
inline constexpr ConfigOption<Duration> kStoreVerificationPeriod{
    {.key = "store.verification-period",
     .default_text = "1 d",
     .description = "in which every live blob is read once, so that damaged copies are mended",
     .least = "1 min",
     .most = "365 d"}};
inline constexpr ConfigOption<Duration> kStoreCollectionInterval{
    {.key = "store.collection-interval",
     .default_text = "10 min",
     .description = "how often the leader collects blobs that no job and no result refers to",
     .least = "1 s",
     .most = "30 d"}};
inline constexpr ConfigOption<Duration> kStoreCollectionGrace{
    {.key = "store.collection-grace",
     .default_text = "1 h",
     .description = "a blob stored more recently than this is not collected",
     .least = "1 s",
     .most = "365 d"}};
inline constexpr ConfigOption<int64_t> kJobStoreMaxCapacity{
    {.key = "jobstore.max-capacity",
     .default_text = "10000",
     .description = "results of ended jobs that are kept; none goes in its first hour: with more "
                    "jobs an hour than this, submissions get 429",
     .least = "1",
     .most = "1000000"}};
inline constexpr ConfigOption<Duration> kJobStoreExpirationTime{
    {.key = "jobstore.expiration-time",
     .default_text = "7 d",
     .description = "how long the result of an ended job is kept",
     .least = "1 min",
     .most = "3650 d"}};

// ---- Admission and the size of jobs

inline constexpr ConfigOption<int64_t> kMaxPendingSubmissions{
    {.key = "dispatcher.max-pending-submissions",
     .default_text = "2000",
     .description = "accepted for storing, not answered yet; beyond it 429",
     .least = "1",
     .most = "1000000"}};
inline constexpr ConfigOption<int64_t> kMaxJobs{{.key = "dispatcher.max-jobs",
                                                 .default_text = "100000",
                                                 .description = "not ended; beyond it 429",
                                                 .least = "1",
                                                 .most = "10000000"}};
inline constexpr ConfigOption<int64_t> kMaxVertices{{.key = "job.max-vertices",
                                                     .default_text = "10000",
                                                     .description = "of one job",
                                                     .least = "1",
                                                     .most = "1000000"}};
inline constexpr ConfigOption<int64_t> kMaxEdges{{.key = "job.max-edges",
                                                  .default_text = "200000",
                                                  .description = "of one job",
                                                  .least = "1",
                                                  .most = "10000000"}};
inline constexpr ConfigOption<int64_t> kMaxParallelism{{.key = "job.max-parallelism",
                                                        .default_text = "100000",
                                                        .description = "of one vertex",
                                                        .least = "1",
                                                        .most = "10000000"}};
inline constexpr ConfigOption<int64_t> kMaxSubtasks{{.key = "job.max-subtasks",
                                                     .default_text = "1000000",
                                                     .description = "of one job",
                                                     .least = "1",
                                                     .most = "10000000"}};

// ---- Restarts, for jobs that say nothing of their own

inline constexpr ConfigOption<std::string> kRestartStrategy{
    {.key = "restart-strategy.type",
     .default_text = "none",
     .description = "none: the first failure of a task fails the job; fixed-delay: try again",
     .choices = "none|fixed-delay"}};
inline constexpr ConfigOption<int64_t> kRestartAttempts{
    {.key = "restart-strategy.fixed-delay.attempts",
     .default_text = "1",
     .description = "restarts before the job fails",
     .least = "0",
     .most = "1000000000"}};
inline constexpr ConfigOption<Duration> kRestartDelay{
    {.key = "restart-strategy.fixed-delay.delay",
     .default_text = "1 s",
     .description = "between a failure and the restart",
     .least = "0 s",
     .most = "365 d"}};

// ---- TaskManagers

inline constexpr ConfigOption<std::string> kTaskManagerId{
    {.key = "taskmanager.id",
     .default_text = "",
     .description = "this worker's name, kept across restarts; empty: host name and work "
                    "directory"}};
inline constexpr ConfigOption<int64_t> kTaskSlots{{.key = "taskmanager.numberOfTaskSlots",
                                                   .default_text = "0",
                                                   .description =
                                                       "tasks that run at once; 0: as many as the "
                                                       "machine has cores",
                                                   .least = "0",
                                                   .most = "10000"}};
inline constexpr ConfigOption<std::string> kDispatchers{
    {.key = "taskmanager.dispatchers",
     .default_text = "",
     .description = "RPC addresses (host:port) of the dispatchers, separated by commas"}};
inline constexpr ConfigOption<std::string> kWorkDirectory{
    {.key = "taskmanager.work-directory",
     .default_text = "",
     .description = "work directories and logs of the tasks; empty: tasks/ in "
                    "process.working-dir"}};
inline constexpr ConfigOption<bool> kEmbeddedTaskManager{
    {.key = "dispatcher.embedded-taskmanager",
     .default_text = "true",
     .description = "with high-availability.type none the dispatcher runs tasks itself, beside the "
                    "TaskManagers that connect to it"}};
inline constexpr ConfigOption<std::string> kSharedDirectory{
    {.key = "taskmanager.shared-directory",
     .default_text = "",
     .description = "given to tasks as BATON_SHARED_DIR; empty: none, and in one process "
                    "without ZooKeeper shared/ in process.working-dir"}};
inline constexpr ConfigOption<std::string> kTaskManagerHost{
    {.key = "taskmanager.host",
     .default_text = "127.0.0.1",
     .description = "the name under which others see this worker"}};
inline constexpr ConfigOption<std::string> kLivenessAddress{
    {.key = "taskmanager.liveness.address",
     .default_text = "127.0.0.1:0",
     .description = "host:port that the guardian listens on; port 0: any free one"}};
inline constexpr ConfigOption<Duration> kLease{
    {.key = "taskmanager.lease",
     .default_text = "20 s",
     .description = "tasks end when nobody renewed it for so long; the same in the whole cluster, "
                    "at least 1.5 session timeouts + 4 s",
     .least = "5500 ms",
     .most = "1 h"}};
inline constexpr ConfigOption<Duration> kHeartbeatInterval{
    {.key = "taskmanager.heartbeat-interval",
     .default_text = "1 s",
     .description = "between two requests that renew the lease; at most a quarter of the lease",
     .least = "50 ms",
     .most = "1 min"}};
inline constexpr ConfigOption<Duration> kKillGrace{
    {.key = "task.kill-grace",
     .default_text = "10 s",
     .description = "between SIGTERM and SIGKILL when a task is cancelled",
     .least = "0 s",
     .most = "1 h"}};
inline constexpr ConfigOption<ByteSize> kTaskLogMaxBytes{
    {.key = "task.log.max-bytes",
     .default_text = "16 MiB",
     .description = "kept of each stream (stdout, stderr) of an attempt",
     .least = "4 KiB",
     .most = "64 GiB"}};

// ---- The process

inline constexpr ConfigOption<int64_t> kIoThreads{{.key = "io.threads",
                                                   .default_text = "2",
                                                   .description = "threads of the event loop",
                                                   .least = "1",
                                                   .most = "256"}};
inline constexpr ConfigOption<bool> kAllowUnauthenticated{
    {.key = "security.allow-unauthenticated",
     .default_text = "false",
     .description = "true: may listen on addresses other than loopback; whoever reaches a port "
                    "may submit jobs, and so run commands"}};
inline constexpr ConfigOption<std::string> kClusterSecretFile{
    {.key = "security.cluster-secret-file",
     .default_text = "",
     .description = "what the processes of a cluster prove to each other: a secret a line of at "
                    "least 16 bytes, the first proves, all are accepted; read again every 10 s; "
                    "for the daemon's user only (mode 0600, or 0640 where root owns it); empty: "
                    "none"}};
inline constexpr ConfigOption<std::string> kLogFile{
    {.key = "logging.file", .default_text = "-", .description = "appended to; -: stderr"}};
inline constexpr ConfigOption<std::string> kLogLevel{{.key = "logging.level",
                                                      .default_text = "info",
                                                      .description = "the least that is written",
                                                      .choices = "debug|info|warning|error"}};
inline constexpr ConfigOption<std::string> kReadyFile{
    {.key = "ready-file",
     .default_text = "",
     .description = "written with the bound addresses once the process serves; empty: none"}};

// All of the above, in this order.
std::span<const OptionSpec* const> All();

}  // namespace baton::options
