// A TaskExecutor in virtual time, with fake replicas over a simulated network.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/manual_executor.h"
#include "taskmanager/task_executor.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/taskmanager/fake_process_launcher.h"
#include "tests/taskmanager/fake_replica.h"

namespace baton {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLease = seconds(20);
constexpr Duration kSoon = seconds(3);

inline ExecutionAttemptId Attempt(uint32_t subtask, uint32_t attempt = 0, uint64_t epoch = 1) {
  return {.job = JobId::FromKey("job"),
          .vertex = 0,
          .subtask = subtask,
          .attempt = attempt,
          .epoch = {epoch}};
}

class TaskExecutorTest : public testing::Test {
 protected:
  explicit TaskExecutorTest(Duration lease = kLease) {
    for (const char* name : {"a", "b"}) NewReplica(name);
    launcher_ = std::make_shared<FakeProcessLauncher>(
        executor_, random_, "tm:liveness",
        [](const LaunchSpec&) { return FakeProcessLauncher::Script{}; });
    TaskExecutorOptions options;
    options.cluster_id = "test";
    options.id = TaskManagerId("tm");
    options.dispatchers = {Address("a"), Address("b")};
    options.slots = 2;
    options.host = "host";
    options.shared_directory = "/shared";
    options.lease = lease;
    tm_ = TaskExecutor::Create({executor_, network_->NewProcess("tm"), launcher_, random_, options},
                               [this] { ++registered_; });
    executor_->Post([this] { tm_->Start(); });
  }

  ~TaskExecutorTest() override {
    tm_ = nullptr;
    replicas_.clear();
    // What is under way comes to its end: a link in the middle of its handshake holds itself.
    network_->HealAll();
    scheduler_.AdvanceBy(kSoon);
  }

  static std::string Address(const std::string& name) { return name + ":1"; }

  void NewReplica(const std::string& name) {
    auto executor = scheduler_.NewExecutor(name);
    executors_[name] = executor;
    replicas_[name] =
        std::make_unique<FakeReplica>(network_->NewProcess(name), executor, name, Address(name));
    for (const char* member_name : {"a", "b"}) {
      auto& member = *replicas_[name]->members.add_members();
      member.set_replica_id(member_name);
      member.set_rpc_address(Address(member_name));
    }
    replicas_[name]->members.set_version(1);
  }

  // Everybody hears that `name` leads `epoch`.
  void Elect(const std::string& name, uint64_t epoch) {
    const pb::LeaderRecord record = replicas_[name]->Record(epoch);
    for (auto& [id, replica] : replicas_) {
      replica->leads = id == name;
      replica->highest_epoch = epoch;
      replica->Announce(record);
    }
  }

  void KillReplica(const std::string& name) {
    network_->Kill(name);
    executors_[name]->Kill();
  }

  FakeReplica& a() { return *replicas_["a"]; }
  FakeReplica& b() { return *replicas_["b"]; }

  bool Until(const std::function<bool()>& condition, Duration limit = kSoon) {
    return scheduler_.RunUntil(condition, limit);
  }

  void RegisterAtA() {
    Elect("a", 1);
    ASSERT_TRUE(Until([&] { return tm_->registered(); }));
  }

  // Runs attempt `subtask` under a's registration.
  void RunOne(uint32_t subtask) {
    a().Deploy(a().registration_id, {Attempt(subtask)});
    ASSERT_TRUE(Until([&] { return a().Phase(Attempt(subtask)) == pb::AttemptStatus::RUNNING; }));
  }

  ManualScheduler scheduler_{7};
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("tm");
  SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(7);
  RandomPtr random_ = NewSeededRandom(7);
  std::map<std::string, std::shared_ptr<ManualExecutor>> executors_;
  std::map<std::string, std::unique_ptr<FakeReplica>> replicas_;
  std::shared_ptr<FakeProcessLauncher> launcher_;
  std::shared_ptr<TaskExecutor> tm_;
  int registered_ = 0;
};

}  // namespace baton
