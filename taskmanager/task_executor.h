// The worker (Flink's TaskExecutor): registers with whoever leads, runs the tasks that it is given
// as processes, one a slot, and reports their ends until the leader has them safe.
//
// It obeys the highest epoch it has seen and only the leader it is registered with, and runs
// nothing without a lease (3.6): P3, P4. Its tasks live on while leaders come and go (P5).
//
// Lives on one executor: every method there. Owned by main or a simulation; it ends with its last
// reference, its tasks with the ProcessLauncher.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/random.h"
#include "rpc/frame_transport.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"
#include "taskmanager/deployment.h"
#include "taskmanager/dispatcher_links.h"
#include "taskmanager/drain_state.h"
#include "taskmanager/leader_registration.h"
#include "taskmanager/lease_keeper.h"
#include "taskmanager/process_launcher.h"
#include "taskmanager/task_table.h"

namespace baton {

struct TaskExecutorOptions {
  std::string cluster_id;
  ClusterSecretsPtr secrets;  // null: none
  TaskManagerId id;
  std::vector<std::string> dispatchers;  // RPC addresses; the members that a leader names are added
  uint32_t slots = 1;
  std::string host;
  uint32_t cpu_cores = 0;
  uint64_t memory_bytes = 0;
  std::string shared_directory;  // empty: none
  DefaultEnvironment environment;
  Duration lease = std::chrono::seconds(20);
  Duration heartbeat_interval = std::chrono::seconds(1);
  Duration kill_grace = std::chrono::seconds(10);
};

class TaskExecutor : public std::enable_shared_from_this<TaskExecutor> {
 public:
  static constexpr size_t kMaxReportsPerMessage = 1'000;
  // How long Stop waits, beyond the tasks' grace, for the leader to confirm the last reports.
  static constexpr Duration kLastReports = std::chrono::seconds(1);

  struct Dependencies {
    ExecutorPtr executor;
    FrameTransportPtr transport;
    ProcessLauncherPtr launcher;
    RandomPtr random;
    TaskExecutorOptions options;
  };

  // `on_registered` is called at every registration.
  static std::shared_ptr<TaskExecutor> Create(Dependencies dependencies,
                                              std::function<void()> on_registered);

  void Start();

  // Takes no more tasks, ends those that run (SIGTERM, grace), reports, closes its links.
  void Stop(absl::AnyInvocable<void()> callback);

  // For tests and logs.
  Epoch epoch() const { return registration_->epoch(); }
  bool registered() const { return registration_->link() != nullptr; }
  size_t running_tasks() const { return tasks_.alive_count(); }
  TimePoint lease_deadline() const { return lease_->deadline(); }

 private:
  explicit TaskExecutor(Dependencies dependencies, std::function<void()> on_registered);

  void Wire();
  pb::RegisterTaskManager MakeRegistration();
  void OnRegistered();
  void UpdateAddresses();

  void OnMessage(const RpcLinkPtr& link, const pb::Envelope& message);
  void OnDeployTasks(const RpcLinkPtr& link, const pb::Envelope& message);
  absl::Status Deploy(const pb::TaskDeployment& task);
  void OnCancelTasks(const RpcLinkPtr& link, const pb::Envelope& message);
  void OnConfirmReports(const RpcLinkPtr& link, const pb::ConfirmReports& confirm);
  void OnDrain(const RpcLinkPtr& link, const pb::Envelope& message);
  void OnReadTaskLog(const RpcLinkPtr& link, const pb::Envelope& message);

  void OnTaskStarted(const ExecutionAttemptId& id, int64_t pid, WallMillis started);
  void OnTaskEnded(const ExecutionAttemptId& id, pb::FinalReport report);
  bool takes_tasks() const { return !stopping_ && dependencies_.launcher->ready(); }
  void OnGuardianMissing(const absl::Status& why);
  void OnGuardianLost(const absl::Status& why);

  void ReportSoon();
  void SendReports();
  void ResendLoop();
  void FinishStopping();

  const Dependencies dependencies_;
  const std::function<void()> on_registered_;
  const Incarnation incarnation_;
  std::shared_ptr<DispatcherLinks> links_;
  std::shared_ptr<LeaseKeeper> lease_;
  std::shared_ptr<LeaderRegistration> registration_;
  TaskTable tasks_;
  DrainState drain_;
  bool report_posted_ = false;
  bool stopping_ = false;
  absl::AnyInvocable<void()> stopped_;  // null: not stopping, or called
};

}  // namespace baton
