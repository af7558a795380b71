#include "cli/cluster_status.h"

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace baton {

std::string ClusterStatusTable(const LocalCluster& cluster) {
  const std::string leader = cluster.Leader().value_or("");
  std::string table = fmt::format("{:16}  {:>8}  {:6}  {:22}\n", "NAME", "PID", "STATE", "ADDRESS");
  for (const ClusterNode& node : cluster.state().nodes) {
    const char* state = IsAlive(node.process) ? "alive" : "dead";
    table += fmt::format("{:16}  {:>8}  {:6}  {:22}{}\n", node.name, node.process.pid, state,
                         node.Address(), node.name == leader ? "  leader" : "");
  }
  return table;
}

std::string ClusterStatusJson(const LocalCluster& cluster) {
  using Json = nlohmann::ordered_json;
  const std::string leader = cluster.Leader().value_or("");
  Json nodes = Json::array();
  for (const ClusterNode& node : cluster.state().nodes) {
    nodes.push_back({{"id", node.name},
                     {"pid", node.process.pid},
                     {"alive", IsAlive(node.process)},
                     {"leader", node.name == leader},
                     {"address", node.Address()}});
  }
  return Json{{"loadbalancer", cluster.balancer_url()}, {"processes", nodes}}.dump(2);
}

}  // namespace baton
