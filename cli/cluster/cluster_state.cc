#include "cli/cluster/cluster_state.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "base/status.h"
#include "cli/cluster/ports.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::ordered_json;

std::string LayoutFile(const std::string& directory) { return directory + "/cluster.json"; }
std::string ProcessesFile(const std::string& directory) { return directory + "/processes.json"; }

void AddNodes(ClusterState* state, NodeKind kind, const std::string& prefix, int count) {
  for (int i = 1; i <= count; ++i) {
    ClusterNode node;
    node.kind = kind;
    node.name = prefix == "haproxy" ? prefix : fmt::format("{}-{}", prefix, i);
    state->nodes.push_back(std::move(node));
  }
}

Json ToJson(const ClusterOptions& options) {
  return Json{{"replicas", options.replicas},
              {"taskmanagers", options.task_managers},
              {"slots", options.slots},
              {"zookeepers", options.zookeepers},
              {"hosts", options.hosts},
              {"config", options.config},
              {"sessionTimeoutMs", options.session_timeout.count()}};
}

ClusterOptions OptionsFromJson(const Json& json) {
  ClusterOptions options;
  options.replicas = json.at("replicas");
  options.task_managers = json.at("taskmanagers");
  options.slots = json.at("slots");
  options.zookeepers = json.at("zookeepers");
  options.hosts = json.value("hosts", false);
  options.config = json.at("config").get<std::map<std::string, std::string>>();
  options.session_timeout = std::chrono::milliseconds(json.at("sessionTimeoutMs").get<int64_t>());
  return options;
}

Json ToJson(const ClusterNode& node) {
  return Json{{"kind", static_cast<int>(node.kind)},
              {"name", node.name},
              {"host", node.host},
              {"port", node.port},
              {"peerPort", node.peer_port},
              {"electionPort", node.election_port}};
}

ClusterNode NodeFromJson(const Json& json) {
  ClusterNode node;
  node.kind = static_cast<NodeKind>(json.at("kind").get<int>());
  node.name = json.at("name");
  node.host = json.value("host", node.host);
  node.port = json.at("port");
  node.peer_port = json.at("peerPort");
  node.election_port = json.at("electionPort");
  return node;
}

void ReadProcesses(const std::string& text, ClusterState* state) {
  const Json processes = Json::parse(text);
  for (const auto& [name, process] : processes.items()) {
    if (ClusterNode* node = state->Find(name); node != nullptr) {
      node->process = {process.at("pid").get<pid_t>(), process.at("startTime").get<uint64_t>()};
    }
  }
}

}  // namespace

std::string ClusterNode::Address() const { return fmt::format("{}:{}", host, port); }
std::string ClusterNode::PeerAddress() const { return fmt::format("{}:{}", host, peer_port); }

std::vector<const ClusterNode*> ClusterState::OfKind(NodeKind kind) const {
  std::vector<const ClusterNode*> found;
  for (const ClusterNode& node : nodes) {
    if (node.kind == kind) found.push_back(&node);
  }
  return found;
}

const ClusterNode* ClusterState::Find(const std::string& name) const {
  for (const ClusterNode& node : nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

ClusterNode* ClusterState::Find(const std::string& name) {
  return const_cast<ClusterNode*>(std::as_const(*this).Find(name));
}

std::string ClusterState::ZooKeeperQuorum() const {
  std::string quorum;
  for (const ClusterNode* node : OfKind(NodeKind::kZooKeeper)) {
    if (!quorum.empty()) quorum += ",";
    quorum += node->Address();
  }
  return quorum;
}

std::string ClusterState::LogFile(const std::string& name) const {
  return options.directory + "/logs/" + name + ".log";
}

absl::StatusOr<ClusterState> NewClusterState(const ClusterOptions& options,
                                             std::function<void()>* release) {
  ClusterState state;
  state.options = options;
  AddNodes(&state, NodeKind::kZooKeeper, "zookeeper", options.zookeepers);
  AddNodes(&state, NodeKind::kReplica, "replica", options.replicas);
  AddNodes(&state, NodeKind::kTaskManager, "taskmanager", options.task_managers);
  AddNodes(&state, NodeKind::kHaproxy, "haproxy", 1);
  auto taken = PortReservation::Take(static_cast<int>(state.nodes.size()) * 3);
  if (!taken.ok()) return taken.status();
  auto held = std::make_shared<PortReservation>(*std::move(taken));
  size_t next = 0;
  for (ClusterNode& node : state.nodes) {
    node.port = held->ports()[next++];
    node.peer_port = held->ports()[next++];
    node.election_port = held->ports()[next++];
  }
  *release = [held] { held->Release(); };
  return state;
}

absl::StatusOr<ClusterState> LoadClusterState(const std::string& directory) {
  auto layout = ReadFile(LayoutFile(directory));
  if (!layout.ok()) {
    return NotFound("there is no cluster in {} (start one with: baton cluster up --dir {})",
                    directory, directory);
  }
  try {
    const Json json = Json::parse(*layout);
    ClusterState state;
    state.network = json.value("network", -1);
    state.options = OptionsFromJson(json.at("options"));
    state.options.directory = std::filesystem::absolute(directory).lexically_normal();
    for (const Json& node : json.at("nodes")) state.nodes.push_back(NodeFromJson(node));
    if (auto text = ReadFile(ProcessesFile(directory)); text.ok()) ReadProcesses(*text, &state);
    return state;
  } catch (const Json::exception& error) {
    return DataLoss("{}: {}", LayoutFile(directory), error.what());
  }
}

absl::Status SaveLayout(const ClusterState& state) {
  Json nodes = Json::array();
  for (const ClusterNode& node : state.nodes) nodes.push_back(ToJson(node));
  const Json json{{"options", ToJson(state.options)}, {"network", state.network}, {"nodes", nodes}};
  return WriteFile(LayoutFile(state.options.directory), json.dump(2) + "\n");
}

absl::Status SaveProcesses(const ClusterState& state) {
  Json json = Json::object();
  for (const ClusterNode& node : state.nodes) {
    if (node.process.pid == 0) continue;
    json[node.name] = {{"pid", node.process.pid}, {"startTime", node.process.start_time}};
  }
  return WriteFile(ProcessesFile(state.options.directory), json.dump(2) + "\n");
}

absl::Status RemoveProcesses(const ClusterState& state) {
  std::error_code error;
  std::filesystem::remove(ProcessesFile(state.options.directory), error);
  return error ? Internal("{}", error.message()) : absl::OkStatus();
}

std::string DescribeCluster(const ClusterState& state) {
  Json replicas = Json::array();
  for (const ClusterNode* node : state.OfKind(NodeKind::kReplica)) {
    replicas.push_back({{"id", node->name},
                        {"pid", node->process.pid},
                        {"rest", node->Url()},
                        {"rpc", node->PeerAddress()}});
  }
  Json workers = Json::array();
  for (const ClusterNode* node : state.OfKind(NodeKind::kTaskManager)) {
    workers.push_back({{"id", node->name}, {"pid", node->process.pid}});
  }
  const Json json{{"loadbalancer", state.OfKind(NodeKind::kHaproxy).front()->Url()},
                  {"zookeeper", state.ZooKeeperQuorum()},
                  {"sessionTimeoutMs", state.options.session_timeout.count()},
                  {"replicas", replicas},
                  {"taskmanagers", workers}};
  return json.dump(2);
}

absl::Status WriteFile(const std::string& path, const std::string& content) {
  const std::string partial = path + ".partial";
  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    file << content;
    file.flush();
    if (!file) return Internal("cannot write {}", partial);
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) return Internal("cannot write {}", path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file) return NotFound("cannot read {} ({})", path, std::strerror(errno));
  text << file.rdbuf();
  return text.str();
}

}  // namespace baton
