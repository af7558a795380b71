#include "ha/peer_monitor.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "tests/rpc/fake_frame_transport.h"

namespace baton {
namespace {

using namespace std::chrono_literals;

// One replica's process: a server that answers pings, a monitor of the others.
class PeerProcess {
 public:
  PeerProcess(ManualScheduler& scheduler, const SimulatedNetworkPtr& network, std::string name,
              const std::string& incarnation)
      : executor(scheduler.NewExecutor(name)) {
    hello.set_cluster_id("test");
    hello.set_role(pb::Hello::REPLICA);
    hello.set_id(name);
    hello.set_incarnation(incarnation);
    auto transport = network->NewProcess(name);
    server = std::make_shared<RpcServer>(transport, executor, hello);
    ServePings(*server, [this] {
      ++pings;
      pb::Pong pong;
      pong.set_epoch(42);
      return pong;
    });
    monitor = NewPeerMonitor(transport, executor, hello);
    executor->Post([this, name] {
      EXPECT_TRUE(server->Start(name + ":6123").ok());
      monitor->Start(
          {.on_dead =
               [this](const ReplicaId& id, const Incarnation& dead) {
                 deaths.emplace_back(id.value(), dead.value());
               },
           .on_link_up = [this](const ReplicaId& id) { ++links_up[id.value()]; },
           .on_pong =
               [this](const ReplicaId&, const Incarnation& incarnation, const pb::Pong& pong) {
                 last_pong = pong.epoch();
                 last_pong_of = incarnation;
               }});
    });
  }

  void Watch(const std::vector<std::string>& peers, const std::string& registered = "") {
    executor->Post([this, peers, registered] {
      std::vector<PeerAddress> addresses;
      for (const auto& peer : peers) {
        addresses.push_back({ReplicaId(peer), peer + ":6123", Incarnation(registered)});
      }
      monitor->SetPeers(addresses);
    });
  }

  pb::Hello hello;
  std::shared_ptr<ManualExecutor> executor;
  std::shared_ptr<RpcServer> server;
  PeerMonitorPtr monitor;
  int pings = 0;
  uint64_t last_pong = 0;
  Incarnation last_pong_of;
  std::map<std::string, int> links_up;
  std::vector<std::pair<std::string, std::string>> deaths;
};

class PeerMonitorTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  PeerMonitorTest()
      : scheduler_(GetParam()), network_(std::make_shared<SimulatedNetwork>(GetParam())) {
    network_->SetLatency(100us, 100us);
    a_ = std::make_unique<PeerProcess>(scheduler_, network_, "a", "a1");
    b_ = std::make_unique<PeerProcess>(scheduler_, network_, "b", "b1");
    a_->Watch({"a", "b"});  // itself is no peer
    b_->Watch({"a", "b"});
    scheduler_.AdvanceBy(1s);
  }

  ~PeerMonitorTest() override {
    for (auto* process : {a_.get(), b_.get()}) {
      if (process == nullptr) continue;
      process->executor->Post([process] {
        process->monitor->Stop();
        process->server->Stop();
      });
    }
    scheduler_.AdvanceBy(5s);
  }

  void KillB() {
    b_->executor->Kill();
    network_->Kill("b");
  }
  void RestartB(const std::string& incarnation) {
    graveyard_.push_back(std::move(b_));
    b_ = std::make_unique<PeerProcess>(scheduler_, network_, "b", incarnation);
  }

  using Deaths = std::vector<std::pair<std::string, std::string>>;

  ManualScheduler scheduler_;
  SimulatedNetworkPtr network_;
  std::vector<std::unique_ptr<PeerProcess>> graveyard_;
  std::unique_ptr<PeerProcess> a_;
  std::unique_ptr<PeerProcess> b_;
};

TEST_P(PeerMonitorTest, PeersAreLinkedAndPinged) {
  EXPECT_EQ(a_->links_up, (std::map<std::string, int>{{"b", 1}}));
  ASSERT_EQ(a_->monitor->OpenLinks().size(), 1u);
  EXPECT_EQ(a_->monitor->OpenLinks().begin()->second->peer().incarnation(), "b1");
  EXPECT_EQ(a_->last_pong, 42u);
  EXPECT_EQ(a_->last_pong_of, Incarnation("b1"));
  const int before = b_->pings;
  scheduler_.AdvanceBy(2s);
  EXPECT_GE(b_->pings - before, 9);
  EXPECT_LE(b_->pings - before, 11);
  EXPECT_TRUE(a_->deaths.empty());
}

TEST_P(PeerMonitorTest, AKilledPeerIsDeadWithinMilliseconds) {
  KillB();
  scheduler_.AdvanceBy(5ms);
  EXPECT_EQ(a_->deaths, (Deaths{{"b", "b1"}}));
  EXPECT_TRUE(a_->monitor->OpenLinks().empty());
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(a_->deaths.size(), 1u) << "told again";
}

// F9: its supervisor is faster than our reconnect.
TEST_P(PeerMonitorTest, AnotherIncarnationProvesTheOlderDead) {
  network_->Cut("a", "b");
  KillB();
  RestartB("b2");
  scheduler_.AdvanceBy(100ms);
  network_->HealAll();
  scheduler_.AdvanceBy(5s);
  EXPECT_EQ(a_->deaths, (Deaths{{"b", "b1"}}));
  ASSERT_EQ(a_->monitor->OpenLinks().size(), 1u);
  EXPECT_EQ(a_->monitor->OpenLinks().begin()->second->peer().incarnation(), "b2");
}

TEST_P(PeerMonitorTest, ABrokenConnectionProvesNothing) {
  for (int i = 0; i < 5; ++i) {
    network_->Reset("a", "b");
    scheduler_.AdvanceBy(500ms);
  }
  EXPECT_TRUE(a_->deaths.empty());
  EXPECT_EQ(a_->monitor->OpenLinks().size(), 1u);
  EXPECT_EQ(a_->links_up["b"], 6);
}

TEST_P(PeerMonitorTest, SilenceProvesNothing) {
  network_->Cut("a", "b");
  scheduler_.AdvanceBy(30s);
  EXPECT_TRUE(a_->deaths.empty());
  EXPECT_TRUE(a_->monitor->OpenLinks().empty()) << "a link that hangs is not open";
  network_->HealAll();
  scheduler_.AdvanceBy(5s);
  EXPECT_TRUE(a_->deaths.empty());
  EXPECT_EQ(a_->monitor->OpenLinks().size(), 1u);
}

TEST_P(PeerMonitorTest, AStoppedProcessIsNotDead) {
  b_->executor->Pause();
  scheduler_.AdvanceBy(30s);
  EXPECT_TRUE(a_->deaths.empty());
  b_->executor->Resume();
  scheduler_.AdvanceBy(10s);
  EXPECT_TRUE(a_->deaths.empty());
  EXPECT_EQ(a_->monitor->OpenLinks().size(), 1u);
}

TEST_P(PeerMonitorTest, ALostHostIsSilent) {
  b_->executor->Kill();
  network_->LoseHost("b");
  scheduler_.AdvanceBy(30s);
  EXPECT_TRUE(a_->deaths.empty());
}

TEST_P(PeerMonitorTest, ARegisteredPeerThatWasNeverMetIsDeadWhenRefused) {
  a_->Watch({"b", "c"}, "c7");
  scheduler_.AdvanceBy(5s);
  EXPECT_EQ(a_->deaths, (Deaths{{"c", "c7"}}));
}

TEST_P(PeerMonitorTest, ARefusalOfAnUnknownPeerIsNoDeath) {
  a_->Watch({"c"});
  scheduler_.AdvanceBy(5s);
  EXPECT_TRUE(a_->deaths.empty());
}

TEST_P(PeerMonitorTest, RemovedPeersAreUnlinkedAndForgotten) {
  a_->Watch({});
  scheduler_.AdvanceBy(10ms);
  EXPECT_TRUE(a_->monitor->OpenLinks().empty());
  KillB();
  scheduler_.AdvanceBy(5s);
  EXPECT_TRUE(a_->deaths.empty());
}

TEST_P(PeerMonitorTest, StopIsQuiet) {
  a_->executor->Post([this] { a_->monitor->Stop(); });
  scheduler_.AdvanceBy(10ms);
  KillB();
  scheduler_.AdvanceBy(5s);
  EXPECT_TRUE(a_->deaths.empty());
  EXPECT_EQ(network_->open_connections(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PeerMonitorTest, ::testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace baton
