// Thousands of TaskManagers of a simulated cluster: production code, as its other workers, but many
// share an executor, because the scheduler looks at each executor for every step.
//
// Owned by the test, made after the cluster and gone before it.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "taskmanager/task_executor.h"
#include "tests/simulation/simulated_cluster.h"
#include "tests/taskmanager/fake_process_launcher.h"

namespace baton {

class WorkerFleet {
 public:
  static constexpr size_t kWorkersPerExecutor = 500;

  WorkerFleet(SimulatedCluster* cluster, size_t workers) : cluster_(cluster) {
    for (size_t i = 0; i < workers; ++i) {
      if (i % kWorkersPerExecutor == 0) {
        executors_.push_back(cluster->NewExecutor("fleet" + std::to_string(executors_.size())));
      }
      Add("w" + std::to_string(i), executors_.back());
    }
  }
  ~WorkerFleet() {
    for (const Worker& worker : workers_) cluster_->network().Kill(worker.name);
    for (const auto& executor : executors_) executor->Kill();
  }

  // So many are registered with the leader of the newest epoch.
  size_t CountServing() const {
    size_t serving = 0;
    for (const Worker& worker : workers_) {
      serving += worker.task_executor->registered() &&
                 worker.task_executor->epoch().value == cluster_->recorder().epoch();
    }
    return serving;
  }
  size_t size() const { return workers_.size(); }

 private:
  struct Worker {
    std::string name;
    std::unique_ptr<FrameListener> liveness;
    std::shared_ptr<FakeProcessLauncher> launcher;
    std::shared_ptr<TaskExecutor> task_executor;
  };

  void Add(const std::string& name, const std::shared_ptr<ManualExecutor>& executor) {
    Worker worker;
    worker.name = name;
    const std::string liveness = name + ":6124";
    auto recorder = cluster_->recorder().shared_from_this();
    worker.launcher = std::make_shared<FakeProcessLauncher>(
        executor, cluster_->NewRandom(), liveness, [recorder, name](const LaunchSpec& spec) {
          return recorder->ScriptFor(name, Epoch{}, spec);
        });
    worker.launcher->Observe(recorder->ObserverOf(name));
    const FrameTransportPtr transport = cluster_->network().NewProcess(name);
    auto listener = transport->Listen(
        liveness, executor, [launcher = worker.launcher](const FrameConnectionPtr& connection) {
          connection->Start({});
          connection->Send(launcher->guardian_incarnation().value());
          connection->Close();
        });
    if (listener.ok()) worker.liveness = *std::move(listener);
    TaskExecutorOptions options = cluster_->WorkerOptions(name);
    options.slots = 1;
    worker.task_executor = TaskExecutor::Create(
        {executor, transport, worker.launcher, cluster_->NewRandom(), options}, nullptr);
    executor->Post([task_executor = worker.task_executor] { task_executor->Start(); });
    workers_.push_back(std::move(worker));
  }

  SimulatedCluster* const cluster_;
  std::vector<std::shared_ptr<ManualExecutor>> executors_;
  std::vector<Worker> workers_;
};

}  // namespace baton
