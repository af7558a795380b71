// What every replica answers itself, and the history of leaders.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rest/leader_history.h"
#include "tests/rest/fakes.h"

namespace baton {
namespace {

using nlohmann::json;

TEST(StatusRoutesTest, LeaderIsForBalancers) {
  EndpointWorld world;
  EXPECT_EQ(world.Ask("GET", "/leader").status, 502);
  world.OtherLeads("b", 5);
  HttpResponse standby = world.Ask("GET", "/leader");
  EXPECT_EQ(standby.status, 503);
  EXPECT_NE(standby.body.find("b:8081"), std::string::npos);
  EXPECT_EQ(standby.Header("X-Baton-Leader"), "b:8081");
  world.SelfLeads(6);
  EXPECT_EQ(world.Ask("GET", "/leader").status, 200);
  // Paused: it still holds the node, but may not answer as the leader.
  world.view.self_leads = false;
  EXPECT_EQ(world.Ask("GET", "/leader").status, 503);
}

TEST(StatusRoutesTest, VersionedLeaderSaysEverywhereWhoLeads) {
  EndpointWorld world;
  EXPECT_EQ(world.Ask("GET", "/v1/leader").status, 503);
  world.OtherLeads("b", 5);
  HttpResponse response = world.Ask("GET", "/v1/leader");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("X-Baton-Epoch"), "5");
  json body = json::parse(response.body);
  EXPECT_EQ(body["epoch"], 5);
  EXPECT_EQ(body["replica"], "b");
  EXPECT_EQ(body["address"], "b:8081");
  EXPECT_EQ(body["sinceMs"], 1005);
}

TEST(StatusRoutesTest, ReadyNeedsAStoreAndALeaderOnce) {
  EndpointWorld world;
  EXPECT_EQ(world.Ask("GET", "/ready").status, 503);
  world.OtherLeads("b", 5);
  EXPECT_EQ(world.Ask("GET", "/ready").status, 200);
  world.NobodyLeads();
  EXPECT_EQ(world.Ask("GET", "/ready").status, 200);
  world.store_ready = false;
  EXPECT_EQ(world.Ask("GET", "/ready").status, 503);
  world.store_ready = true;
  // Nothing of what a replica answers needs ZooKeeper at that moment.
  world.view.connected = false;
  EXPECT_EQ(world.Ask("GET", "/ready").status, 200);
  world.view.connected = true;
  world.endpoint->StopAccepting();
  EXPECT_EQ(world.Ask("GET", "/ready").status, 503);
  EXPECT_EQ(world.Ask("GET", "/health").status, 200);
}

TEST(StatusRoutesTest, NothingNeedsALeader) {
  EndpointWorld world;
  for (const char* path : {"/health", "/v1/replicas", "/v1/failovers", "/metrics", "/config"}) {
    EXPECT_EQ(world.Ask("GET", path).status, 200) << path;
  }
  EXPECT_NE(world.Ask("GET", "/metrics").body.find("baton_rest_requests_total"), std::string::npos);
}

TEST(StatusRoutesTest, FailoversShowWhoFollowedWhomAndHowLongItTook) {
  EndpointWorld world;
  world.OtherLeads("b", 5);
  world.NobodyLeads();
  world.scheduler.AdvanceBy(std::chrono::milliseconds(70));
  world.SelfLeads(6);
  json failovers = json::parse(world.Ask("GET", "/v1/failovers").body)["failovers"];
  ASSERT_EQ(failovers.size(), 2u);
  EXPECT_EQ(failovers[0]["epoch"], 6);
  EXPECT_EQ(failovers[0]["replica"], "a");
  EXPECT_EQ(failovers[0]["previousEpoch"], 5);
  EXPECT_EQ(failovers[0]["previousReplica"], "b");
  EXPECT_EQ(failovers[0]["leaderlessMs"], 70);
  EXPECT_EQ(failovers[0]["cause"], "process-death");
  EXPECT_EQ(failovers[1]["leaderlessMs"], -1);
}

TEST(LeaderHistoryTest, IsBoundedAndIgnoresTheSameLeader) {
  LeaderHistory history;
  LeadershipView view;
  for (uint64_t epoch = 1; epoch <= 150; ++epoch) {
    view.leader = LeaderOf("a", epoch);
    history.Observe(view, TimePoint());
    history.Observe(view, TimePoint());
  }
  ASSERT_EQ(history.Snapshot().size(), LeaderHistory::kMaxEntries);
  EXPECT_EQ(history.Snapshot().front().leader.epoch(), 150u);
}

}  // namespace
}  // namespace baton
