// What only the embedded coordination service has: faults on command, and virtual time.

#include "ha/embedded_coordination.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_executor.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Server = EmbeddedCoordinationServer;

constexpr Duration kTimeout = seconds(6);

class EmbeddedCoordinationTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  struct Process {
    std::shared_ptr<ManualExecutor> executor;
    CoordinationClientPtr client;
    std::vector<SessionEvent> events;

    bool IsConnected() const {
      return !events.empty() && events.back().state == SessionState::kConnected;
    }
    bool Saw(SessionState state) const {
      for (const auto& event : events) {
        if (event.state == state) return true;
      }
      return false;
    }
  };

  void SetUp() override {
    for (Process* process : {&one_, &two_}) {
      process->executor = scheduler_.NewExecutor("client");
      process->client = NewEmbeddedClient(server_, process->executor, kTimeout);
      process->client->Start([process](SessionEvent event) { process->events.push_back(event); });
    }
    scheduler_.RunUntilIdle();
    ASSERT_TRUE(one_.IsConnected() && two_.IsConnected());
  }

  absl::Status Create(Process& process, const std::string& path,
                      NodeKind kind = NodeKind::kPersistent) {
    absl::Status answer = absl::InternalError("not answered");
    bool answered = false;
    process.client->Create(path, "", kind, [&](absl::Status status) {
      answer = status;
      answered = true;
    });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return answered; }, kTimeout));
    return answer;
  }
  bool Exists(const std::string& path) {
    absl::StatusOr<NodeData> answer = absl::InternalError("not answered");
    two_.client->Get(path, nullptr,
                     [&](absl::StatusOr<NodeData> node) { answer = std::move(node); });
    scheduler_.RunUntilIdle();
    EXPECT_TRUE(answer.ok() || absl::IsNotFound(answer.status())) << answer.status();
    return answer.ok();
  }

  ManualScheduler scheduler_{GetParam()};
  std::shared_ptr<ManualExecutor> server_executor_ = scheduler_.NewExecutor("server");
  std::shared_ptr<Server> server_ = std::make_shared<Server>(server_executor_);
  Process one_;
  Process two_;
};

TEST_P(EmbeddedCoordinationTest, AKilledProcessLosesItsSessionAfterItsTimeout) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  one_.executor->Kill();
  one_.client = nullptr;
  scheduler_.AdvanceBy(kTimeout - seconds(2));
  EXPECT_TRUE(Exists("/e"));
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_FALSE(Exists("/e"));
}

TEST_P(EmbeddedCoordinationTest, AStoppedProcessHearsOfItsExpiryWhenItGoesOn) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  one_.executor->Pause();
  scheduler_.AdvanceBy(2 * kTimeout);
  EXPECT_FALSE(Exists("/e"));
  EXPECT_TRUE(one_.IsConnected()) << "it cannot know";
  one_.executor->Resume();
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_TRUE(one_.Saw(SessionState::kExpired));
  EXPECT_TRUE(one_.IsConnected());
}

TEST_P(EmbeddedCoordinationTest, AnIdleSessionLivesOn) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  scheduler_.AdvanceBy(100 * kTimeout);
  EXPECT_TRUE(Exists("/e"));
  EXPECT_EQ(one_.events.size(), 2u);
}

TEST_P(EmbeddedCoordinationTest, TheTimeThatTheServerWasAwayEndsNoSession) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  server_executor_->Pause();
  scheduler_.AdvanceBy(10 * kTimeout);
  EXPECT_EQ(one_.events.back().state, SessionState::kConnecting);
  server_executor_->Resume();
  scheduler_.AdvanceBy(kTimeout * 2);
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_FALSE(one_.Saw(SessionState::kExpired));
  EXPECT_TRUE(Exists("/e"));
}

TEST_P(EmbeddedCoordinationTest, AnExpiryFromOutsideIsToldAtOnce) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  const TimePoint before = scheduler_.Now();
  server_->Expire(one_.client);
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(one_.Saw(SessionState::kExpired));
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_FALSE(Exists("/e"));
  EXPECT_EQ(scheduler_.Now(), before);
}

TEST_P(EmbeddedCoordinationTest, ASilentCutIsNoticedByThePings) {
  server_->Disconnect(one_.client, Server::Cut::kSilent);
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_TRUE(absl::IsUnknown(Create(one_, "/n"))) << "it was sent, and nobody heard";
  EXPECT_FALSE(one_.IsConnected());
  EXPECT_FALSE(Exists("/n"));
  server_->Reconnect(one_.client);
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_FALSE(one_.Saw(SessionState::kExpired));
}

TEST_P(EmbeddedCoordinationTest, AClientThatIsCutOffStaysSoThroughItsExpiry) {
  server_->Disconnect(one_.client);
  scheduler_.AdvanceBy(3 * kTimeout);
  EXPECT_EQ(one_.events.back().state, SessionState::kConnecting);
  server_->Reconnect(one_.client);
  scheduler_.AdvanceBy(seconds(2));
  EXPECT_TRUE(one_.Saw(SessionState::kExpired));
  EXPECT_TRUE(one_.IsConnected());
}

// As ZooKeeper does; not only when its own pings have failed for seconds.
TEST_P(EmbeddedCoordinationTest, AClientWhoseSessionEndedInSilenceIsToldAtItsReconnection) {
  ASSERT_TRUE(Create(one_, "/e", NodeKind::kEphemeral).ok());
  server_->Disconnect(one_.client, Server::Cut::kSilent);
  server_->Expire(one_.client);
  scheduler_.RunUntilIdle();
  EXPECT_FALSE(Exists("/e"));
  EXPECT_TRUE(one_.IsConnected()) << "it cannot know yet";
  const TimePoint before = scheduler_.Now();
  server_->Reconnect(one_.client);
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(one_.Saw(SessionState::kExpired));
  EXPECT_TRUE(one_.IsConnected()) << "in a new session";
  EXPECT_EQ(scheduler_.Now(), before);
}

// Seed 300757 of baton-simulate: it took a connection for open that had been reset.
TEST_P(EmbeddedCoordinationTest, AResetOvertakesTheAnswerThatOpensTheConnection) {
  server_->SetDelay(one_.client, Duration::zero(), milliseconds(100));
  server_->Disconnect(one_.client);
  scheduler_.RunUntilIdle();
  EXPECT_FALSE(one_.IsConnected());
  // The client asks once a second: one of these resets comes while the answer is under way.
  for (int i = 0; i < 24; ++i) {
    server_->Reconnect(one_.client);
    scheduler_.AdvanceBy(milliseconds(50));
  }
  scheduler_.AdvanceBy(milliseconds(500));
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_TRUE(Create(one_, "/n").ok()) << "the connection is dead";
  EXPECT_FALSE(one_.Saw(SessionState::kExpired));
}

TEST_P(EmbeddedCoordinationTest, ADroppedAnswerSaysUnknownWhetherItWasAppliedOrNot) {
  server_->DropNextAnswer(one_.client, Server::LostAnswer::kApplied);
  EXPECT_TRUE(absl::IsUnknown(Create(one_, "/applied")));
  scheduler_.RunUntilIdle();
  server_->DropNextAnswer(one_.client, Server::LostAnswer::kNotApplied);
  EXPECT_TRUE(absl::IsUnknown(Create(one_, "/not-applied")));
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(Exists("/applied"));
  EXPECT_FALSE(Exists("/not-applied"));
  EXPECT_TRUE(one_.IsConnected());
  EXPECT_FALSE(one_.Saw(SessionState::kExpired));
}

TEST_P(EmbeddedCoordinationTest, AnOwnWatchFiredByALostChangeIsToldAfterwards) {
  int fired = 0;
  one_.client->Get(
      "/n", [&] { ++fired; }, [](absl::StatusOr<NodeData>) {});
  scheduler_.RunUntilIdle();
  server_->DropNextAnswer(one_.client, Server::LostAnswer::kApplied);
  EXPECT_TRUE(absl::IsUnknown(Create(one_, "/n")));
  scheduler_.RunUntilIdle();
  EXPECT_EQ(fired, 1);
}

TEST_P(EmbeddedCoordinationTest, WhatWasSentBeforeACutArrives) {
  server_->SetDelay(one_.client, seconds(1), Duration::zero());
  scheduler_.RunUntilIdle();
  bool answered = false;
  one_.client->Create("/late", "", NodeKind::kPersistent, [&](absl::Status status) {
    answered = true;
    EXPECT_TRUE(absl::IsUnknown(status)) << status;
  });
  scheduler_.RunUntilIdle();
  server_->Disconnect(one_.client);
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(Exists("/late"));
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_TRUE(Exists("/late")) << "an unknown outcome may have its effect yet";
}

TEST_P(EmbeddedCoordinationTest, DelaysKeepTheOrder) {
  server_->SetDelay(one_.client, milliseconds(300), milliseconds(200));
  scheduler_.RunUntilIdle();
  const TimePoint begin = scheduler_.Now();
  std::vector<int> answered;
  for (int i = 0; i < 20; ++i) {
    // A shorter delay does not let later calls overtake.
    if (i == 10) server_->SetDelay(one_.client, milliseconds(1), milliseconds(1));
    one_.client->Create("/n" + std::to_string(i), "", NodeKind::kPersistent,
                        [&, i](absl::Status) { answered.push_back(i); });
    scheduler_.RunUntilIdle();
  }
  scheduler_.AdvanceBy(milliseconds(299));
  EXPECT_TRUE(answered.empty());
  EXPECT_TRUE(scheduler_.RunUntil([&] { return answered.size() == 20; }, seconds(1)));
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
  EXPECT_GE(scheduler_.Now() - begin, milliseconds(300));
}

TEST_P(EmbeddedCoordinationTest, SlowerThanTheTimeoutACallIsAnsweredAllTheSame) {
  server_->SetDelay(one_.client, 10 * kTimeout, Duration::zero());
  scheduler_.RunUntilIdle();
  const TimePoint begin = scheduler_.Now();
  EXPECT_TRUE(absl::IsUnknown(Create(one_, "/n")));
  EXPECT_LE(scheduler_.Now() - begin, kTimeout);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EmbeddedCoordinationTest, ::testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace baton
