#include "ha/silence_watch.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "ha/pulse.h"
#include "tests/rpc/fake_frame_transport.h"

namespace baton {
namespace {

using namespace std::chrono_literals;

// One replica's process as far as silence goes: it answers pings and questions, and listens itself.
class Process {
 public:
  Process(ManualScheduler& scheduler, const SimulatedNetworkPtr& network, const std::string& name)
      : executor(scheduler.NewExecutor(name)), name(name) {
    pb::Hello hello;
    hello.set_cluster_id("test");
    hello.set_role(pb::Hello::REPLICA);
    hello.set_id(name);
    hello.set_incarnation(name + "1");
    const auto transport = network->NewProcess(name);
    server = std::make_shared<RpcServer>(transport, executor, hello);
    ServePings(*server, [this] {
      pb::Pong pong;
      pong.set_stuck(stuck);
      return pong;
    });
    server->Handle(pb::Envelope::kLeaderHeardQuery, [this](const RpcLinkPtr& link,
                                                           const pb::Envelope& message) {
      ++questions;
      pb::Envelope reply;
      *reply.mutable_leader_heard_reply() = watch->Answer(message.leader_heard_query());
      link->Reply(message, std::move(reply));
    });
    monitor = NewPeerMonitor(transport, executor, hello);
    watch = std::make_shared<SilenceWatch>(SilenceWatch::Dependencies{
        executor, monitor, ReplicaId(name),
        [this](const LeaderIdentity& leader) { reports.push_back(leader); }});
    executor->Post([this] {
      EXPECT_TRUE(server->Start(this->name + ":6123").ok());
      monitor->Start(
          {.on_dead = nullptr,
           .on_link_up = nullptr,
           .on_pong = [this](const ReplicaId&, const Incarnation& incarnation,
                             const pb::Pong& pong) { watch->OnPong(incarnation, pong); }});
      watch->Start();
    });
  }

  void OnView(const LeadershipView& view) {
    executor->Post([this, view] {
      std::vector<PeerAddress> peers;
      for (const auto& member : view.members.members()) {
        peers.push_back({ReplicaId(member.replica_id()), member.rpc_address(), {}});
      }
      for (const auto& replica : view.replicas) {
        std::erase_if(peers, [&](const auto& p) { return p.id.value() == replica.replica_id(); });
        peers.push_back({ReplicaId(replica.replica_id()), replica.rpc_address(), {}});
      }
      monitor->SetPeers(peers);
      watch->OnView(view);
    });
  }

  const std::shared_ptr<ManualExecutor> executor;
  const std::string name;
  std::shared_ptr<RpcServer> server;
  PeerMonitorPtr monitor;
  std::shared_ptr<SilenceWatch> watch;
  std::vector<LeaderIdentity> reports;
  int questions = 0;
  bool stuck = false;
};

class SilenceWatchTest : public ::testing::TestWithParam<uint64_t> {
 public:
  ~SilenceWatchTest() override {
    for (auto& [name, process] : processes_) {
      process->executor->Resume();
      process->executor->Post([&process = *process] {
        process.watch->Stop();
        process.monitor->Stop();
        process.server->Stop();
      });
    }
    scheduler_.AdvanceBy(5s);
  }

 protected:
  SilenceWatchTest()
      : scheduler_(GetParam()), network_(std::make_shared<SimulatedNetwork>(GetParam())) {
    network_->SetLatency(100us, 400us);
  }
  // Members "a", "b" …; "a" leads epoch 1.
  void Start(size_t members) {
    for (size_t i = 0; i < members; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      processes_[name] = std::make_unique<Process>(scheduler_, network_, name);
      auto* member = view_.members.add_members();
      member->set_replica_id(name);
      member->set_rpc_address(name + ":6123");
    }
    Leads("a", 1);
    scheduler_.AdvanceBy(10s);
  }

  void Leads(const std::string& name, uint64_t epoch) {
    view_.leader = pb::LeaderRecord();
    view_.leader->set_epoch(epoch);
    view_.leader->set_replica_id(name);
    view_.leader->set_incarnation(name + "1");
    for (auto& [other, process] : processes_) process->OnView(view_);
  }

  Process& Of(const std::string& name) { return *processes_.at(name); }
  void Kill(const std::string& name) {
    Of(name).executor->Kill();
    network_->Kill(name);
  }

  size_t Reports() const {
    size_t reports = 0;
    for (const auto& [name, process] : processes_) reports += process->reports.size();
    return reports;
  }
  bool AwaitReport(Duration limit) {
    return scheduler_.RunUntil([this] { return Reports() > 0; }, limit);
  }

  ManualScheduler scheduler_;
  SimulatedNetworkPtr network_;
  LeadershipView view_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

TEST_P(SilenceWatchTest, NobodyDoubtsALeaderThatAnswers) {
  Start(3);
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), 0u);
  EXPECT_EQ(Of("b").questions + Of("c").questions, 0);
}

TEST_P(SilenceWatchTest, AStoppedLeaderIsSilentAfterTwoSecondsAndNotBefore) {
  Start(3);
  Of("a").executor->Pause();
  EXPECT_FALSE(AwaitReport(1700ms));  // its last answer may be one ping old
  EXPECT_TRUE(AwaitReport(800ms));
  for (const auto& [name, process] : processes_) {
    for (const LeaderIdentity& leader : process->reports) {
      EXPECT_EQ(leader, (LeaderIdentity{Epoch{1}, Incarnation("a1")}));
    }
  }
  EXPECT_TRUE(Of("a").reports.empty());
  // As long as it lasts: the election may be kept from acting on the first one.
  const size_t reports = Reports();
  scheduler_.AdvanceBy(5s);
  EXPECT_GT(Reports(), reports + 5);
}

TEST_P(SilenceWatchTest, ALostHostIsSilent) {
  Start(3);
  Of("a").executor->Kill();
  network_->LoseHost("a");
  EXPECT_TRUE(AwaitReport(3s));
}

TEST_P(SilenceWatchTest, ALeaderThatIsNotHeardButHearsIsSilent) {
  Start(3);
  network_->CutOneWay("a", "b");
  network_->CutOneWay("a", "c");
  EXPECT_TRUE(AwaitReport(3s));
}

TEST_P(SilenceWatchTest, ALeaderThatComesBackIsNotSilentAnyMore) {
  Start(3);
  Of("a").executor->Pause();
  ASSERT_TRUE(AwaitReport(5s));
  Of("a").executor->Resume();
  scheduler_.AdvanceBy(3s);
  const size_t reports = Reports();
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), reports);
}

// F22: a bridge node.
TEST_P(SilenceWatchTest, OneThatCannotHearItHasNoMajority) {
  Start(3);
  network_->Cut("a", "b");
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), 0u);
  EXPECT_GT(Of("c").questions, 0);
}

TEST_P(SilenceWatchTest, OfThreeMembersTheOtherStandbyIsNeeded) {
  Start(3);
  Kill("c");
  scheduler_.AdvanceBy(5s);
  Of("a").executor->Pause();
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), 0u) << "one of three is no majority";
}

TEST_P(SilenceWatchTest, OfTwoMembersNobodyIsAMajority) {
  Start(2);
  Of("a").executor->Pause();
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), 0u);
}

TEST_P(SilenceWatchTest, OfFiveMembersThreeAreNeeded) {
  Start(5);
  for (const char* standby : {"b", "c"}) network_->Cut("a", standby);
  scheduler_.AdvanceBy(30s);
  EXPECT_EQ(Reports(), 0u);
  network_->Cut("a", "d");
  EXPECT_TRUE(AwaitReport(4s));
}

TEST_P(SilenceWatchTest, WhoIsNoMemberHasNoSay) {
  Start(3);
  // c stays linked to the others, and lives at an address that is not the member's.
  view_.members.mutable_members(2)->set_rpc_address("elsewhere:6123");
  pb::ReplicaRecord registered;
  registered.set_replica_id("c");
  registered.set_rpc_address("c:6123");
  view_.replicas.push_back(registered);
  Leads("a", 2);
  scheduler_.AdvanceBy(5s);
  ASSERT_EQ(Of("b").monitor->OpenLinks().size(), 2u);
  Of("a").executor->Pause();
  scheduler_.AdvanceBy(60s);
  EXPECT_EQ(Reports(), 0u);
}

// Both standbys slept (a frozen host, SIGSTOP): what they did not hear meanwhile says nothing.
TEST_P(SilenceWatchTest, WhoSleptDoesNotTakeItsOwnDeafnessForSilence) {
  Start(3);
  for (int i = 0; i < 5; ++i) {
    Of("b").executor->Pause();
    Of("c").executor->Pause();
    scheduler_.AdvanceBy(10s);
    Of("b").executor->Resume();
    Of("c").executor->Resume();
    scheduler_.AdvanceBy(3s);
  }
  EXPECT_EQ(Reports(), 0u);
}

// One wakes up and is asked at once, by one that cannot hear the leader.
TEST_P(SilenceWatchTest, WhoSleptDoesNotAgreeThatTheLeaderIsSilent) {
  Start(3);
  network_->Cut("a", "b");
  for (int i = 0; i < 5; ++i) {
    Of("c").executor->Pause();
    scheduler_.AdvanceBy(1s + i * 300ms);
    Of("c").executor->Resume();
    scheduler_.AdvanceBy(3s);
  }
  EXPECT_GT(Of("c").questions, 0);
  EXPECT_EQ(Reports(), 0u);
}

// They find it silent, rightly, and sleep with each other's agreement under way.
TEST_P(SilenceWatchTest, AnAgreementFromBeforeASleepIsNoneAfterIt) {
  Start(3);
  Of("a").executor->Pause();
  ASSERT_TRUE(scheduler_.RunUntil([&] { return Of("b").questions + Of("c").questions > 0; }, 5s));
  for (const char* standby : {"b", "c"}) Of(standby).executor->Pause();
  Of("a").executor->Resume();
  scheduler_.AdvanceBy(10s);
  for (const char* standby : {"b", "c"}) Of(standby).executor->Resume();
  scheduler_.AdvanceBy(3s);
  EXPECT_EQ(Reports(), 0u) << "it has been awake for long";
}

TEST_P(SilenceWatchTest, StarvedReplicasAccuseNobody) {
  Start(3);
  for (int i = 0; i < 40; ++i) {
    for (const char* standby : {"b", "c"}) Of(standby).executor->Pause();
    scheduler_.AdvanceBy(900ms);
    for (const char* standby : {"b", "c"}) Of(standby).executor->Resume();
    scheduler_.AdvanceBy(10ms);
  }
  EXPECT_EQ(Reports(), 0u);
}

// The answer to b's question is on its way while another becomes the leader.
TEST_P(SilenceWatchTest, ALateAnswerDoesNotCountAgainstASuccessor) {
  Start(5);
  Of("a").executor->Pause();
  for (const char* standby : {"c", "d", "e"}) network_->CutOneWay(standby, "b");
  scheduler_.AdvanceBy(2300ms);
  ASSERT_GT(Of("c").questions, 0);
  ASSERT_TRUE(Of("b").reports.empty());
  for (auto& [name, process] : processes_) process->reports.clear();
  Leads("c", 2);
  scheduler_.AdvanceBy(10ms);
  network_->HealAll();
  scheduler_.AdvanceBy(30s);
  EXPECT_EQ(Reports(), 0u);
}

TEST_P(SilenceWatchTest, ANewLeaderIsListenedToForTwoSecondsBeforeItIsDoubted) {
  Start(3);
  Of("a").executor->Pause();
  ASSERT_TRUE(AwaitReport(5s));
  for (auto& [name, process] : processes_) process->reports.clear();
  Of("b").executor->Pause();  // it was elected, and stops in the same instant
  Leads("b", 2);
  EXPECT_FALSE(AwaitReport(1900ms));
  scheduler_.AdvanceBy(10s);
  EXPECT_EQ(Reports(), 0u) << "c is one of three";
  Of("a").executor->Resume();
  ASSERT_TRUE(AwaitReport(10s));
  const Process& reporter = Of(Of("a").reports.empty() ? "c" : "a");
  EXPECT_EQ(reporter.reports.front(), (LeaderIdentity{Epoch{2}, Incarnation("b1")}));
}

// Its election answers, what leads in it does not.
TEST_P(SilenceWatchTest, ALeaderThatSaysThatItIsStuckIsSilent) {
  Start(3);
  Of("a").stuck = true;
  EXPECT_TRUE(AwaitReport(3s));
  Of("a").stuck = false;
  scheduler_.AdvanceBy(1s);
  const size_t reports = Reports();
  scheduler_.AdvanceBy(30s);
  EXPECT_EQ(Reports(), reports);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SilenceWatchTest, ::testing::Range<uint64_t>(1, 21));

TEST(PulseTest, AnExecutorIsStuckWhenAProbeDoesNotComeBack) {
  ManualScheduler scheduler(1);
  const auto owner = scheduler.NewExecutor("owner");
  const auto watched = scheduler.NewExecutor("watched");
  const auto pulse = std::make_shared<Pulse>(watched, owner);
  bool stuck = false;
  const auto ask_for = [&](Duration span) {
    for (const TimePoint end = scheduler.Now() + span; scheduler.Now() < end;) {
      owner->Post([&] { stuck = pulse->IsStuck(); });
      scheduler.AdvanceBy(200ms);
    }
  };
  ask_for(30s);
  EXPECT_FALSE(stuck);
  watched->Pause();
  ask_for(4s);
  EXPECT_FALSE(stuck) << "it may be busy";
  ask_for(2s);
  EXPECT_TRUE(stuck);
  watched->Resume();
  ask_for(1s);
  EXPECT_FALSE(stuck);
}

}  // namespace
}  // namespace baton
