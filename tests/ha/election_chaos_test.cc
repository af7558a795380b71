#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/election_fixture.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;

// Every fault in any order, many seeds: the log of grants checks that no epoch comes twice, the
// fences that none but the newest can write.
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
        break;
      case 2:
        cluster_.server->Disconnect(victim.client, Server::Cut::kSilent);
        break;
      case 3:
        cluster_.server->Reconnect(victim.client);
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
        // Wrongly: it is a zombie then, and its session lives.
        if (random_() % 2 == 0) cluster_.ReportDeathToAll(victim.incarnation());
        break;
      case 7:
        victim.executor->Resume();
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

  ElectionCluster cluster_;
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
