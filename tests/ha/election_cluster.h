// Replicas that elect their leader in one thread and virtual time, and what must hold whatever
// happens to them.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "base/random.h"
#include "base/status.h"
#include "ha/embedded_coordination.h"
#include "ha/leader_election.h"
#include "tests/ha/spy_client.h"

namespace baton {

// All grants in the cluster, in the order in which they were told; none is granted twice.
//
// That is mostly the order of their epochs, but need not be. A winner is told when the answer
// arrives, or, where that was lost, what it reads back. If it is taken for dead meanwhile, the next
// one is elected behind it, and its answer may arrive first. Who is then told late is fenced from
// the start (ElectionTest.AWinnerThatIsToldAfterTheNextOneWritesNothingAndEnds).
struct GrantLog {
  std::vector<pb::LeaderRecord> grants;
  uint64_t newest() const {
    uint64_t newest = 0;
    for (const auto& record : grants) newest = std::max<uint64_t>(newest, record.epoch());
    return newest;
  }
  bool Has(uint64_t epoch) const {
    return std::ranges::any_of(grants, [&](const auto& record) { return record.epoch() == epoch; });
  }
};

// One process: its election, and itself as the contender.
class TestReplica final : public LeaderContender {
 public:
  TestReplica(ManualScheduler& scheduler, EmbeddedCoordinationServerPtr server, GrantLog* log,
              const std::string& id, const std::string& incarnation)
      : executor(scheduler.NewExecutor(id)), log_(log) {
    self.set_replica_id(id);
    self.set_incarnation(incarnation);
    self.set_rest_address(id + ":8081");
    self.set_rpc_address(id + ":6123");
    client = NewEmbeddedClient(std::move(server), executor, std::chrono::seconds(10));
    spy = std::make_shared<SpyClient>(client);
    election = NewLeaderElection({spy,
                                  executor,
                                  CoordinationPaths("/baton", "test"),
                                  self,
                                  {},
                                  NewSeededRandom(std::hash<std::string>()(incarnation))});
  }

  void Start() {
    Run([this] {
      election->AddListener([this](const LeadershipView& view) { views.push_back(view); });
      election->Start(this);
    });
  }

  // On the election's executor, as every call must be.
  void Run(Task task) { executor->Post(std::move(task)); }

  void OnGrant(const pb::LeaderRecord& record, LeaderFencePtr granted) override {
    EXPECT_EQ(fence, nullptr) << self.replica_id() << " was granted an epoch while it leads";
    EXPECT_EQ(record.replica_id(), self.replica_id());
    EXPECT_EQ(record.epoch(), granted->epoch().value);
    EXPECT_FALSE(log_->Has(record.epoch())) << "epoch " << record.epoch() << " came again";
    EXPECT_GT(record.epoch(), last_fence ? last_fence->epoch().value : 0);
    EXPECT_GE(record.epoch(), view().last_winner.epoch()) << "it knew of a later one";
    log_->grants.push_back(record);
    fence = std::move(granted);
    last_fence = fence;
    if (on_grant) on_grant();
  }

  void OnRevoke(Epoch epoch, const absl::Status& why) override {
    ASSERT_NE(fence, nullptr) << self.replica_id() << " does not lead";
    EXPECT_EQ(epoch, fence->epoch());
    EXPECT_TRUE(why.ok() || why.code() == absl::StatusCode::kAborted) << Describe(why);
    fence = nullptr;
    revocations.push_back(why);
  }

  bool leads() const { return fence != nullptr; }
  LeadershipView view() const { return election->Snapshot(); }
  uint64_t epoch() const { return fence ? fence->epoch().value : 0; }
  Incarnation incarnation() const { return Incarnation(self.incarnation()); }

  pb::ReplicaRecord self;
  std::shared_ptr<ManualExecutor> executor;
  CoordinationClientPtr client;
  std::shared_ptr<SpyClient> spy;
  LeaderElectionPtr election;
  LeaderFencePtr fence;       // while leading
  LeaderFencePtr last_fence;  // as a zombie would keep it
  std::vector<absl::Status> revocations;
  std::vector<LeadershipView> views;  // as the listener heard them
  std::function<void()> on_grant;

 private:
  GrantLog* const log_;
};

class ElectionCluster {
 public:
  using Server = EmbeddedCoordinationServer;

  explicit ElectionCluster(uint64_t seed) : scheduler(seed), paths("/baton", "test") {
    service = scheduler.NewExecutor("coordination");
    server = std::make_shared<Server>(service);
    admin = NewEmbeddedClient(server, scheduler.NewExecutor("admin"), std::chrono::seconds(10));
    admin->Start([](SessionEvent) {});
    Advance(std::chrono::milliseconds(1));
  }

  ~ElectionCluster() {
    for (auto& [id, replica] : replicas) Retire(replica);
    admin->Close();
    Advance(std::chrono::milliseconds(1));
    // What is still on its way holds its receiver.
    service->Kill();
  }

  // `members` stands before anybody starts, as after a first epoch that admitted them.
  void MakeMembers(const std::vector<std::string>& ids) {
    pb::MemberList members;
    members.set_version(1);
    for (const std::string& id : ids) {
      auto* member = members.add_members();
      member->set_replica_id(id);
      member->set_rpc_address(id + ":6123");
    }
    Put("/baton", "");
    Put(paths.base(), "");
    Put(paths.members(), members.SerializeAsString());
  }

  void Put(const std::string& path, const std::string& data) {
    admin->Create(path, data, NodeKind::kPersistent, [](const absl::Status&) {});
    Advance(std::chrono::milliseconds(1));
  }
  void Remove(const std::string& path) {
    admin->Delete(path, kAnyVersion, [](const absl::Status&) {});
    Advance(std::chrono::milliseconds(1));
  }
  absl::StatusOr<NodeData> Read(const std::string& path) {
    std::optional<absl::StatusOr<NodeData>> result;
    admin->Get(path, nullptr, [&](auto node) { result = std::move(node); });
    scheduler.RunUntil([&] { return result.has_value(); }, std::chrono::seconds(1));
    return result ? *result : Unknown("not answered");
  }
  uint64_t EpochInTree() {
    pb::LeaderRecord record;
    auto node = Read(paths.epoch());
    return node.ok() && record.ParseFromString(node->data) ? record.epoch() : 0;
  }

  TestReplica& Add(const std::string& id) {
    if (auto old = replicas.find(id); old != replicas.end()) {
      graveyard.push_back(std::move(old->second));
      replicas.erase(old);
    }
    const std::string incarnation = id + "-" + std::to_string(++last_incarnation);
    auto replica = std::make_unique<TestReplica>(scheduler, server, &log, id, incarnation);
    return *(replicas[id] = std::move(replica));
  }
  TestReplica& AddAndStart(const std::string& id) {
    TestReplica& replica = Add(id);
    replica.Start();
    return replica;
  }

  void Advance(Duration span) { scheduler.AdvanceBy(span); }
  bool RunUntil(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(30)) {
    return scheduler.RunUntil(condition, limit);
  }

  // The one that the tree calls the leader, if it knows that.
  TestReplica* Leader() {
    for (auto& [id, replica] : replicas) {
      if (replica->leads() && replica->epoch() == log.newest()) return replica.get();
    }
    return nullptr;
  }
  TestReplica* AwaitLeader(Duration limit = std::chrono::seconds(30)) {
    RunUntil([this] { return Leader() != nullptr; }, limit);
    return Leader();
  }

  // Dead as by kill -9; the object remains for the test to look at.
  void Kill(TestReplica& replica) {
    replica.executor->Kill();
    replica.fence = nullptr;
  }
  void ReportDeathToAll(const Incarnation& incarnation) {
    for (auto& [id, replica] : replicas) {
      replica->Run(
          [election = replica->election, incarnation] { election->ReportDeath(incarnation); });
    }
  }

  // What the SilenceWatches of the others would say at this moment.
  void ReportSilence(const TestReplica& leader) {
    const LeaderIdentity silent{leader.last_fence->epoch(), leader.incarnation()};
    for (auto& [id, replica] : replicas) {
      if (replica.get() == &leader) continue;
      replica->Run([election = replica->election, silent] { election->ReportSilence(silent); });
    }
  }
  // The leader of a later epoch than that which `old` led last.
  TestReplica* AwaitNext(const TestReplica& old, Duration limit) {
    const uint64_t before = old.last_fence->epoch().value;
    RunUntil([&] { return Leader() != nullptr && log.newest() > before; }, limit);
    return log.newest() > before ? Leader() : nullptr;
  }

  absl::Status Commit(const LeaderFencePtr& fence, const std::string& path) {
    std::optional<absl::Status> result;
    fence->Commit(
        {CoordinationOp::Create(path, "by epoch " + std::to_string(fence->epoch().value))},
        [&](absl::Status status) { result = std::move(status); });
    RunUntil([&] { return result.has_value(); });
    return result ? *result : Unknown("not answered");
  }

  void Retire(std::unique_ptr<TestReplica>& replica) {
    replica->on_grant = nullptr;
    replica->executor->Kill();
  }

  ManualScheduler scheduler;
  CoordinationPaths paths;
  std::shared_ptr<ManualExecutor> service;
  std::shared_ptr<Server> server;
  CoordinationClientPtr admin;
  GrantLog log;
  int last_incarnation = 0;
  std::map<std::string, std::unique_ptr<TestReplica>> replicas;
  std::vector<std::unique_ptr<TestReplica>> graveyard;
};

}  // namespace baton
