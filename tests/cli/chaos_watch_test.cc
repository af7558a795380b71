#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cli/chaos/injector.h"
#include "cli/chaos/job_watch.h"
#include "cli/chaos/leader_watch.h"
#include "gtest/gtest.h"
#include "rest/client/wait.h"
#include "tests/cli/scripted_server.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kPatience(30);

std::string JobIn(const std::string& state) {
  return ScriptedServer::Answer(200, R"({"jid":"j","state":")" + state + R"(","vertices":[]})");
}

std::string LedBy(uint64_t epoch, const std::string& replica) {
  return ScriptedServer::Answer(
      200, R"({"epoch":)" + std::to_string(epoch) + R"(,"replica":")" + replica + "\"}");
}

const std::string kUnavailable = ScriptedServer::Answer(503, R"({"errors":["an election"]})");
const std::string kBroken;

TEST(JobWatchTest, RemembersEachAnswerOfEachReplicaAndNothingElse) {
  ScriptedServer first({JobIn("RUNNING"), kUnavailable, kBroken, JobIn("FINISHED")});
  ScriptedServer second({JobIn("RUNNING")});
  JobWatch watch({{"r1", first.url()}, {"r2", second.url()}}, [](uint64_t) { return "j"; });
  const auto states_of = [&](const std::string& replica) {
    std::vector<std::string> states;
    for (const JobSighting& sighting : watch.Sightings()) {
      if (sighting.asked == replica) states.push_back(sighting.state);
    }
    return states;
  };
  ASSERT_TRUE(WaitUntil([&] { return states_of("r1").size() >= 2 && !states_of("r2").empty(); },
                        Clock::now() + kPatience, std::chrono::milliseconds(1)));
  watch.Stop();
  EXPECT_EQ(states_of("r1")[0], "RUNNING");
  EXPECT_EQ(states_of("r1")[1], "FINISHED");
  EXPECT_EQ(states_of("r2")[0], "RUNNING");
  int64_t sent = 0;
  for (const JobSighting& sighting : watch.Sightings()) {
    EXPECT_EQ(sighting.job, "j");
    EXPECT_LE(sighting.sent_ns, sighting.answered_ns);
    if (sighting.asked != "r1") continue;
    EXPECT_LE(sent, sighting.sent_ns);
    sent = sighting.sent_ns;
  }
  EXPECT_EQ(first.Requests()[0], "GET /v1/jobs/j");
}

TEST(JobWatchTest, AsksForJobsByLotAndOnlyWhenThereAreSome) {
  ScriptedServer server({JobIn("RUNNING")});
  std::mutex mutex;
  std::set<uint64_t> lots;
  JobWatch watch({{"r1", server.url()}}, [&](uint64_t lot) {
    std::lock_guard lock(mutex);
    lots.insert(lot);
    return lots.size() < 3 ? "" : "j";
  });
  ASSERT_TRUE(WaitUntil([&] { return !watch.Sightings().empty(); }, Clock::now() + kPatience,
                        std::chrono::milliseconds(1)));
  watch.Stop();
  EXPECT_GE(lots.size(), 3u);
  // Those that were answered too late are no sightings.
  EXPECT_GE(server.Requests().size(), watch.Sightings().size());
  for (const std::string& request : server.Requests()) EXPECT_EQ(request, "GET /v1/jobs/j");
}

TEST(LeaderWatchTest, RemembersWhatIsNewAndWhatGoesBack) {
  ScriptedServer server({LedBy(1, "r1"), LedBy(1, "r1"), kUnavailable, LedBy(2, ""), LedBy(2, "r2"),
                         LedBy(2, "r3"), LedBy(1, "r1")});
  LeaderWatch watch({{"r1", server.url()}});
  ASSERT_TRUE(WaitUntil([&] { return watch.Sightings().size() >= 4; }, Clock::now() + kPatience,
                        std::chrono::milliseconds(1)));
  watch.Stop();
  std::vector<std::pair<uint64_t, std::string>> words;
  for (const EpochSighting& sighting : watch.Sightings()) {
    words.emplace_back(sighting.epoch, sighting.leader);
  }
  const std::vector<std::pair<uint64_t, std::string>> expected = {
      {1, "r1"}, {2, "r2"}, {2, "r3"}, {1, "r1"}};
  EXPECT_EQ(words, expected);
  EXPECT_EQ(watch.NewestEpoch(), 2u);
}

TEST(ActiveFaultTest, WhatIsLeftOutSaysWhyAndHindersNoOther) {
  ActiveFault fault;
  fault.done = "disk-wipe: replica-1";
  EXPECT_TRUE(fault.LeaveOut("the last one is too near").ok());
  EXPECT_TRUE(fault.left_out);
  EXPECT_EQ(fault.done, "disk-wipe: replica-1 left out: the last one is too near");
}

}  // namespace
}  // namespace baton
