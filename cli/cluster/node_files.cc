#include "cli/cluster/node_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "cli/cluster/haproxy_config.h"
#include "cli/cluster/host_network.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string Home(const ClusterState& state, const ClusterNode& node) {
  return state.options.directory + "/" + node.name;
}

// A ZooKeeper server grants 2 to 20 ticks: a tenth of the session timeout is well inside.
std::string ZooKeeperConfig(const ClusterState& state, const ClusterNode& node) {
  const int64_t tick_ms = std::max<int64_t>(100, state.options.session_timeout.count() / 10);
  std::string config = fmt::format(
      "tickTime={}\ndataDir={}/data\nclientPort={}\nclientPortAddress={}\n"
      "admin.enableServer=false\n4lw.commands.whitelist=srvr,mntr,ruok\nmaxClientCnxns=0\n",
      tick_ms, Home(state, node), node.port, node.host);
  const auto servers = state.OfKind(NodeKind::kZooKeeper);
  if (servers.size() == 1) return config;
  config += "initLimit=10\nsyncLimit=5\n";
  for (size_t i = 0; i < servers.size(); ++i) {
    config += fmt::format("server.{}={}:{}:{}\n", i + 1, servers[i]->host, servers[i]->peer_port,
                          servers[i]->election_port);
  }
  return config;
}

using Settings = std::map<std::string, std::string>;

std::string ToYaml(const Settings& settings) {
  std::string yaml;
  for (const auto& [key, value] : settings) yaml += fmt::format("{}: \"{}\"\n", key, value);
  return yaml;
}

// The configuration refuses a lease of less than 1.5 session timeouts + 4 s.
std::string Lease(const ClusterState& state) {
  const int64_t least_ms = state.options.session_timeout.count() * 3 / 2 + 5'000;
  return fmt::format("{} ms", std::max<int64_t>(20'000, least_ms));
}

// What every daemon gets. On hosts of their own they listen on other addresses than loopback, which
// nobody outside this machine reaches: REST needs the permission, links have their secret.
void Complete(const ClusterState& state, Settings* settings) {
  (*settings)["security.cluster-secret-file"] = state.SecretFile();
  if (state.options.hosts) (*settings)["security.allow-unauthenticated"] = "true";
  for (const auto& [key, value] : state.options.config) (*settings)[key] = value;
}

std::string ReplicaConfig(const ClusterState& state, const ClusterNode& node) {
  const int64_t replicas = std::ssize(state.OfKind(NodeKind::kReplica));
  Settings settings = {
      {"replica.id", node.name},
      {"rest.address", node.host},
      {"rest.port", std::to_string(node.port)},
      {"rpc.address", node.host},
      {"rpc.port", std::to_string(node.peer_port)},
      {"high-availability.type", "zookeeper"},
      {"high-availability.zookeeper.quorum", state.ZooKeeperQuorum()},
      {"high-availability.zookeeper.client.session-timeout",
       fmt::format("{} ms", state.options.session_timeout.count())},
      {"high-availability.cluster-id", "local"},
      {"taskmanager.lease", Lease(state)},
      {"store.directory", Home(state, node) + "/store"},
      {"store.min-copies", std::to_string(std::min<int64_t>(2, replicas))},
      {"ready-file", Home(state, node) + "/ready.json"},
  };
  Complete(state, &settings);
  return ToYaml(settings);
}

std::string TaskManagerConfig(const ClusterState& state, const ClusterNode& node) {
  std::string dispatchers;
  for (const ClusterNode* replica : state.OfKind(NodeKind::kReplica)) {
    if (!dispatchers.empty()) dispatchers += ",";
    dispatchers += replica->PeerAddress();
  }
  Settings settings = {
      {"taskmanager.id", node.name},
      {"taskmanager.host", node.host},
      {"taskmanager.dispatchers", dispatchers},
      {"taskmanager.numberOfTaskSlots", std::to_string(state.options.slots)},
      {"taskmanager.work-directory", Home(state, node) + "/work"},
      {"taskmanager.shared-directory", state.SharedDirectory()},
      {"taskmanager.liveness.address", node.Address()},
      {"high-availability.cluster-id", "local"},
      {"taskmanager.lease", Lease(state)},
      {"ready-file", Home(state, node) + "/ready.json"},
  };
  Complete(state, &settings);
  return ToYaml(settings);
}

absl::StatusOr<std::string> HaproxyConfig(const ClusterState& state, const ClusterNode& node) {
  std::vector<HaproxyServer> servers;
  for (const ClusterNode* replica : state.OfKind(NodeKind::kReplica)) {
    servers.push_back({replica->name, replica->Address()});
  }
  return RenderHaproxyConfig(ShippedHaproxyConfig(), node.Address(), servers);
}

std::string ConfigFile(const ClusterState& state, const ClusterNode& node) {
  switch (node.kind) {
    case NodeKind::kZooKeeper:
      return Home(state, node) + "/zoo.cfg";
    case NodeKind::kHaproxy:
      return Home(state, node) + "/haproxy.cfg";
    default:
      return Home(state, node) + "/baton.yaml";
  }
}

absl::StatusOr<std::string> ConfigText(const ClusterState& state, const ClusterNode& node) {
  switch (node.kind) {
    case NodeKind::kZooKeeper:
      return ZooKeeperConfig(state, node);
    case NodeKind::kReplica:
      return ReplicaConfig(state, node);
    case NodeKind::kTaskManager:
      return TaskManagerConfig(state, node);
    case NodeKind::kHaproxy:
      return HaproxyConfig(state, node);
  }
  return Internal("unknown kind of node");
}

absl::Status WriteOne(const ClusterState& state, const ClusterNode& node) {
  std::error_code error;
  fs::create_directories(Home(state, node) + "/data", error);
  if (error) return Internal("{}: {}", Home(state, node), error.message());
  auto text = ConfigText(state, node);
  if (!text.ok()) return text.status();
  if (node.kind == NodeKind::kZooKeeper) {
    const std::string number = node.name.substr(node.name.rfind('-') + 1);
    if (auto status = WriteFile(Home(state, node) + "/data/myid", number + "\n"); !status.ok()) {
      return status;
    }
  }
  return WriteFile(ConfigFile(state, node), *text);
}

// A new one, unless the directory has one from before.
absl::Status WriteSecret(const std::string& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return absl::OkStatus();
  if (fd < 0) return Internal("{}: {}", file, std::strerror(errno));
  const RandomPtr random = NewSystemRandom();
  const std::string secret = random->NewJobId().ToString() + random->NewJobId().ToString() + "\n";
  const bool written = write(fd, secret.data(), secret.size()) == std::ssize(secret);
  close(fd);
  return written ? absl::OkStatus() : Internal("cannot write {}", file);
}

absl::StatusOr<std::string> Program(const std::vector<std::string>& candidates,
                                    const std::string& what) {
  std::string tried;
  for (const std::string& path : candidates) {
    if (access(path.c_str(), X_OK) == 0) return path;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return NotFound("{} is not installed (looked for {})", what, tried);
}

absl::StatusOr<std::vector<std::string>> ZooKeeperCommand(const std::string& config) {
  auto java = Program({"/usr/bin/java"}, "Java (Debian: default-jre-headless)");
  if (!java.ok()) return java.status();
  if (access("/usr/share/java/zookeeper.jar", R_OK) != 0) {
    return NotFound("ZooKeeper is not installed (Debian: apt-get install zookeeper)");
  }
  return std::vector<std::string>{*java,
                                  "-Xmx256m",
                                  "-XX:+UseSerialGC",
                                  "-cp",
                                  "/usr/share/java/zookeeper.jar:/usr/share/java/*",
                                  "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                                  config};
}

absl::StatusOr<std::vector<std::string>> Arguments(const ClusterNode& node,
                                                   const std::string& config) {
  if (node.kind == NodeKind::kZooKeeper) return ZooKeeperCommand(config);
  if (node.kind == NodeKind::kHaproxy) {
    auto haproxy = Program({"/usr/sbin/haproxy", "/usr/local/sbin/haproxy"}, "HAProxy");
    if (!haproxy.ok()) return haproxy.status();
    return std::vector<std::string>{*haproxy, "-db", "-f", config};
  }
  auto daemon =
      DaemonPath(node.kind == NodeKind::kReplica ? "baton-dispatcher" : "baton-taskmanager");
  if (!daemon.ok()) return daemon.status();
  return std::vector<std::string>{*daemon, "--config", config};
}

}  // namespace

absl::Status WriteNodeFiles(const ClusterState& state) {
  std::error_code error;
  if (auto status = WriteSecret(state.SecretFile()); !status.ok()) return status;
  for (const std::string& directory :
       {state.options.directory + "/logs", state.SharedDirectory()}) {
    fs::create_directories(directory, error);
    if (error) return Internal("{}: {}", directory, error.message());
  }
  for (const ClusterNode& node : state.nodes) {
    if (auto status = WriteOne(state, node); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<SpawnSpec> CommandOf(const ClusterState& state, const ClusterNode& node) {
  auto argv = Arguments(node, ConfigFile(state, node));
  if (!argv.ok()) return argv.status();
  SpawnSpec spec;
  spec.argv = *std::move(argv);
  spec.directory = Home(state, node);
  spec.log_file = state.LogFile(node.name);
  spec.lifetime = state.options.lifetime;
  if (state.network >= 0) {
    spec.network_namespace = HostNetwork(state.network).NamespaceFile(node.name);
  }
  return spec;
}

absl::StatusOr<std::string> DaemonPath(const std::string& name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const char* elsewhere = std::getenv("BATON_BIN_DIR");
  const std::string directory = elsewhere != nullptr ? elsewhere : self.parent_path().string();
  return Program({directory + "/" + name}, name);
}

}  // namespace baton
