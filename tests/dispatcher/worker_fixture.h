// A ResourceManager with a real fence on an in-process coordination service, and TaskManagers that
// are links of a simulated network.

#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dispatcher/resource_manager/resource_manager.h"
#include "rpc/attempt_id.h"
#include "rpc/rpc_server.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/store/leader_fixture.h"

namespace baton {

// The worker's end of a link: writes down what the leader sends.
struct TestWorker {
  RpcLinkPtr link;
  std::string registration_id;
  uint64_t members_version = 0;
  std::vector<pb::TaskDeployment> deployed;
  std::vector<ExecutionAttemptId> cancelled;
  std::vector<ExecutionAttemptId> confirmed;
  std::vector<pb::DrainTaskManager> drains;
  std::vector<pb::Envelope> unanswered;
  std::string incarnation;
  bool refuses = false;        // each deployment
  bool turns_away = false;     // deployments as a whole
  bool answers_orders = true;  // else they are kept in `unanswered`, as reads of logs are
};

// A job of `ready` subtasks.
class TestSource final : public TaskSource {
 public:
  explicit TestSource(const std::string& key, size_t ready)
      : id_(JobId::FromKey(key)), ready_(ready) {}

  JobId job_id() const override { return id_; }
  size_t ready_count() const override { return ready_; }
  pb::TaskDeployment TakeNext(const SlotOffer& offer) override {
    --ready_;
    offers.push_back(offer.task_manager.value());
    pb::TaskDeployment task;
    *task.mutable_id() = ToProto({id_, 0, next_++, 0, Epoch{1}});
    if (padding > 0) task.add_command(std::string(padding, 'x'));
    return task;
  }
  void OnAttemptStatus(const ReportedAttempt& attempt) override { reported.push_back(attempt); }
  void OnAttemptLost(const ExecutionAttemptId& id, LossReason reason, const std::string&) override {
    lost.push_back(id);
    reasons.push_back(reason);
  }
  void OnRosterSettled() override { ++settled; }

  void Want(size_t ready) { ready_ += ready; }

  std::vector<std::string> offers;
  std::vector<ReportedAttempt> reported;
  std::vector<ExecutionAttemptId> lost;
  std::vector<LossReason> reasons;
  int settled = 0;
  size_t padding = 0;  // bytes of its command

 private:
  const JobId id_;
  size_t ready_;
  uint32_t next_ = 0;
};

class WorkerFixture : public LeaderFixture {
 protected:
  WorkerFixture() {
    Prepare();
    server_link_ = std::make_shared<RpcServer>(network_->NewProcess("leader"), executor_,
                                               HelloOf(pb::Hello::REPLICA, "leader"));
    for (auto kind : {pb::Envelope::kRegisterTaskManager, pb::Envelope::kHeartbeat,
                      pb::Envelope::kTaskReports}) {
      server_link_->Handle(kind, [this](const RpcLinkPtr& link, pb::Envelope message) {
        if (rm_) rm_->OnMessage(link, message);
      });
    }
    server_link_->Observe(
        {.on_opened = nullptr, .on_closed = [this](const RpcLinkPtr& link, const absl::Status&) {
           if (rm_) rm_->OnLinkClosed(link.get());
         }});
    EXPECT_TRUE(server_link_->Start("leader:6123").ok());
  }
  ~WorkerFixture() override {
    rm_ = nullptr;
    for (auto& [id, worker] : workers_) {
      if (worker.link) worker.link->Close();
    }
    server_link_->Stop();
    Settle();
  }

  static pb::Hello HelloOf(pb::Hello::Role role, const std::string& id) {
    pb::Hello hello;
    hello.set_cluster_id("test");
    hello.set_role(role);
    hello.set_id(id);
    hello.set_incarnation(id + "-1");
    return hello;
  }

  void MakeResourceManager() {
    PrepareResourceManager();
    rm_->Start();
    Settle();
  }
  void PrepareResourceManager() {
    ResourceManager::Dependencies deps;
    deps.executor = executor_;
    deps.transport = network_->NewProcess("leader");
    deps.random = NewSeededRandom(5);
    deps.fence = rm_fence_ ? rm_fence_ : fence_;
    deps.leader.set_epoch(1);
    deps.last_lease_answer = [this](const TaskManagerId&, auto callback) {
      callback(last_way2_answer_);
    };
    deps.leading_since = executor_->Now();
    deps.policy = *NewAssignmentPolicy("greedy");
    deps.job_is_live = [this](const JobId& job) { return IsLive(job); };
    KeepConfirming();
    rm_ = std::make_shared<ResourceManager>(std::move(deps));
  }

  virtual bool IsLive(const JobId& job) const { return !gone_.contains(job); }

  // As the election does: a leader that does not confirm itself orders nothing.
  void KeepConfirming() {
    fence_->Confirm([](const absl::Status&) {});
    executor_->PostAfter(std::chrono::seconds(1), [this] { KeepConfirming(); });
  }

  TestWorker& Connect(const std::string& id) {
    TestWorker& worker = workers_[id];
    auto executor = scheduler_.NewExecutor(id);
    auto opened = std::make_shared<RpcLinkPtr>();
    transports_[id] = network_->NewProcess(id);
    RpcLink::Connect(*transports_[id], "leader:6123", HelloOf(pb::Hello::TASK_MANAGER, id),
                     executor, std::chrono::seconds(5),
                     [opened](absl::StatusOr<RpcLinkPtr> link) { *opened = *link; });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return *opened != nullptr; }, std::chrono::seconds(10)));
    worker.link = *opened;
    worker.link->Start(
        {.on_message = [&worker](const RpcLinkPtr& link,
                                 pb::Envelope message) { OnMessage(worker, link, message); },
         .on_closed = [&worker](auto&&...) { worker.link = nullptr; }});
    return worker;
  }

  void Register(TestWorker& worker, const std::string& id, uint32_t slots,
                const std::vector<pb::AttemptStatus>& inventory = {},
                const std::optional<pb::Drain>& drain = std::nullopt) {
    pb::Envelope request;
    auto& registration = *request.mutable_register_task_manager();
    *registration.mutable_description() = DescriptionOf(id, slots, worker.incarnation);
    if (drain) *registration.mutable_description()->mutable_drain() = *drain;
    for (const auto& status : inventory) *registration.add_inventory() = status;
    worker.registration_id.clear();
    worker.link->Call(std::move(request), std::chrono::seconds(5),
                      [&worker](absl::StatusOr<pb::Envelope> reply) {
                        if (!reply.ok()) return;
                        worker.registration_id = reply->registration_reply().registration_id();
                        worker.members_version = reply->registration_reply().members().version();
                      });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return !worker.registration_id.empty(); },
                                    std::chrono::seconds(10)));
    PassTime(std::chrono::milliseconds(100));
  }
  static pb::TaskManagerDescription DescriptionOf(const std::string& id, uint32_t slots,
                                                  const std::string& incarnation = "") {
    pb::TaskManagerDescription description;
    description.set_id(id);
    description.set_incarnation(incarnation);
    description.set_slots(slots);
    description.set_liveness_address(id + ":liveness");
    description.set_guardian_incarnation(id + "-guardian");
    return description;
  }
  // What is answered within `limit`; kDeadlineExceeded: nothing.
  absl::Status TryRegister(TestWorker& worker, const pb::TaskManagerDescription& description,
                           Duration limit = std::chrono::seconds(1)) {
    pb::RegisterTaskManager registration;
    *registration.mutable_description() = description;
    return TryRegister(worker, registration, limit);
  }
  absl::Status TryRegister(TestWorker& worker, const pb::RegisterTaskManager& registration,
                           Duration limit = std::chrono::seconds(1)) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    pb::Envelope request;
    *request.mutable_register_task_manager() = registration;
    worker.link->Call(std::move(request), std::chrono::minutes(1),
                      [answer, &worker](absl::StatusOr<pb::Envelope> reply) {
                        *answer = reply.status();
                        if (!reply.ok()) return;
                        worker.registration_id = reply->registration_reply().registration_id();
                      });
    scheduler_.RunUntil([&] { return answer->has_value(); }, limit);
    return answer->value_or(absl::DeadlineExceededError("not answered"));
  }
  TestWorker& Join(const std::string& id, uint32_t slots) {
    TestWorker& worker = Connect(id);
    Register(worker, id, slots);
    return worker;
  }

  void Report(TestWorker& worker, const pb::AttemptStatus& status) {
    pb::Envelope message;
    message.mutable_task_reports()->set_registration_id(worker.registration_id);
    *message.mutable_task_reports()->add_reports() = status;
    worker.link->Send(std::move(message));
    PassTime(std::chrono::milliseconds(100));
  }

  static pb::AttemptStatus StatusOf(const ExecutionAttemptId& id, pb::AttemptStatus::Phase phase) {
    pb::AttemptStatus status;
    *status.mutable_id() = ToProto(id);
    status.set_phase(phase);
    return status;
  }

  void PassTime(Duration span) { scheduler_.AdvanceBy(span); }
  // The same, and every worker sends its heartbeats.
  void PassTimeAlive(Duration span) {
    const TimePoint end = executor_->Now() + span;
    while (executor_->Now() < end) {
      for (auto& [id, worker] : workers_) {
        if (!worker.link) continue;
        pb::Envelope request;
        request.mutable_heartbeat()->set_registration_id(worker.registration_id);
        request.mutable_heartbeat()->set_members_version(worker.members_version);
        worker.link->Call(std::move(request), std::chrono::seconds(5), [](const auto&) {});
      }
      PassTime(std::min<Duration>(end - executor_->Now(), std::chrono::seconds(1)));
    }
  }

  // A guardian that answers: silence is no death.
  void KeepGuardianAlive(const std::string& id) {
    auto guardian =
        transports_[id]->Listen(id + ":liveness", scheduler_.NewExecutor("guardian of " + id),
                                [id](FrameConnectionPtr connection) {
                                  connection->Start({});
                                  connection->Send(id + "-guardian");
                                  connection->Close();
                                });
    ASSERT_TRUE(guardian.ok());
    guardians_.push_back(*std::move(guardian));
  }

  void EnlistForEarlierLeader(const std::string& id) {
    pb::TaskManagerDescription entry;
    entry.set_id(id);
    EnlistForEarlierLeader(entry);
  }
  void EnlistForEarlierLeader(const pb::TaskManagerDescription& entry) {
    const auto status = Run<absl::Status>([&](auto done) {
      other_->Create("/baton/c/roster/" + entry.id(), entry.SerializeAsString(),
                     NodeKind::kPersistent, std::move(done));
    });
    EXPECT_TRUE(status.ok()) << status;
  }

  bool OnRoster(const std::string& id) {
    return Run<absl::StatusOr<NodeData>>(
               [&](auto done) { other_->Get("/baton/c/roster/" + id, nullptr, std::move(done)); })
        .ok();
  }

  std::shared_ptr<SimulatedNetwork> network_ = std::make_shared<SimulatedNetwork>(3);
  std::shared_ptr<RpcServer> server_link_;
  std::shared_ptr<ResourceManager> rm_;
  LeaderFencePtr rm_fence_;  // null: fence_
  std::map<std::string, FrameTransportPtr> transports_;
  std::vector<std::unique_ptr<FrameListener>> guardians_;
  std::map<std::string, TestWorker> workers_;
  std::optional<TimePoint> last_way2_answer_;
  std::set<JobId> gone_;

 private:
  static void OnMessage(TestWorker& worker, const RpcLinkPtr& link, const pb::Envelope& message) {
    pb::Envelope reply;
    if (message.has_read_task_log() || (!worker.answers_orders && message.correlation_id() != 0)) {
      worker.unanswered.push_back(message);
    } else if (message.has_deploy_tasks() && worker.turns_away) {
      link->ReplyError(message, absl::FailedPreconditionError("it is stopping"));
    } else if (message.has_deploy_tasks()) {
      for (const auto& task : message.deploy_tasks().tasks()) {
        if (worker.refuses) {
          *reply.mutable_deploy_tasks_reply()->add_refused()->mutable_id() = task.id();
        } else {
          worker.deployed.push_back(task);
        }
      }
      reply.mutable_deploy_tasks_reply();
      link->Reply(message, std::move(reply));
    } else if (message.has_cancel_tasks()) {
      for (const auto& id : message.cancel_tasks().ids())
        worker.cancelled.push_back(*FromProto(id));
      reply.mutable_cancel_tasks_reply();
      link->Reply(message, std::move(reply));
    } else if (message.has_drain_task_manager()) {
      worker.drains.push_back(message.drain_task_manager());
      reply.mutable_drain_task_manager_reply();
      link->Reply(message, std::move(reply));
    } else if (message.has_confirm_reports()) {
      for (const auto& id : message.confirm_reports().ids()) {
        worker.confirmed.push_back(*FromProto(id));
      }
    }
  }
};

}  // namespace baton
