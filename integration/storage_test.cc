// Disks and data that are lost: a replica's store, all but one replica, ZooKeeper's own data.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

namespace fs = std::filesystem;

class StorageTest : public ClusterTest {
 protected:
  // The value of a metric without labels; -1: no answer.
  static double Metric(const std::string& replica, const std::string& name) {
    const auto reply = Get(Rest(replica), "/metrics");
    if (!reply.ok() || reply->status != 200) return -1;
    std::istringstream lines(reply->body);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(name + " ")) return std::stod(line.substr(name.size() + 1));
    }
    return -1;
  }

  static std::string LogOf(const std::string& node) {
    std::ifstream log(cluster().state().LogFile(node));
    return {std::istreambuf_iterator<char>(log), {}};
  }

  void TearDown() override {
    if (!filler_.empty()) Cancel(filler_);
    ClusterTest::TearDown();
  }

  static bool Cancel(const std::string& job) {
    const auto reply =
        Exchange(Balancer(), RequestBytes("PATCH", "/v1/jobs/" + job + "?mode=cancel", ""));
    return reply.ok() && reply->status == 202;
  }

  // Takes every slot that is free, until the test ends.
  void FillSlots() {
    filler_ = NewJobId();
    const auto put = Put(Balancer(), filler_,
                         R"({"name":"fills","vertices":[{"id":"task","parallelism":64,)"
                         R"("command":["sleep","600"]}]})");
    ASSERT_TRUE(put.ok() && put->status == 202) << (put.ok() ? put->body : "");
    ASSERT_TRUE(Eventually([] { return Overview("slots-available") == 0; }));
  }

  // A job that finds no slot, cancelled: a result without a process. Its id.
  static std::string MakeResult() {
    const std::string job = NewJobId();
    const auto put = Put(Balancer(), job, QuickJob());
    return put.ok() && put->status == 202 && Cancel(job) ? job : "";
  }

  // In `threads` at once; those that were made.
  static std::vector<std::string> MakeResults(size_t threads, size_t of_each) {
    std::vector<std::vector<std::string>> made(threads);
    std::vector<std::thread> makers;
    for (auto& ids : made) {
      makers.emplace_back([&ids, of_each] {
        for (size_t i = 0; i < of_each; ++i) {
          if (auto id = MakeResult(); !id.empty()) ids.push_back(std::move(id));
        }
      });
    }
    for (std::thread& maker : makers) maker.join();
    std::vector<std::string> all;
    for (const auto& ids : made) all.insert(all.end(), ids.begin(), ids.end());
    return all;
  }

  // As the leader counts; -1: no answer.
  static int64_t Overview(const std::string& what) {
    const auto reply = Get(Balancer(), "/v1/overview");
    if (!reply.ok() || reply->status != 200) return -1;
    const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
    return answer.is_object() ? answer.value(what, int64_t{-1}) : -1;
  }
  static int64_t Cancelled() { return Overview("jobs-cancelled"); }

  // What this process, in its present life, has written since `before`, a LogOf.
  static std::string LogSince(const std::string& node, const std::string& before) {
    return LogOf(node).substr(before.size());
  }

  void LoseDataOfZooKeeper() {
    std::vector<std::string> servers;
    for (const ClusterNode* node : cluster().state().OfKind(NodeKind::kZooKeeper)) {
      servers.push_back(node->name);
    }
    for (const auto& server : servers) Kill(server);
    for (const auto& server : servers) {
      fs::remove_all(cluster().state().options.directory + "/" + server + "/data/version-2");
    }
    for (const auto& server : servers) Restart(server);
  }

  std::string filler_;
};

TEST_F(StorageTest, F29ALostDiskRefillsItselfAndThenTheOthersMayGo) {
  // Of different sizes: equal graphs are one blob.
  std::vector<std::string> jobs;
  for (uint32_t tasks = 1; tasks <= 3; ++tasks) jobs.push_back(StartHeldJob(tasks));
  const std::string lost = Standbys().front();
  Kill(lost);
  fs::remove_all(StoreDirectory(lost));
  Restart(lost);
  EXPECT_TRUE(Eventually([&] {
    return Metric(lost, "baton_store_live_blobs") >= 3 &&
           Metric(lost, "baton_store_missing_blobs") == 0;
  })) << "missing: "
      << Metric(lost, "baton_store_missing_blobs");

  // The others go one by one: first the other standby, then the leader.
  auto others = Standbys();
  std::erase(others, lost);
  Kill(others.front());
  Kill(Leader().replica);
  ASSERT_TRUE(Eventually([&] { return Leader().replica == lost; }));
  for (size_t i = 0; i < jobs.size(); ++i) {
    traces().Release(jobs[i]);
    ExpectRanOnce(jobs[i], i + 1);
  }
}

// Both standbys have lost their disks, and the one replica that has the graph is dead.
TEST_F(StorageTest, F28ALeaderWithAnEmptyStoreRunsTheJobWhenACopyIsBack) {
  const std::string held = StartHeldJob(2);
  const Leadership before = Leader();
  const std::string& holder = before.replica;
  const auto standbys = Standbys();
  std::map<std::string, std::string> logs;
  for (const auto& standby : standbys) logs[standby] = LogOf(standby);
  // The leader last: nobody leads between these deaths who has the graph.
  for (const auto& standby : standbys) Kill(standby);
  Kill(holder);
  for (const auto& standby : standbys) {
    fs::remove_all(StoreDirectory(standby));
    Restart(standby);
  }
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  const std::string next = Leader().replica;
  // It is seen, hinders nobody, and its tasks go on.
  const std::string quarantine = "in quarantine job_id=" + held;
  EXPECT_TRUE(Eventually([&] {
    return LogSince(next, logs[next]).find(quarantine) != std::string::npos;
  })) << LogSince(next, logs[next]);
  ExpectAccepted();
  EXPECT_EQ(traces().Starts(held).size(), 2u);
  EXPECT_EQ(traces().Ends(held).size(), 0u);

  Restart(holder);
  EXPECT_TRUE(Eventually([&] { return JobState(held) == "RUNNING"; })) << JobState(held);
  ExpectUndisturbed(held, 2);
}

// 100,000 would take minutes to make; what is asked is whether a leader reads them before it leads.
TEST_F(StorageTest, F34RecoveryReadsNothingOfTheHistory) {
  const std::string held = StartHeldJob(2);
  ASSERT_NO_FATAL_FAILURE(FillSlots());
  const int64_t before = Cancelled();
  const auto results = MakeResults(4, 500);
  ASSERT_EQ(results.size(), 2'000u);
  const int64_t all = before + static_cast<int64_t>(results.size());
  ASSERT_TRUE(Eventually([&] { return Cancelled() == all; })) << Cancelled();

  const Leadership old = Leader();
  const auto standbys = Standbys();
  std::map<std::string, std::string> logs;
  for (const auto& standby : standbys) logs[standby] = LogOf(standby);
  Kill(old.replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > old.epoch; }));
  const std::string next = Leader().replica;
  ASSERT_TRUE(Eventually([&] { return JobState(held) == "RUNNING"; }));
  const std::string log = LogSince(next, logs[next]);
  const size_t listed = log.find("jobs to recover");
  ASSERT_NE(listed, std::string::npos) << log;
  EXPECT_NE(log.find(" jobs=2\n", listed), std::string::npos) << log.substr(listed, 200);

  // It knows them all the same: at once by id, in a while all of them.
  const auto first = Get(Balancer(), "/v1/jobs/" + results.front() + "/status");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->status, 200) << first->body;
  EXPECT_TRUE(Eventually([&] { return Cancelled() == all; })) << Cancelled() << " of " << all;
  ExpectUndisturbed(held, 2);
}

TEST_F(StorageTest, F27AStoreThatWasDamagedWhileDownIsSetAsideAndFilledFromTheOthers) {
  std::vector<std::string> jobs;
  for (uint32_t tasks = 1; tasks <= 3; ++tasks) jobs.push_back(StartHeldJob(tasks));
  const std::string damaged = Standbys().front();
  Kill(damaged);
  for (const auto& entry : fs::directory_iterator(StoreDirectory(damaged))) {
    if (!entry.path().filename().string().starts_with("MANIFEST")) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(20);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(20);
    file.put(byte);
  }
  Restart(damaged);
  EXPECT_TRUE(Eventually([&] {
    return Metric(damaged, "baton_store_live_blobs") >= 3 &&
           Metric(damaged, "baton_store_missing_blobs") == 0;
  })) << "missing: "
      << Metric(damaged, "baton_store_missing_blobs");
  EXPECT_TRUE(fs::exists(StoreDirectory(damaged) + ".damaged-1"));
  EXPECT_NE(LogOf(damaged).find("was set aside"), std::string::npos);

  // What it holds is enough to go on from.
  auto others = Standbys();
  std::erase(others, damaged);
  Kill(others.front());
  Kill(Leader().replica);
  ASSERT_TRUE(Eventually([&] { return Leader().replica == damaged; }));
  for (size_t i = 0; i < jobs.size(); ++i) {
    traces().Release(jobs[i]);
    ExpectRanOnce(jobs[i], i + 1);
  }
}

TEST_F(StorageTest, TheDataOfZooKeeperIsLostAndRecoveredFromTheReplicas) {
  const Leadership before = Leader();
  const std::string finished = NewJobId();
  const std::string body = QuickJob();
  ASSERT_EQ(Put(Balancer(), finished, body)->status, 202);
  ExpectRanOnce(finished);
  const std::string running = StartHeldJob(2);

  const auto replicas = Replicas();
  for (const auto& replica : replicas) Kill(replica);
  LoseDataOfZooKeeper();
  for (const auto& replica : replicas) Restart(replica);

  // Nobody begins anew at epoch 1, and the log says what to do.
  for (const auto& replica : replicas) {
    EXPECT_TRUE(Eventually([&] {
      return LogOf(replica).find("Run `baton recover-pointers`") != std::string::npos;
    })) << replica;
  }
  EXPECT_EQ(Leader().replica, "");

  absl::StatusOr<HttpReply> recovered;
  EXPECT_TRUE(Eventually([&] {  // the replicas may not be linked yet
    recovered = Exchange(Rest(replicas[0]), RequestBytes("POST", "/v1/recover-pointers", ""));
    return recovered.ok() && recovered->status == 200;
  })) << (recovered.ok() ? recovered->body : recovered.status().ToString());
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ASSERT_TRUE(Eventually(Calm));

  // Again there is nothing to do.
  const auto again = Exchange(Rest(replicas[0]), RequestBytes("POST", "/v1/recover-pointers", ""));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->status, 409) << again->body;

  traces().Release(running);
  ExpectRanOnce(running, 2);
  const auto repeated = Put(Balancer(), finished, body);
  ASSERT_TRUE(repeated.ok());
  EXPECT_EQ(repeated->status, 200) << repeated->body;
  EXPECT_EQ(traces().Starts(finished).size(), 1u);
  const std::string fresh = NewJobId();
  ASSERT_EQ(Put(Balancer(), fresh, body)->status, 202);
  ExpectRanOnce(fresh);
}

}  // namespace
}  // namespace baton::integration
