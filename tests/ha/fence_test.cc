#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "base/status.h"
#include "fmt/format.h"
#include "ha/embedded_coordination.h"
#include "ha/leader_fence.h"
#include "ha/managed_fence.h"
#include "ha/znode_path.h"
#include "tests/ha/spy_client.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;
using Code = absl::StatusCode;

// A leader of epoch 1 with its fence, and somebody else who changes the tree behind it.
class FenceTest : public ::testing::Test {
 public:
  ~FenceTest() override {
    if (fence_) fence_->Close(Aborted("end of test"));
    spy_->Close();
    other_->Close();
    Settle();
  }

 protected:
  explicit FenceTest(uint64_t seed = 1) : scheduler_(seed) {
    server_ = std::make_shared<Server>(scheduler_.NewExecutor("coordination"));
    other_ = NewEmbeddedClient(server_, scheduler_.NewExecutor("other"), 10s);
    other_->Start([](SessionEvent) {});
    raw_ = NewEmbeddedClient(server_, executor_ = scheduler_.NewExecutor("leader"), 10s);
    spy_ = std::make_shared<SpyClient>(raw_);
    spy_->Start([this](SessionEvent event) {
      if (!fence_) return;
      event.state == SessionState::kConnected ? fence_->Resume() : fence_->Pause();
    });
    Settle();
    for (const char* path : {"/baton", "/baton/c", "/baton/c/epoch", "/d"}) {
      other_->Create(path, "", NodeKind::kPersistent, [](auto) {});
    }
    Settle();
    MakeFence({});
  }

  void MakeFence(FenceLimits limits) {
    fence_ = NewManagedFence({spy_, executor_, CoordinationPaths("/baton", "c"), limits,
                              [this](const absl::Status& why) {
                                EXPECT_EQ(why.code(), Code::kAborted);
                                ++deposed_;
                              }},
                             {Epoch{1}, /*epoch_version=*/0, executor_->Now()});
  }

  void Settle() { scheduler_.AdvanceBy(1ms); }

  // The answer will stand in the slot.
  using Slot = std::shared_ptr<std::optional<absl::Status>>;
  Slot Commit(std::vector<CoordinationOp> ops) {
    auto slot = std::make_shared<std::optional<absl::Status>>();
    fence_->Commit(std::move(ops), [slot](absl::Status status) {
      EXPECT_FALSE(slot->has_value()) << "answered twice";
      *slot = std::move(status);
    });
    return slot;
  }
  Slot Confirm() {
    auto slot = std::make_shared<std::optional<absl::Status>>();
    fence_->Confirm([slot](absl::Status status) { *slot = std::move(status); });
    return slot;
  }
  Slot Create(const std::string& path, const std::string& data) {
    return Commit({CoordinationOp::Create(path, data)});
  }

  static std::optional<Code> CodeOf(const Slot& slot) {
    return slot->has_value() ? std::optional((*slot)->code()) : std::nullopt;
  }

  absl::StatusOr<NodeData> Read(const std::string& path) {
    absl::StatusOr<NodeData> result = Unknown("not answered");
    other_->Get(path, nullptr, [&](auto node) { result = std::move(node); });
    scheduler_.RunUntil([&] { return result.status().code() != Code::kUnknown; }, 1s);
    return result;
  }

  // A newer leader wins.
  void TakeOver() {
    other_->Set("/baton/c/epoch", "2", 0, [](auto) {});
    Settle();
  }

  ManualScheduler scheduler_;
  std::shared_ptr<Server> server_;
  std::shared_ptr<ManualExecutor> executor_;
  CoordinationClientPtr other_;
  CoordinationClientPtr raw_;
  std::shared_ptr<SpyClient> spy_;
  ManagedFencePtr fence_;
  int deposed_ = 0;
};

TEST_F(FenceTest, CommitsThatWaitTogetherShareOneMulti) {
  std::vector<Slot> slots;
  for (int i = 0; i < 250; ++i) slots.push_back(Create("/d/" + std::to_string(i), "x"));
  Settle();
  for (const auto& slot : slots) EXPECT_EQ(CodeOf(slot), Code::kOk);
  EXPECT_EQ(spy_->multi_sizes, (std::vector<size_t>{101, 101, 51}));
}

TEST_F(FenceTest, GroupsAreBoundedInBytes) {
  MakeFence({.max_bytes_per_multi = 10'000});
  for (int i = 0; i < 4; ++i) Create("/d/" + std::to_string(i), std::string(4'000, 'x'));
  Settle();
  EXPECT_EQ(spy_->multi_sizes, (std::vector<size_t>{3, 3}));
}

TEST_F(FenceTest, OneConflictFailsNoOther) {
  std::vector<Slot> slots;
  ASSERT_EQ(CodeOf([&] {
              auto s = Create("/d/taken", "before");
              Settle();
              return s;
            }()),
            Code::kOk);
  for (int i = 0; i < 20; ++i) {
    slots.push_back(Create(i == 7 ? "/d/taken" : "/d/" + std::to_string(i), "x"));
  }
  auto pair = Commit(
      {CoordinationOp::Create("/d/pair", "x"), CoordinationOp::Delete("/d/none", kAnyVersion)});
  Settle();
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(CodeOf(slots[i]), i == 7 ? Code::kAlreadyExists : Code::kOk);
  EXPECT_EQ(CodeOf(pair), Code::kNotFound);
  EXPECT_EQ(Read("/d/pair").status().code(), Code::kNotFound)
      << "half of a transaction was applied";
  EXPECT_EQ(Read("/d/taken")->data, "before");
}

TEST_F(FenceTest, ManyConflictsInOneGroupAreAllIsolated) {
  std::vector<Slot> slots;
  for (int i = 0; i < 50; ++i) {
    slots.push_back(i % 2 == 0 ? Create("/d/" + std::to_string(i), "x")
                               : Commit({CoordinationOp::Delete("/d/none", kAnyVersion)}));
  }
  Settle();
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(CodeOf(slots[i]), i % 2 == 0 ? Code::kOk : Code::kNotFound);
  EXPECT_EQ(deposed_, 0);
}

TEST_F(FenceTest, ADeposedLeaderChangesNothing) {
  TakeOver();
  auto first = Create("/d/late", "x");
  auto confirm = Confirm();
  Settle();
  EXPECT_EQ(CodeOf(first), Code::kAborted);
  EXPECT_EQ(CodeOf(confirm), Code::kAborted);
  EXPECT_EQ(deposed_, 1);
  auto second = Create("/d/later", "x");
  Settle();
  EXPECT_EQ(CodeOf(second), Code::kAborted);
  EXPECT_EQ(deposed_, 1);
  EXPECT_EQ(Read("/d/late").status().code(), Code::kNotFound);
  EXPECT_EQ(Read("/d/later").status().code(), Code::kNotFound);
}

TEST_F(FenceTest, TheEndOfTheSessionDeposes) {
  server_->SetDelay(raw_, 5ms, 5ms);
  Settle();
  auto commit = Create("/d/a", "x");
  server_->Expire(raw_);
  scheduler_.AdvanceBy(20s);
  EXPECT_EQ(CodeOf(commit), Code::kAborted);
  EXPECT_EQ(deposed_, 1);
}

TEST_F(FenceTest, LostAnswerOfAnAppliedCommitIsFoundAndNotRepeated) {
  Commit({CoordinationOp::Create("/d/node", "v0")});
  Settle();
  server_->DropNextAnswer(raw_, Server::LostAnswer::kApplied);
  auto commit =
      Commit({CoordinationOp::Set("/d/node", "v1", 0), CoordinationOp::Create("/d/n", "")});
  scheduler_.AdvanceBy(5s);
  EXPECT_EQ(CodeOf(commit), Code::kOk);
  EXPECT_EQ(Read("/d/node")->stat.version, 1);
}

TEST_F(FenceTest, LostCommitIsSubmittedAgain) {
  Commit({CoordinationOp::Create("/d/node", "v0")});
  Settle();
  server_->DropNextAnswer(raw_, Server::LostAnswer::kNotApplied);
  auto commit =
      Commit({CoordinationOp::Set("/d/node", "v1", 0), CoordinationOp::Create("/d/n", "")});
  scheduler_.AdvanceBy(5s);
  EXPECT_EQ(CodeOf(commit), Code::kOk);
  EXPECT_EQ(Read("/d/node")->stat.version, 1);
  EXPECT_TRUE(Read("/d/n").ok());
}

TEST_F(FenceTest, LostDeletesAreSettledToo) {
  for (auto lost : {Server::LostAnswer::kApplied, Server::LostAnswer::kNotApplied}) {
    Create("/d/node", "v0");
    Settle();
    server_->DropNextAnswer(raw_, lost);
    auto commit = Commit({CoordinationOp::Delete("/d/node", 0)});
    scheduler_.AdvanceBy(5s);
    EXPECT_EQ(CodeOf(commit), Code::kOk);
    EXPECT_EQ(Read("/d/node").status().code(), Code::kNotFound);
  }
}

TEST_F(FenceTest, LostConflictIsStillAConflict) {
  Create("/d/node", "mine before");
  Settle();
  server_->DropNextAnswer(raw_, Server::LostAnswer::kApplied);
  auto commit = Create("/d/node", "other data");
  scheduler_.AdvanceBy(5s);
  EXPECT_EQ(CodeOf(commit), Code::kAlreadyExists);
}

TEST_F(FenceTest, CommitsOfOnePathKeepTheirOrderThroughALostAnswer) {
  Create("/d/node", "v0");
  Settle();
  for (auto lost : {Server::LostAnswer::kApplied, Server::LostAnswer::kNotApplied}) {
    const int32_t version = Read("/d/node")->stat.version;
    server_->DropNextAnswer(raw_, lost);
    auto first = Commit({CoordinationOp::Set("/d/node", "a" + std::to_string(version), version)});
    auto second =
        Commit({CoordinationOp::Set("/d/node", "b" + std::to_string(version), version + 1)});
    scheduler_.AdvanceBy(5s);
    EXPECT_EQ(CodeOf(first), Code::kOk);
    EXPECT_EQ(CodeOf(second), Code::kOk);
    EXPECT_EQ(Read("/d/node")->stat.version, version + 2);
  }
}

TEST_F(FenceTest, WhileDisconnectedCommitsWaitAndThenGo) {
  server_->Disconnect(raw_);
  Settle();
  auto commit = Create("/d/a", "x");
  auto confirm = Confirm();
  scheduler_.AdvanceBy(3s);
  EXPECT_EQ(CodeOf(commit), std::nullopt);
  server_->Reconnect(raw_);
  scheduler_.AdvanceBy(3s);
  EXPECT_EQ(CodeOf(commit), Code::kOk);
  EXPECT_EQ(CodeOf(confirm), Code::kOk);
}

TEST_F(FenceTest, WaitingIsBounded) {
  MakeFence({.max_wait = 4s});
  server_->Disconnect(raw_);
  Settle();
  auto commit = Create("/d/a", "x");
  auto confirm = Confirm();
  scheduler_.AdvanceBy(3900ms);
  EXPECT_EQ(CodeOf(commit), std::nullopt);
  scheduler_.AdvanceBy(300ms);
  EXPECT_EQ(CodeOf(commit), Code::kUnavailable);
  EXPECT_EQ(CodeOf(confirm), Code::kUnavailable);
  server_->Reconnect(raw_);
  scheduler_.AdvanceBy(3s);
  EXPECT_EQ(Read("/d/a").status().code(), Code::kNotFound) << "kUnavailable, yet applied";
}

TEST_F(FenceTest, WhatWasSentAndNotSettledIsUnknown) {
  MakeFence({.max_wait = 4s});
  server_->DropNextAnswer(raw_, Server::LostAnswer::kApplied);
  auto commit = Create("/d/a", "x");
  scheduler_.RunUntil([&] { return !spy_->multi_sizes.empty(); }, 1s);
  server_->Disconnect(raw_);
  scheduler_.AdvanceBy(4200ms);
  EXPECT_EQ(CodeOf(commit), Code::kUnknown);
}

TEST_F(FenceTest, AConfirmationBeginsAfterItWasAskedFor) {
  server_->SetDelay(raw_, 50ms, 50ms);
  Settle();
  auto commit = Create("/d/a", "x");
  scheduler_.AdvanceBy(10ms);
  const TimePoint asked = executor_->Now();
  auto confirm = Confirm();
  scheduler_.RunUntil([&] { return commit->has_value(); }, 1s);
  EXPECT_EQ(CodeOf(confirm), std::nullopt) << "confirmed by a commit that began before";
  EXPECT_LT(fence_->last_confirmation(), asked);
  scheduler_.AdvanceBy(20ms);
  EXPECT_EQ(CodeOf(confirm), Code::kOk);
  EXPECT_GE(fence_->last_confirmation(), asked);
}

// ZooKeeper throttles, or fails inside: that says nothing of who leads.
TEST_F(FenceTest, AServerInTroubleDeposesNobody) {
  for (const absl::Status& trouble : {Internal("system error"), ResourceExhausted("throttled")}) {
    spy_->refusal = trouble;
    const Slot confirmed = Confirm();
    scheduler_.AdvanceBy(1s);
    EXPECT_EQ(CodeOf(confirmed), std::nullopt);
    EXPECT_EQ(deposed_, 0);
    spy_->refusal.reset();
    scheduler_.AdvanceBy(200ms);
    EXPECT_EQ(CodeOf(confirmed), Code::kOk);
  }
  spy_->refusal = FailedPrecondition("bad version");
  const Slot confirmed = Confirm();
  Settle();
  EXPECT_EQ(deposed_, 1);
  EXPECT_EQ(CodeOf(confirmed), Code::kAborted);
}

TEST_F(FenceTest, AConfirmationRidesOnACommit) {
  auto commit = Create("/d/a", "x");
  auto confirm = Confirm();
  Settle();
  EXPECT_EQ(CodeOf(confirm), Code::kOk);
  EXPECT_EQ(spy_->multi_sizes.size(), 1u);
}

TEST_F(FenceTest, DrainAnswersWhatWasAcceptedAndRefusesWhatComes) {
  server_->SetDelay(raw_, 50ms, 50ms);
  Settle();
  auto before = Create("/d/a", "x");
  scheduler_.AdvanceBy(1ms);
  bool drained = false;
  fence_->Drain([&] { drained = true; });
  auto after = Create("/d/b", "x");
  scheduler_.AdvanceBy(1ms);
  EXPECT_EQ(CodeOf(after), Code::kAborted);
  EXPECT_FALSE(drained);
  scheduler_.AdvanceBy(200ms);
  EXPECT_TRUE(drained);
  EXPECT_EQ(CodeOf(before), Code::kOk);
}

TEST_F(FenceTest, ClosingAnswersEverything) {
  server_->SetDelay(raw_, 50ms, 50ms);
  Settle();
  auto sent = Create("/d/a", "x");
  scheduler_.AdvanceBy(10ms);
  auto waiting = Create("/d/b", "x");
  auto confirm = Confirm();
  Settle();
  fence_->Close(Aborted("over"));
  for (const Slot& slot : {sent, waiting, confirm}) EXPECT_EQ(CodeOf(slot), Code::kAborted);
  scheduler_.AdvanceBy(1s);
  EXPECT_EQ(deposed_, 0);
}

TEST_F(FenceTest, LimitsAreErrors) {
  MakeFence({.max_waiting_transactions = 2});
  server_->Disconnect(raw_);
  Settle();
  Create("/d/a", "x");
  Create("/d/b", "x");
  auto third = Create("/d/c", "x");
  auto huge = Create("/d/d", std::string(1'100'000, 'x'));
  auto empty = Commit({});
  Settle();
  EXPECT_EQ(CodeOf(third), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf(huge), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(empty), Code::kInvalidArgument);
}

// What the fence accepts, the client sends: they count alike, the check of the epoch included.
TEST_F(FenceTest, TheLargestCommitThatIsAcceptedIsSent) {
  for (const int count : {1, 100, 1'000}) {
    // Of this many bytes with the check that goes before it.
    const auto commit = [&](size_t bytes) {
      std::vector<CoordinationOp> ops;
      for (int i = 0; i < count; ++i) {
        ops.push_back(CoordinationOp::Create(fmt::format("/d/{}-{}", count, i), ""));
      }
      const size_t bare =
          RequestBytes(ops) + RequestBytes({CoordinationOp::Check("/baton/c/epoch", 0)});
      ops[0].data = std::string(bytes - bare, 'x');
      return Commit(std::move(ops));
    };
    spy_->multi_sizes.clear();
    const auto too_large = commit(kMaxCoordinationRequestBytes + 1);
    Settle();
    EXPECT_EQ(CodeOf(too_large), Code::kInvalidArgument);
    EXPECT_TRUE(spy_->multi_sizes.empty()) << "it was sent all the same";
    const auto largest = commit(kMaxCoordinationRequestBytes);
    Settle();
    ASSERT_TRUE(largest->has_value());
    EXPECT_TRUE((*largest)->ok()) << **largest;
  }
}

// Commits, conflicts and lost answers in the orders of many seeds: what was answered is what
// happened.
class FenceSeedTest : public FenceTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  FenceSeedTest() : FenceTest(GetParam()) {}
};

TEST_P(FenceSeedTest, AnswersTellTheTruth) {
  std::mt19937_64 random(GetParam());
  MakeFence({.max_ops_per_multi = 4});
  std::map<int, Slot> slots;
  std::vector<Slot> conflicts;
  for (int i = 0; i < 60; ++i) {
    if (random() % 8 == 0) {
      server_->DropNextAnswer(
          raw_, random() % 2 == 0 ? Server::LostAnswer::kApplied : Server::LostAnswer::kNotApplied);
    }
    slots[i] = Create("/d/" + std::to_string(i), "data " + std::to_string(i));
    if (random() % 5 == 0) {
      conflicts.push_back(Commit({CoordinationOp::Set("/d", std::to_string(i), 1000)}));
    }
    scheduler_.AdvanceBy(Duration(random() % 300) * 1'000'000);
  }
  scheduler_.AdvanceBy(20s);
  for (const auto& [i, slot] : slots) {
    ASSERT_EQ(CodeOf(slot), Code::kOk) << i;
    EXPECT_EQ(Read("/d/" + std::to_string(i))->data, "data " + std::to_string(i));
  }
  for (const auto& slot : conflicts) EXPECT_EQ(CodeOf(slot), Code::kFailedPrecondition);
  EXPECT_EQ(deposed_, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FenceSeedTest, ::testing::Range<uint64_t>(1, 51));

}  // namespace
}  // namespace baton
