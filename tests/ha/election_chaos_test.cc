#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/election_fixture.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;

// Every fault in any order, many seeds: the log of grants checks that no epoch comes twice, the
// fences that none but the newest can write, and whoever sees the tree knows that it was deposed.
class ElectionChaosTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ElectionChaosTest() : cluster_(GetParam()), random_(GetParam()) {}

  TestReplica& Any() {
    auto it = cluster_.replicas.begin();
    std::advance(it, random_() % cluster_.replicas.size());
    return *it->second;
  }

  void Fault() {
    TestReplica& victim = Any();
    switch (random_() % 9) {
      case 0:
        cluster_.Kill(victim);
        if (random_() % 2 == 0) cluster_.ReportDeathToAll(victim.incarnation());
        cluster_.AddAndStart(victim.self.replica_id());
        break;
      case 1:
        cluster_.server->Disconnect(victim.client, Server::Cut::kReset);
        cut_.insert(victim.self.incarnation());
        break;
      case 2:
        cluster_.server->Disconnect(victim.client, Server::Cut::kSilent);
        cut_.insert(victim.self.incarnation());
        break;
      case 3:
        cluster_.server->Reconnect(victim.client);
        cut_.erase(victim.self.incarnation());
        break;
      case 4:
        cluster_.server->Expire(victim.client);
        break;
      case 5:
        cluster_.server->DropNextAnswer(victim.client, random_() % 2 == 0
                                                           ? Server::LostAnswer::kApplied
                                                           : Server::LostAnswer::kNotApplied);
        break;
      case 6:
        victim.executor->Pause();
        stopped_.insert(victim.self.incarnation());
        // Wrongly: it is a zombie then, and its session lives.
        if (random_() % 2 == 0) cluster_.ReportDeathToAll(victim.incarnation());
        break;
      case 7:
        victim.executor->Resume();
        stopped_.erase(victim.self.incarnation());
        break;
      case 8:
        victim.Run([election = victim.election] { election->HandOver([](const auto&) {}); });
        break;
    }
  }

  // Each writes with the newest fence it ever had, zombie or not.
  void WriteByAll() {
    for (auto& [id, replica] : cluster_.replicas) {
      if (!replica->last_fence) continue;
      const uint64_t epoch = replica->last_fence->epoch().value;
      const std::string path = "/d/" + std::to_string(writes_++);
      replica->last_fence->Commit({CoordinationOp::Create(path, std::to_string(epoch))},
                                  [](const absl::Status&) {});
    }
  }

  // Nothing is under way: who is connected and runs has been told.
  void ExpectTheDeposedKnow() {
    for (auto& [id, replica] : cluster_.replicas) {
      const std::string& incarnation = replica->self.incarnation();
      if (cut_.contains(incarnation) || stopped_.contains(incarnation)) continue;
      if (!replica->leads() || !replica->view().connected) continue;
      EXPECT_EQ(replica->epoch(), cluster_.log.newest()) << id << " leads on";
    }
  }

  ElectionCluster cluster_;
  std::set<std::string> cut_, stopped_;  // incarnations
  std::mt19937_64 random_;
  int writes_ = 0;
};

TEST_P(ElectionChaosTest, EpochsGrowOneByOneAndOnlyTheNewestWrites) {
  cluster_.MakeMembers({"a", "b", "c"});
  cluster_.Put("/d", "");
  for (const char* id : {"a", "b", "c"}) cluster_.AddAndStart(id);
  for (int i = 0; i < 60; ++i) {
    Fault();
    WriteByAll();
    cluster_.Advance(Duration(random_() % 3'000) * 1'000'000);
    ExpectTheDeposedKnow();
  }
  for (auto& [id, replica] : cluster_.replicas) {
    replica->executor->Resume();
    cluster_.server->Reconnect(replica->client);
  }
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() != nullptr; })) << "L1, L3";
  cluster_.Advance(15s);
  ASSERT_NE(cluster_.Leader(), nullptr);
  EXPECT_TRUE(cluster_.Leader()->view().self_leads);
  EXPECT_EQ(cluster_.Leader()->epoch(), cluster_.EpochInTree());
  const auto leading = std::count_if(cluster_.replicas.begin(), cluster_.replicas.end(),
                                     [](auto& entry) { return entry.second->leads(); });
  EXPECT_EQ(leading, 1);

  // I3: in the order in which they were committed, the epochs of the writes never go back.
  std::vector<std::pair<int64_t, uint64_t>> written;
  for (int i = 0; i < writes_; ++i) {
    auto node = cluster_.Read("/d/" + std::to_string(i));
    if (node.ok()) written.emplace_back(node->stat.created_zxid, std::stoull(node->data));
  }
  EXPECT_FALSE(written.empty());
  std::sort(written.begin(), written.end());
  for (size_t i = 1; i < written.size(); ++i) {
    EXPECT_LE(written[i - 1].second, written[i].second) << "an older leader wrote after a newer";
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ElectionChaosTest, ::testing::Range<uint64_t>(1, 151));

}  // namespace
}  // namespace baton
