// The simulated network keeps its word: what simulations say rests on it.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "tests/rpc/fake_frame_transport.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Frames = std::vector<std::string>;

class SimulatedNetworkTest : public testing::Test {
 protected:
  SimulatedNetworkTest() {
    auto listener = b_->Listen("b:1", executor_b_, [this](const FrameConnectionPtr& connection) {
      accepted_.push_back(connection);
      auto frames = std::make_shared<Frames>();
      received_.push_back(frames);
      connection->Start({.on_frame = [frames](std::string frame) { frames->push_back(frame); }});
    });
    listener_ = *std::move(listener);
    network_->AddName("b.lan:1", "b:1");
  }

  FrameConnectionPtr Connect(const std::string& address) {
    FrameConnectionPtr connection;
    a_->Connect(address, seconds(1), executor_a_, [&](absl::StatusOr<FrameConnectionPtr> made) {
      if (made.ok()) connection = *std::move(made);
    });
    scheduler_.AdvanceBy(seconds(1));
    return connection;
  }

  ManualScheduler scheduler_{1};
  std::shared_ptr<ManualClock> clock_b_ = std::make_shared<ManualClock>();
  std::shared_ptr<ManualExecutor> executor_a_ = scheduler_.NewExecutor("a");
  std::shared_ptr<ManualExecutor> executor_b_ = scheduler_.NewExecutor("b", clock_b_);
  SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(1);
  FrameTransportPtr a_ = network_->NewProcess("a");
  FrameTransportPtr b_ = network_->NewProcess("b");
  std::vector<FrameConnectionPtr> accepted_;
  std::vector<std::shared_ptr<Frames>> received_;  // by connection
  std::unique_ptr<FrameListener> listener_;
};

// Each frame that a cut had held was sent on with a delay of its own.
TEST_F(SimulatedNetworkTest, FramesKeepTheirOrderThroughACut) {
  auto connection = Connect("b:1");
  network_->SetLatency(milliseconds(1), milliseconds(400));
  network_->Cut("a", "b");
  Frames sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back(std::to_string(i));
    connection->Send(sent.back());
    scheduler_.AdvanceBy(seconds(1));
  }
  network_->Heal("a", "b");
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_EQ(*received_.at(0), sent);
}

// A delay is counted by the clock of who receives.
TEST_F(SimulatedNetworkTest, FramesKeepTheirOrderOnASlowClock) {
  auto connection = Connect("b:1");
  clock_b_->SetRate(0.99, scheduler_.Now());
  network_->SetLatency(milliseconds(1), milliseconds(400));
  Frames sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back(std::to_string(i));
    connection->Send(sent.back());
    scheduler_.AdvanceBy(milliseconds(1));
  }
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_EQ(*received_.at(0), sent);
}

// As a guardian's answer to a probe: said and closed before the other side has begun to listen.
TEST_F(SimulatedNetworkTest, WhatWasSaidBeforeTheCloseIsHeardByWhoStartsLater) {
  FrameConnectionPtr late;
  auto listener = b_->Listen("b:2", executor_b_,
                             [&](const FrameConnectionPtr& connection) { late = connection; });
  auto connection = Connect("b:2");
  ASSERT_NE(late, nullptr);
  connection->Send("said");
  connection->Close();
  scheduler_.AdvanceBy(seconds(1));
  Frames heard;
  bool closed = false;
  late->Start({.on_frame = [&](std::string frame) { heard.push_back(std::move(frame)); },
               .on_closed = [&](absl::Status) { closed = true; }});
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_EQ(heard, Frames{"said"});
  EXPECT_TRUE(closed);
}

TEST_F(SimulatedNetworkTest, OneOfTwoConnectionsIsStuckOrBreaks) {
  auto first = Connect("b.lan:1"), second = Connect("b:1");
  EXPECT_EQ(network_->AddressesBetween("a", "b"), (Frames{"b.lan:1", "b:1"}));
  EXPECT_EQ(network_->AddressesBetween("b", "a"), Frames{});
  network_->Stick("a", "b.lan:1");
  first->Send("stuck");
  second->Send("through");
  scheduler_.AdvanceBy(seconds(10));
  EXPECT_EQ(*received_.at(0), Frames{});
  EXPECT_EQ(*received_.at(1), Frames{"through"});
  network_->Unstick("a", "b.lan:1");
  scheduler_.AdvanceBy(seconds(1));
  EXPECT_EQ(*received_.at(0), Frames{"stuck"});
  network_->ResetOne("a", "b.lan:1");
  EXPECT_EQ(network_->AddressesBetween("a", "b"), Frames{"b:1"});
}

TEST_F(SimulatedNetworkTest, ACutIsRememberedUntilWhenItLasted) {
  network_->KeepTime(executor_a_);
  EXPECT_EQ(network_->LastCut("a", "b"), std::nullopt);
  network_->CutOneWay("a", "b");
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_EQ(network_->LastCut("a", "b"), executor_a_->Now());
  network_->HealOneWay("a", "b");
  const TimePoint healed = executor_a_->Now();
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_EQ(network_->LastCut("a", "b"), healed);
  EXPECT_EQ(network_->LastCut("b", "a"), std::nullopt);
}

}  // namespace
}  // namespace baton
