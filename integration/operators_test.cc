// What operators do to a running cluster: replicas are added, moved, retired and, when every member
// is lost, forced in; TaskManagers are drained.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "cli/cluster/node_files.h"
#include "cli/cluster/ports.h"
#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

using Json = nlohmann::json;

class OperatorsTest : public ClusterTest {
 protected:
  void TearDown() override {
    for (const ProcessId& process : extra_) End(process);
    ClusterTest::TearDown();
  }

  static Json Ask(const std::string& address, const std::string& path) {
    const auto reply = Get(address, path);
    if (!reply.ok() || reply->status != 200) return {};
    return Json::parse(reply->body, nullptr, false);
  }

  // As the leader sees it; null: there is none.
  static Json ReplicaEntry(const std::string& id) {
    const std::string leader = Leader().replica;
    return leader.empty() ? Json() : ReplicaEntry(id, Rest(leader));
  }
  // As the leader tells whoever is asked.
  static Json ReplicaEntry(const std::string& id, const std::string& address) {
    const Json answer = Ask(address, "/v1/replicas");
    if (!answer.is_object()) return {};
    for (const Json& replica : answer.at("replicas")) {
      if (replica.at("id") == id) return replica;
    }
    return {};
  }
  static bool IsMember(const std::string& id) {
    const Json entry = ReplicaEntry(id);
    return entry.is_object() && entry.at("member") == true;
  }
  static bool IsShownAlive(const std::string& id) {
    const Json entry = ReplicaEntry(id);
    return entry.is_object() && entry.at("alive") == true;
  }

  // Its status.
  static int Post(const std::string& path, const std::string& method = "POST") {
    const auto reply = Exchange(Balancer(), RequestBytes(method, path, ""));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : 0;
  }

  std::string Directory(const std::string& name) const {
    return cluster().state().options.directory + "/" + name;
  }

  // A replica with the configuration of `like`, but for these settings. Its addresses, once it
  // serves.
  Json Run(const std::string& like, const std::string& name,
           const std::vector<std::string>& settings, ProcessId* process) {
    auto spec = CommandOf(cluster().state(), *cluster().state().Find(like));
    EXPECT_TRUE(spec.ok()) << spec.status();
    const std::string ready = Directory(name) + "-ready.json";
    std::filesystem::remove(ready);
    spec->log_file = cluster().state().LogFile(name);
    spec->argv.insert(spec->argv.end(), {"-D", "ready-file=" + ready});
    for (const std::string& setting : settings) {
      spec->argv.insert(spec->argv.end(), {"-D", setting});
    }
    auto started = Spawn(*spec);
    EXPECT_TRUE(started.ok()) << started.status();
    *process = *started;
    extra_.push_back(*started);
    EXPECT_TRUE(Eventually([&] { return std::filesystem::exists(ready); })) << name;
    std::ifstream file(ready);
    return Json::parse(file, nullptr, false);
  }

  static void End(const ProcessId& process, int signal = SIGKILL) {
    if (!IsAlive(process)) return;
    EXPECT_TRUE(SendSignal(process, signal).ok());
    EXPECT_TRUE(Eventually([&] { return ReapIfEnded(process).has_value(); }));
  }

  // A command with the configuration of `replica` but for these settings; how it ended.
  std::string ForceAdmission(const std::string& replica, const std::vector<std::string>& settings) {
    auto spec = CommandOf(cluster().state(), *cluster().state().Find(replica));
    spec->log_file = cluster().state().LogFile("force");
    spec->argv.push_back("--force-admission");
    for (const std::string& setting : settings) {
      spec->argv.insert(spec->argv.end(), {"-D", setting});
    }
    auto process = Spawn(*spec);
    std::optional<std::string> end;
    EXPECT_TRUE(Eventually([&] { return (end = ReapIfEnded(*process)).has_value(); }));
    return end.value_or("");
  }

  // Lets the TaskManagers look for dispatchers at these addresses too; empty: as before.
  void TellTaskManagers(const std::vector<std::string>& addresses) {
    std::string all;
    for (const std::string& replica : Replicas()) {
      all += cluster().state().Find(replica)->PeerAddress() + ",";
    }
    for (const std::string& address : addresses) all += address + ",";
    all.pop_back();
    for (const ClusterNode* node : cluster().state().OfKind(baton::NodeKind::kTaskManager)) {
      const std::string file = Directory(node->name) + "/baton.yaml";
      std::ifstream before(file);
      std::string config;
      for (std::string line; std::getline(before, line);) {
        const bool dispatchers = line.starts_with("taskmanager.dispatchers:");
        config += (dispatchers ? "taskmanager.dispatchers: \"" + all + "\"" : line) + "\n";
      }
      ASSERT_TRUE(WriteFile(file, config).ok());
      Restart(node->name);
    }
    ASSERT_TRUE(Eventually(Calm));
  }

  static bool Leads(const std::string& rest_address) {
    const auto reply = Get(rest_address, "/leader");
    return reply.ok() && reply->status == 200;
  }

  std::vector<ProcessId> extra_;
};

TEST_F(OperatorsTest, ADeadReplicaIsShownDeadBeforeItsSessionEnds) {
  const std::string victim = Standbys().front();
  ASSERT_TRUE(Eventually([&] { return IsShownAlive(victim); }));  // the leader may just find it
  Kill(victim);
  // Its node stays for a session timeout; the peers know better.
  ASSERT_TRUE(Eventually([&] { return !IsShownAlive(victim); }, std::chrono::seconds(5)));
  EXPECT_TRUE(IsMember(victim));
  Restart(victim);
  EXPECT_TRUE(Eventually([&] { return IsShownAlive(victim); }));
}

TEST_F(OperatorsTest, AFourthReplicaJoinsLeadsAndIsRetired) {
  const std::string held = StartHeldJob(2);
  ProcessId process;
  const Json fourth = Run("replica-1", "replica-4",
                          {"replica.id=replica-4", "rest.port=0", "rpc.port=0",
                           "store.directory=" + Directory("replica-4")},
                          &process);
  ASSERT_TRUE(fourth.is_object());
  ASSERT_TRUE(Eventually([&] { return IsMember("replica-4"); }));

  // Only it can take over: the TaskManagers find it, and their tasks go on.
  const std::vector<std::string> standbys = Standbys();
  for (const std::string& standby : standbys) Kill(standby);
  ASSERT_TRUE(TransferUntil([&] { return Leads(fourth.at("rest")); }));
  for (const std::string& standby : standbys) Restart(standby);
  ASSERT_TRUE(Eventually([&] { return JobState(held) == "RUNNING"; }));
  EXPECT_EQ(Post("/v1/replicas/replica-4/retire"), 409) << "it leads";
  EXPECT_EQ(Post("/v1/replicas/nobody/retire"), 404);

  ASSERT_TRUE(Eventually([&] { return Leads(fourth.at("rest")); }));
  ASSERT_TRUE(TransferUntil([&] { return Leader().replica != "replica-4"; }));
  EXPECT_EQ(Post("/v1/replicas/replica-4/retire"), 202);
  ASSERT_TRUE(Eventually([&] { return !IsMember("replica-4"); }));
  EXPECT_TRUE(Eventually([] { return IsShownAlive("replica-4"); })) << "it runs on";
  End(process, SIGTERM);
  ASSERT_TRUE(Eventually(Calm));
  traces().Release(held);
  ExpectRanOnce(held, 2);
}

TEST_F(OperatorsTest, ARetiredReplicaDoesNotLeadUntilItIsAdmittedAgain) {
  const Leadership before = Leader();
  const std::vector<std::string> standbys = Standbys();
  const std::string &retired = standbys[0], &other = standbys[1];
  EXPECT_EQ(Post("/v1/replicas/" + retired + "/retire"), 202);
  ASSERT_TRUE(Eventually([&] { return !IsMember(retired); }));
  Kill(before.replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  EXPECT_EQ(Leader().replica, other);
  Restart(retired);  // a restart alone does not bring it back
  Restart(before.replica);
  ASSERT_TRUE(Eventually([&] { return IsShownAlive(retired) && IsMember(before.replica); }));
  EXPECT_FALSE(IsMember(retired));
  EXPECT_EQ(Post("/v1/replicas/" + retired + "/admit"), 202);
  ASSERT_TRUE(Eventually([&] { return IsMember(retired); }));
}

TEST_F(OperatorsTest, AReplicaAtANewAddressIsAMemberThere) {
  const std::string moved = Standbys().front();
  const std::string held = StartHeldJob(2);
  const std::string old_address = ReplicaEntry(moved).at("rpcAddress");
  Kill(moved);
  ProcessId process;
  const Json there = Run(moved, "moved", {"rest.port=0", "rpc.port=0"}, &process);
  ASSERT_TRUE(there.is_object());
  ASSERT_TRUE(Eventually([&] {
    const Json entry = ReplicaEntry(moved);
    return entry.is_object() && entry.at("member") == true && entry.at("alive") == true &&
           entry.at("rpcAddress") == there.at("rpc");
  }));
  // It may lead there.
  for (const std::string& standby : Standbys()) {
    if (standby != moved) Kill(standby);
  }
  ASSERT_TRUE(TransferUntil([&] { return Leads(there.at("rest")); }));
  for (const std::string& name : Replicas()) {
    if (name != moved && !cluster().Alive(name)) Restart(name);
  }
  End(process);
  Restart(moved);
  ASSERT_TRUE(Eventually([&] {
    const Json entry = ReplicaEntry(moved);
    return entry.is_object() && entry.at("member") == true && entry.at("rpcAddress") == old_address;
  }));
  ASSERT_TRUE(Eventually(Calm));
  traces().Release(held);
  ExpectRanOnce(held, 2);
}

TEST_F(OperatorsTest, AReplicaIsForcedInWhenEveryMemberIsLost) {
  const std::vector<std::string> members = Replicas();
  const std::vector<std::string> settings = {"replica.id=rescue", "rest.port=0",
                                             "store.directory=" + Directory("rescue")};
  ProcessId first;
  const Json before =
      Run("replica-1", "rescue", {settings[0], settings[1], settings[2], "rpc.port=0"}, &first);
  ASSERT_TRUE(Eventually([&] { return IsMember("rescue"); }));  // to have an address to keep
  EXPECT_EQ(Post("/v1/replicas/rescue/retire"), 202);
  ASSERT_TRUE(Eventually([&] { return !IsMember("rescue"); }));
  const std::string address = before.at("rpc");
  const std::string port = "rpc.port=" + address.substr(address.rfind(':') + 1);

  const auto force = [&] { return ForceAdmission("replica-1", {settings[0], port}); };
  EXPECT_EQ(force(), "exit 1") << "somebody leads";
  for (const std::string& member : members) Kill(member);
  // Until their sessions are over they count as alive.
  ASSERT_TRUE(Eventually([&] { return force() == "exit 0"; }));
  ASSERT_TRUE(Eventually([&] { return Leads(before.at("rest")); }));
  for (const std::string& member : members) Restart(member);
  ASSERT_TRUE(Eventually([&] {
    const Json answer = Ask(before.at("rest"), "/v1/replicas");
    size_t alive = 0;
    if (!answer.is_object()) return false;
    for (const Json& replica : answer.at("replicas")) {
      alive += replica.at("member") == true && replica.at("alive") == true;
    }
    return alive == 4;
  }));
  EXPECT_EQ(Post("/v1/leader/transfer"), 202);
  ASSERT_TRUE(Eventually([&] { return Leader().replica != "rescue" && Calm(); }));
  EXPECT_EQ(Post("/v1/replicas/rescue/retire"), 202);
  End(first, SIGTERM);
  ASSERT_TRUE(Eventually(Calm));
}

// A member is an id at an address: of themselves they would wait for their old addresses for ever.
TEST_F(OperatorsTest, AllReplicasComeBackAtNewAddressesAndTheirTasksGoOn) {
  std::map<std::string, std::string> ports;
  std::vector<std::string> addresses;
  auto reserved = PortReservation::Take(static_cast<int>(Replicas().size()));
  ASSERT_TRUE(reserved.ok()) << reserved.status();
  for (const std::string& replica : Replicas()) {
    ports[replica] = std::to_string(reserved->ports()[ports.size()]);
    addresses.push_back("127.0.0.1:" + ports[replica]);
  }
  ASSERT_NO_FATAL_FAILURE(TellTaskManagers(addresses));
  const std::string held = StartHeldJob(2);
  for (const std::string& replica : Replicas()) Kill(replica);
  reserved->Release();
  std::map<std::string, ProcessId> moved;
  std::map<std::string, std::string> rest;
  for (const auto& [replica, port] : ports) {
    const Json ready =
        Run(replica, replica + "-moved", {"rest.port=0", "rpc.port=" + port}, &moved[replica]);
    ASSERT_TRUE(ready.is_object());
    rest[replica] = ready.at("rest");
  }
  const auto leads = [&](const auto& entry) { return Leads(entry.second); };
  // Until their sessions are over, the processes of before count as alive.
  const auto& [first, port] = *ports.begin();
  ASSERT_TRUE(Eventually([&, &first = first, &port = port] {
    EXPECT_TRUE(std::none_of(rest.begin(), rest.end(), leads)) << "by nobody's word";
    return ForceAdmission(first, {"rpc.port=" + port}) == "exit 0";
  }));
  ASSERT_TRUE(Eventually([&, &first = first] { return Leads(rest[first]); }));
  ASSERT_TRUE(Eventually([&, &first = first] {
    size_t members = 0;
    const Json answer = Ask(rest[first], "/v1/replicas");
    if (!answer.is_object()) return false;
    for (const Json& replica : answer.at("replicas")) {
      const std::string address = replica.at("rpcAddress");
      members += replica.at("member") == true && replica.at("alive") == true &&
                 address == "127.0.0.1:" + ports[replica.at("id")];
    }
    return members == 3;
  }));
  const auto state = [&, &first = first] {
    const Json answer = Ask(rest[first], "/v1/jobs/" + held + "/status");
    return answer.is_object() ? answer.value("status", "") : "";
  };
  EXPECT_TRUE(Eventually([&] { return state() == "RUNNING"; })) << state();
  EXPECT_EQ(traces().Starts(held).size(), 2u);

  // Back again, one by one: that is what a leader does by itself.
  for (const std::string& replica : Replicas()) {
    End(moved[replica], SIGTERM);
    Restart(replica);
    const std::string home = cluster().state().Find(replica)->PeerAddress();
    ASSERT_TRUE(Eventually([&] {
      const Json entry = ReplicaEntry(replica, Rest(replica));
      return entry.is_object() && entry.at("member") == true && entry.at("rpcAddress") == home;
    })) << replica;
  }
  ASSERT_TRUE(Eventually(Calm));
  ExpectUndisturbed(held, 2);
  ASSERT_NO_FATAL_FAILURE(TellTaskManagers({}));
}

TEST_F(OperatorsTest, ADrainOutlivesTheLeaderAndMovesWhatIsLeftAtTheDeadline) {
  const auto workers = [] {
    std::map<std::string, Json> rows;
    const Json answer = Ask(Balancer(), "/v1/taskmanagers");
    if (!answer.is_object()) return rows;
    for (const Json& row : answer.at("taskmanagers")) rows[row.at("id")] = row;
    return rows;
  };
  const std::string job = StartHeldJob(3);
  std::string busy;
  for (const auto& [id, row] : workers()) {
    if (row.at("freeSlots") != row.at("slotsNumber")) busy = id;
  }
  ASSERT_FALSE(busy.empty());
  EXPECT_EQ(Post("/v1/taskmanagers/" + busy + "/drain?deadline=3s"), 202);
  EXPECT_EQ(Post("/v1/taskmanagers/" + busy + "/forget"), 409) << "it lives";
  const Leadership before = Leader();
  Kill(before.replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ASSERT_TRUE(Eventually([&] {
    const auto rows = workers();
    return rows.contains(busy) && rows.at(busy).at("draining") == true;
  }));
  ASSERT_TRUE(Eventually([&] { return traces().Starts(job).size() == 6; }));  // each once more
  ASSERT_TRUE(Eventually([&] {
    const auto rows = workers();
    return rows.contains(busy) && rows.at(busy).at("freeSlots") == rows.at(busy).at("slotsNumber");
  }));
  traces().Release(job);
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; })) << JobState(job);
  EXPECT_EQ(traces().Ends(job).size(), 3u);
  EXPECT_EQ(Post("/v1/taskmanagers/" + busy + "/drain", "DELETE"), 202);
  EXPECT_TRUE(Eventually([&] {
    const auto rows = workers();
    return rows.contains(busy) && rows.at(busy).at("draining") == false;
  }));
}

}  // namespace
}  // namespace baton::integration
