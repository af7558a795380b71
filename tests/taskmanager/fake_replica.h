// A dispatcher replica as a TaskManager sees it: announces whom the test tells it to, answers
// registrations, heartbeats and lease queries, and keeps what it was sent.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_executor.h"
#include "base/status.h"
#include "rpc/attempt_id.h"
#include "rpc/rpc_server.h"

namespace baton {

class FakeReplica {
 public:
  FakeReplica(FrameTransportPtr transport, ExecutorPtr executor, std::string id,
              std::string address)
      : executor_(executor), id_(std::move(id)), address_(std::move(address)) {
    pb::Hello hello;
    hello.set_cluster_id("test");
    hello.set_role(pb::Hello::REPLICA);
    hello.set_id(id_);
    hello.set_incarnation(id_ + "-1");
    server_ = std::make_shared<RpcServer>(std::move(transport), executor, hello);
    Handle();
    EXPECT_TRUE(server_->Start(address_).ok());
  }

  pb::LeaderRecord Record(uint64_t epoch) const {
    pb::LeaderRecord record;
    record.set_epoch(epoch);
    record.set_replica_id(id_);
    record.set_incarnation(id_ + "-1");
    record.set_rpc_address(address_);
    return record;
  }

  void Announce(const pb::LeaderRecord& leader) {
    announced_ = leader;
    for (const auto& link : links_) SendAnnouncement(link);
  }

  void Deploy(const std::string& registration, const std::vector<ExecutionAttemptId>& ids) {
    pb::Envelope request;
    auto& deploy = *request.mutable_deploy_tasks();
    deploy.set_registration_id(registration);
    for (const auto& id : ids) {
      auto& task = *deploy.add_tasks();
      *task.mutable_id() = ToProto(id);
      task.set_vertex_id("count");
      task.set_parallelism(8);
      task.add_command("count");
      task.add_command("{subtask}/{parallelism}");
    }
    links_.back()->Call(std::move(request), std::chrono::seconds(5),
                        [this](absl::StatusOr<pb::Envelope> reply) {
                          if (!reply.ok()) return turned_away.push_back(reply.status());
                          for (const auto& refusal : reply->deploy_tasks_reply().refused()) {
                            refused.push_back(refusal.reason());
                          }
                          ++deploy_replies;
                        });
  }

  void Cancel(const std::string& registration, const ExecutionAttemptId& id) {
    pb::Envelope request;
    request.mutable_cancel_tasks()->set_registration_id(registration);
    *request.mutable_cancel_tasks()->add_ids() = ToProto(id);
    Ask(std::move(request), [this](const pb::Envelope& reply) {
      unknown += reply.cancel_tasks_reply().unknown_size();
    });
  }

  void Confirm(const ExecutionAttemptId& id) {
    pb::Envelope message;
    *message.mutable_confirm_reports()->add_ids() = ToProto(id);
    links_.back()->Send(std::move(message));
  }

  void Ask(pb::Envelope request, std::function<void(const pb::Envelope&)> on_reply) {
    links_.back()->Call(std::move(request), std::chrono::seconds(5),
                        [this, on_reply](absl::StatusOr<pb::Envelope> reply) {
                          if (reply.ok()) return on_reply(*reply);
                          errors.push_back(reply.status());
                        });
  }

  // The newest state of an attempt that was reported, by inventory or report.
  pb::AttemptStatus::Phase Phase(const ExecutionAttemptId& id) const {
    auto it = statuses.find(id);
    return it == statuses.end() ? pb::AttemptStatus::UNSET : it->second.phase();
  }

  // --- how it behaves
  bool leads = false;  // what it answers to lease queries
  bool answers_heartbeats = true;
  bool answers_registrations = true;
  bool knows_registrations = true;
  uint64_t highest_epoch = 0;  // what it has seen
  uint64_t reply_epoch = 0;    // 0: that of its registration
  pb::MemberList members;

  // --- what it saw
  std::vector<pb::RegisterTaskManager> registrations;
  std::string registration_id;  // the newest it gave
  int heartbeats = 0;
  int lease_queries = 0;
  int deploy_replies = 0;
  int reports = 0;  // messages
  int unknown = 0;
  std::vector<std::string> refused;       // deployments, one by one
  std::vector<absl::Status> turned_away;  // deployments as a whole
  std::vector<absl::Status> errors;
  std::map<ExecutionAttemptId, pb::AttemptStatus> statuses;

  size_t open_links() const { return links_.size(); }
  const std::string& address() const { return address_; }

 private:
  void Handle() {
    server_->Observe(
        {.on_opened =
             [this](const RpcLinkPtr& link) {
               links_.push_back(link);
               SendAnnouncement(link);
             },
         .on_closed = [this](const RpcLinkPtr& link, absl::Status) { std::erase(links_, link); }});
    server_->Handle(pb::Envelope::kRegisterTaskManager,
                    [this](const RpcLinkPtr& link, pb::Envelope m) { OnRegister(link, m); });
    server_->Handle(pb::Envelope::kHeartbeat,
                    [this](const RpcLinkPtr& link, pb::Envelope m) { OnHeartbeat(link, m); });
    server_->Handle(pb::Envelope::kLeaseQuery, [this](const RpcLinkPtr& link, pb::Envelope m) {
      ++lease_queries;
      pb::Envelope reply;
      reply.mutable_lease_query_reply()->set_leads(leads);
      reply.mutable_lease_query_reply()->set_highest_epoch_seen(highest_epoch);
      link->Reply(m, std::move(reply));
    });
    server_->Handle(pb::Envelope::kTaskReports, [this](const RpcLinkPtr&, pb::Envelope m) {
      ++reports;
      for (const auto& status : m.task_reports().reports()) Record(status);
    });
  }

  void OnRegister(const RpcLinkPtr& link, const pb::Envelope& m) {
    registrations.push_back(m.register_task_manager());
    for (const auto& status : m.register_task_manager().inventory()) Record(status);
    if (!answers_registrations) return;
    registration_id = id_ + "-r" + std::to_string(registrations.size());
    pb::Envelope reply;
    auto& answer = *reply.mutable_registration_reply();
    answer.set_epoch(reply_epoch == 0 ? announced_.epoch() : reply_epoch);
    answer.set_registration_id(registration_id);
    *answer.mutable_members() = members;
    *answer.mutable_leader() = Record(answer.epoch());
    link->Reply(m, std::move(reply));
  }

  void OnHeartbeat(const RpcLinkPtr& link, const pb::Envelope& m) {
    ++heartbeats;
    if (!answers_heartbeats) return;
    pb::Envelope reply;
    reply.mutable_heartbeat_reply()->set_epoch(announced_.epoch());
    if (knows_registrations) {
      reply.mutable_heartbeat_reply()->set_registration_id(m.heartbeat().registration_id());
    }
    link->Reply(m, std::move(reply));
  }

  void Record(const pb::AttemptStatus& status) { statuses[*FromProto(status.id())] = status; }

  void SendAnnouncement(const RpcLinkPtr& link) {
    if (announced_.epoch() == 0) return;
    pb::Envelope message;
    *message.mutable_leader_announcement()->mutable_leader() = announced_;
    *message.mutable_leader_announcement()->mutable_members() = members;
    link->Send(std::move(message));
  }

  const ExecutorPtr executor_;
  const std::string id_;
  const std::string address_;
  std::shared_ptr<RpcServer> server_;
  std::vector<RpcLinkPtr> links_;
  pb::LeaderRecord announced_;
};

}  // namespace baton
