#include "integration/cluster_test.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>
#include <utility>

#include "base/status.h"
#include "cli/cluster/host_network.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

// "": nobody has it.
std::string WithoutScheme(const std::string& url) {
  const size_t scheme = url.find("//");
  return scheme == url.npos ? "" : url.substr(scheme + 2);
}

class SharedCluster {
 public:
  explicit SharedCluster(Placement placement) : placement_(placement) {}

  // Once; a later call says the same as the first.
  absl::Status Start() {
    if (!started_) status_ = Up();
    started_ = true;
    return status_;
  }

  void TakeDown(bool keep_files) {
    if (!started_) return;
    if (cluster_ != nullptr) {
      const absl::Status status = cluster_->Down();
      EXPECT_TRUE(status.ok()) << status;
    }
    if (keep_files) {
      std::cerr << "the cluster's files and logs are kept in " << directory_ << std::endl;
    } else {
      std::error_code error;  // a guardian may be at its last words
      std::filesystem::remove_all(directory_, error);
    }
  }

  std::string LogTails() const { return cluster_ ? cluster_->LogTails() : ""; }  // it may not be up
  LocalCluster& cluster() { return *cluster_; }
  TaskTraces& traces() { return *traces_; }

 private:
  absl::Status Up() {
    directory_ = (std::filesystem::temp_directory_path() / "baton-integration.XXXXXX").string();
    if (mkdtemp(directory_.data()) == nullptr) return Internal("cannot make {}", directory_);
    ClusterOptions options;
    options.directory = directory_;
    options.slots = 16;
    options.hosts = placement_ == Placement::kHosts;
    options.zookeepers = options.hosts ? 3 : 1;
    options.lifetime = Lifetime::kWithThisProcess;
    auto cluster = LocalCluster::Up(options);
    if (!cluster.ok()) return cluster.status();
    cluster_ = *std::move(cluster);
    traces_ = std::make_unique<TaskTraces>(cluster_->SharedDirectory());
    return absl::OkStatus();
  }

  const Placement placement_;
  bool started_ = false;
  absl::Status status_;
  std::string directory_;
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<TaskTraces> traces_;
};

// The clusters of the program, each started when the first test needs it.
class SharedClusters : public testing::Environment {
 public:
  void TearDown() override {
    const bool failed = testing::UnitTest::GetInstance()->Failed();
    for (SharedCluster* cluster : {&one_machine_, &hosts_}) cluster->TakeDown(failed);
  }

  absl::Status Use(Placement placement) {
    current_ = placement == Placement::kHosts ? &hosts_ : &one_machine_;
    return current_->Start();
  }

  SharedCluster& current() { return *current_; }

 private:
  SharedCluster one_machine_{Placement::kOneMachine};
  SharedCluster hosts_{Placement::kHosts};
  SharedCluster* current_ = &one_machine_;
};

// GoogleTest owns it.
SharedClusters* const shared =
    static_cast<SharedClusters*>(testing::AddGlobalTestEnvironment(new SharedClusters));

// Brings back what a test has killed, stopped or cut.
void ReviveAll() {
  LocalCluster& cluster = shared->current().cluster();
  if (cluster.state().options.hosts) {
    const absl::Status healed = cluster.HealAll();
    ASSERT_TRUE(healed.ok()) << healed;
  }
  std::vector<std::string> names;
  for (const ClusterNode& node : cluster.state().nodes) names.push_back(node.name);
  for (const std::string& name : names) {
    if (cluster.Alive(name)) {
      ASSERT_TRUE(cluster.Signal(name, SIGCONT).ok()) << name;
    } else {
      const absl::Status status = cluster.Restart(name);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
}

Leadership AskWhoLeads(const std::string& address) {
  const auto reply = Get(address, "/v1/leader", kProbe);
  if (!reply.ok()) return {};
  const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
  if (!answer.is_object() || !answer.contains("epoch")) return {};
  Leadership leadership;
  leadership.epoch = answer.at("epoch").get<uint64_t>();
  leadership.replica = answer.value("replica", "");
  return leadership;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

void ClusterTest::SetUp() {
  const absl::Status started = shared->Use(placement_);
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_NO_FATAL_FAILURE(ReviveAll());
  const absl::Status status = cluster().WaitReady();
  ASSERT_TRUE(status.ok()) << status;
}

void ClusterTest::TearDown() {
  for (const std::string& job : held_) traces().Release(job);
  // The machine that it failed on may be gone before anybody can look at its files.
  if (HasFailure()) std::cerr << shared->current().LogTails() << std::endl;
  if (HasFailure() || IsSkipped()) return;
  ASSERT_NO_FATAL_FAILURE(ReviveAll());
  const absl::Status status = cluster().WaitReady();
  ASSERT_TRUE(status.ok()) << status;
  ExpectServes();
}

LocalCluster& ClusterTest::cluster() { return shared->current().cluster(); }
TaskTraces& ClusterTest::traces() { return shared->current().traces(); }

std::vector<std::string> ClusterTest::Replicas() {
  std::vector<std::string> names;
  for (const ClusterNode* node : cluster().state().OfKind(NodeKind::kReplica)) {
    names.push_back(node->name);
  }
  return names;
}

std::vector<std::string> ClusterTest::Standbys() {
  auto names = Replicas();
  std::erase(names, Leader().replica);
  return names;
}

void ClusterTest::Kill(const std::string& name) {
  const absl::Status status = cluster().Kill(name);
  ASSERT_TRUE(status.ok()) << status;
}

void ClusterTest::Signal(const std::string& name, int signal) {
  const absl::Status status = cluster().Signal(name, signal);
  ASSERT_TRUE(status.ok()) << status;
}

std::string ClusterTest::WaitForExit(const std::string& name) {
  const auto end = cluster().WaitForExit(name, kPatience);
  EXPECT_TRUE(end.ok()) << end.status();
  return end.value_or("");
}

void ClusterTest::Restart(const std::string& name, std::map<std::string, std::string> env) {
  RestartOptions options;
  options.env = std::move(env);
  const absl::Status status = cluster().Restart(name, options);
  ASSERT_TRUE(status.ok()) << status;
}

std::string ClusterTest::MakeLeaderWith(std::map<std::string, std::string> env) {
  const std::vector<std::string> standbys = Standbys();
  if (standbys.size() != 2) return "";
  const std::string& chosen = standbys[0];
  Kill(chosen);
  Restart(chosen, std::move(env));
  // While the other standby is away, only the chosen one can take over.
  Kill(standbys[1]);
  const bool ready = Eventually([&] {
    const auto reply = Get(Rest(chosen), "/ready", kProbe);
    return reply.ok() && reply->status == 200;
  });
  EXPECT_TRUE(ready) << chosen << " is not ready";
  const bool leads = TransferUntil([&] { return Leader().replica == chosen; });
  EXPECT_TRUE(leads) << Leader().replica << " leads";
  Restart(standbys[1]);
  EXPECT_TRUE(Eventually(Calm));
  return leads ? chosen : "";
}

bool ClusterTest::TransferUntil(const std::function<bool()>& condition) {
  return Eventually([&] {
    if (condition()) return true;
    (void)Exchange(Balancer(), RequestBytes("POST", "/v1/leader/transfer", ""));
    return Eventually(condition, std::chrono::seconds(2));
  });
}

bool ClusterTest::Calm() { return cluster().WaitReady(std::chrono::seconds(0)).ok(); }

std::string ClusterTest::Rest(const std::string& replica) {
  return WithoutScheme(cluster().RestUrl(replica));
}

std::string ClusterTest::Balancer() { return WithoutScheme(cluster().balancer_url()); }

std::string ClusterTest::StoreDirectory(const std::string& replica) {
  return cluster().StoreDirectory(replica);
}

Leadership ClusterTest::Leader() {
  Leadership newest;
  for (const std::string& replica : Replicas()) {
    if (!cluster().Alive(replica)) continue;
    const Leadership view = AskWhoLeads(Rest(replica));
    if (view.epoch > newest.epoch) newest = view;
  }
  return newest;
}

std::string ClusterTest::JobState(const std::string& job) {
  const auto reply = Get(Balancer(), "/v1/jobs/" + job + "/status");
  if (!reply.ok() || reply->status != 200) return "";
  const auto answer = nlohmann::json::parse(reply->body, nullptr, false);
  return answer.is_object() ? answer.value("status", "") : "";
}

absl::StatusOr<HttpReply> ClusterTest::Put(const std::string& address, const std::string& job,
                                           std::string_view body) {
  return Exchange(address, RequestBytes("PUT", "/v1/jobs/" + job, body));
}

void HostsTest::Cut(const std::string& a, const std::string& b, CutDirection direction) {
  const absl::Status status = cluster().Cut(a, b, direction);
  ASSERT_TRUE(status.ok()) << status;
}

void HostsTest::CutOff(const std::string& node) {
  const absl::Status status = cluster().CutOff(node);
  ASSERT_TRUE(status.ok()) << status;
}

void HostsTest::Lose(int percent) {
  const absl::Status status = cluster().Lose(percent);
  ASSERT_TRUE(status.ok()) << status;
}

void HostsTest::Heal(const std::string& a, const std::string& b) {
  const absl::Status status = cluster().Heal(a, b);
  ASSERT_TRUE(status.ok()) << status;
}

void HostsTest::HealAll() {
  const absl::Status status = cluster().HealAll();
  ASSERT_TRUE(status.ok()) << status;
}

void HostsTest::RunOn(const std::string& host, const std::function<void()>& action) {
  const std::string file = HostNetwork(cluster().state().network).NamespaceFile(host);
  // A thread of its own: it never comes back from there.
  std::thread([&] {
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    EXPECT_TRUE(entered) << file << ": " << std::strerror(errno);
    if (fd >= 0) close(fd);
    if (entered) action();
  }).join();
}

}  // namespace baton::integration
