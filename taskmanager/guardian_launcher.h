// The ProcessLauncher of a real TaskManager: every task is a child of the guardian process, which
// this starts, feeds and, when it dies, replaces (docs/protocols.md, 6).
//
// Lives on the executor given to Create; owned by the TaskManager. One per process and per work
// directory. Its destructor ends every task and waits for that: drop it after the last callback,
// from a thread that may block. If the guardian dies, on_guardian_lost comes when its successor
// works; liveness_address and guardian_incarnation are the successor's then.

#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/directory_lock.h"
#include "taskmanager/attempt_directories.h"
#include "taskmanager/guardian_channel.h"
#include "taskmanager/guardian_process.h"
#include "taskmanager/process_launcher.h"

namespace baton {

class GuardianLauncher final : public ProcessLauncher,
                               public std::enable_shared_from_this<GuardianLauncher> {
 public:
  // Ends what an earlier incarnation left and starts the guardian; blocks. Logs are read and old
  // directories removed on `files`.
  static absl::StatusOr<std::shared_ptr<GuardianLauncher>> Create(GuardianOptions options,
                                                                  ExecutorPtr executor,
                                                                  ExecutorPtr files);
  ~GuardianLauncher() override;

  void Start(Listener listener) override;
  bool ready() const override { return guardian_works_; }
  void Launch(LaunchSpec spec) override;
  void Stop(const ExecutionAttemptId& id, Duration grace) override;
  void SetLeaseDeadline(TimePoint deadline) override;
  void ReadLog(const ExecutionAttemptId& id, const std::string& stream, uint64_t offset,
               uint32_t limit, LogCallback callback) override;
  std::string liveness_address() const override { return address_.liveness_address; }
  Incarnation guardian_incarnation() const override { return address_.incarnation; }

 private:
  GuardianLauncher(GuardianOptions options, ExecutorPtr executor, ExecutorPtr files);

  void Open(GuardianProcess first);
  void Send(const pb::GuardianRequest& request);
  void OnEvent(const pb::GuardianEvent& event);
  void OnEnded(const ExecutionAttemptId& id, pb::FinalReport report);
  void OnLost(const std::string& why);
  void OnRestartFailed(const std::string& why);
  void OnRestarted(GuardianGeneration generation, GuardianAddress address);
  void EndLater(const ExecutionAttemptId& id, pb::FinalReport::Outcome outcome,
                std::string failure);
  void WatchLease();

  const GuardianOptions options_;
  const ExecutorPtr executor_;
  const ExecutorPtr files_;
  std::unique_ptr<DirectoryLock> lock_;
  std::shared_ptr<AttemptDirectories> directories_;  // used on files_

  Listener listener_;
  GuardianAddress address_;
  GuardianGeneration generation_;
  bool guardian_works_ = true;
  std::string lost_because_;
  std::set<ExecutionAttemptId> attempts_;  // launched, end not yet heard of
  TimePoint lease_deadline_{};
  TimerId lease_timer_ = kNoTimer;
  bool lease_suspected_ = false;  // tasks seem to outlive it

  std::unique_ptr<GuardianChannel> channel_;  // last: its thread calls in
};

}  // namespace baton
