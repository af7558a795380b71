// What a LocalCluster does with its hosts.

#include <utility>

#include "base/status.h"
#include "cli/cluster/local_cluster.h"

namespace baton {

absl::Status LocalCluster::MakeHosts() {
  if (!state_.options.hosts) return absl::OkStatus();
  HostNetwork::Options options;
  // Members are known by their addresses: a cluster that comes up again needs its old ones.
  options.number = state_.network;
  options.owner = ThisProcess();
  for (const ClusterNode& node : state_.nodes) options.hosts.push_back(node.name);
  auto network = HostNetwork::Make(options);
  if (!network.ok()) return network.status();
  state_.network = network->number();
  for (size_t i = 0; i < state_.nodes.size(); ++i) state_.nodes[i].host = network->Address(i);
  return absl::OkStatus();
}

absl::StatusOr<HostNetwork> LocalCluster::Hosts() const {
  if (state_.network < 0) {
    return FailedPrecondition(
        "the processes of this cluster share the machine's loopback, where nothing can be cut: "
        "start it on hosts of their own (baton cluster up --hosts)");
  }
  const HostNetwork network(state_.network);
  if (network.Exists()) return network;
  return FailedPrecondition("the hosts of this cluster are gone: it is down");
}

absl::StatusOr<std::string> LocalCluster::HostOf(std::string name) {
  if (name == kMachineHost) return name;
  return Resolve(name);
}

absl::StatusOr<std::vector<HostPath>> LocalCluster::PathsBetween(std::string a, std::string b) {
  auto from = HostOf(a);
  if (!from.ok()) return from.status();
  auto to = HostOf(b);
  if (!to.ok()) return to.status();
  if (*from == *to) return InvalidArgument("{} cannot be cut off from itself", *from);
  return std::vector<HostPath>{{*from, *to}, {*to, *from}};
}

absl::StatusOr<std::vector<HostPath>> LocalCluster::PathsOf(std::string a) {
  auto name = HostOf(a);
  if (!name.ok()) return name.status();
  std::vector<std::string> others = {kMachineHost};
  for (const ClusterNode& node : state_.nodes) others.push_back(node.name);
  std::vector<HostPath> paths;
  for (const std::string& other : others) {
    if (other == *name) continue;
    paths.push_back({*name, other});
    paths.push_back({other, *name});
  }
  return paths;
}

absl::Status LocalCluster::Cut(const std::string& a, const std::string& b, CutDirection direction) {
  auto hosts = Hosts();
  if (!hosts.ok()) return hosts.status();
  auto paths = PathsBetween(a, b);
  if (!paths.ok()) return paths.status();
  if (direction == CutDirection::kOneWay) paths->pop_back();
  return hosts->Cut(*paths);
}

absl::Status LocalCluster::CutOff(const std::string& node) {
  auto hosts = Hosts();
  if (!hosts.ok()) return hosts.status();
  auto paths = PathsOf(node);
  return paths.ok() ? hosts->Cut(*paths) : paths.status();
}

absl::Status LocalCluster::Heal(const std::string& a, const std::string& b) {
  auto hosts = Hosts();
  if (!hosts.ok()) return hosts.status();
  auto paths = PathsBetween(a, b);
  return paths.ok() ? hosts->Heal(*paths) : paths.status();
}

absl::Status LocalCluster::Heal(const std::string& node) {
  auto hosts = Hosts();
  if (!hosts.ok()) return hosts.status();
  auto paths = PathsOf(node);
  return paths.ok() ? hosts->Heal(*paths) : paths.status();
}

absl::Status LocalCluster::Lose(int percent) {
  if (percent < 0 || percent > 100) return InvalidArgument("percent: must be 0..100");
  auto hosts = Hosts();
  return hosts.ok() ? hosts->Lose(percent) : hosts.status();
}

absl::Status LocalCluster::HealAll() {
  auto hosts = Hosts();
  return hosts.ok() ? hosts->HealAll() : hosts.status();
}

}  // namespace baton
