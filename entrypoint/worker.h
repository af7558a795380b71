// A TaskManager as a process has it: the executor and its guardian, wired from the configuration.
// Alone in baton-taskmanager; beside the dispatcher where there is no ZooKeeper.
//
// Threading: the thread of main; Start and Stop block. Ended by Stop; the destructor ends the
// guardian, and what still runs with it.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/asio_executor.h"
#include "base/config.h"
#include "base/ids.h"
#include "taskmanager/guardian_launcher.h"
#include "taskmanager/task_executor.h"

namespace baton {

// Where the configuration's words are not the last ones.
struct WorkerSettings {
  GuardianOptions guardian;
  TaskExecutorOptions executor;
};

// `taskmanager.dispatchers` may be empty; Start refuses that.
absl::StatusOr<WorkerSettings> WorkerSettingsFrom(const Config& config);

class Worker {
 public:
  // Comes at every registration, on the worker's executor.
  using OnRegistered = std::function<void(const Worker&)>;

  static absl::StatusOr<std::unique_ptr<Worker>> Start(ThreadPool& pool, WorkerSettings settings,
                                                       OnRegistered on_registered);
  // Ends the tasks, with their grace, and reports it; what does not end by then, the guardian ends.
  void Stop();

  const TaskManagerId& id() const { return id_; }
  uint32_t slots() const { return slots_; }
  std::string liveness_address() const { return launcher_->liveness_address(); }

 private:
  Worker() = default;

  TaskManagerId id_;
  uint32_t slots_ = 0;
  Duration stop_limit_{};
  ExecutorPtr executor_;
  std::shared_ptr<GuardianLauncher> launcher_;
  std::shared_ptr<TaskExecutor> task_executor_;
};

}  // namespace baton
