#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "rest/http_address.h"
#include "rest/json_parts.h"
#include "rest/json_shapes.h"

namespace baton {

using nlohmann::json;

namespace {

constexpr uint64_t kMebibyte = 1 << 20;

// Flink counts slots in cores and megabytes; a TaskManager's are shared equally by its slots.
json Resource(const TaskManagerInfo& tm, uint32_t slots) {
  const double share = tm.slots == 0 ? 0.0 : static_cast<double>(slots) / tm.slots;
  const auto whole = static_cast<int64_t>(tm.memory_bytes / kMebibyte);
  const auto megabytes = static_cast<int64_t>(static_cast<double>(whole) * share);
  return {{"cpuCores", tm.cpu_cores * share},
          {"taskHeapMemory", megabytes},
          {"taskOffHeapMemory", 0},
          {"managedMemory", 0},
          {"networkMemory", 0},
          {"extendedResources", json::object()}};
}

json MemoryConfiguration(const TaskManagerInfo& tm) {
  return {{"frameworkHeap", 0},
          {"taskHeap", tm.memory_bytes},
          {"frameworkOffHeap", 0},
          {"taskOffHeap", 0},
          {"networkMemory", 0},
          {"managedMemory", 0},
          {"jvmMetaspace", 0},
          {"jvmOverhead", 0},
          {"totalFlinkMemory", tm.memory_bytes},
          {"totalProcessMemory", tm.memory_bytes}};
}

int PortOf(const std::string& address) {
  absl::StatusOr<HostAndPort> parsed = ParseHostAndPort(address);
  return parsed.ok() ? std::stoi(parsed->port) : -1;
}

const char* StatusOf(TaskManagerInfo::Link link) {
  switch (link) {
    case TaskManagerInfo::Link::kConnected:
      return "connected";
    case TaskManagerInfo::Link::kDisconnected:
      return "disconnected";
    case TaskManagerInfo::Link::kAwaited:
      return "awaited";
  }
  return "";
}

json TaskManager(const TaskManagerInfo& tm) {
  const uint32_t used = tm.slots - std::min(tm.slots, tm.free_slots);
  return {{"id", tm.id},
          {"path", tm.rpc_address},
          {"host", tm.host},
          {"dataPort", PortOf(tm.liveness_address)},
          {"jmxPort", -1},
          {"timeSinceLastHeartbeat", tm.last_heartbeat},
          {"slotsNumber", tm.slots},
          {"freeSlots", tm.free_slots},
          {"assignedTasks", used},
          {"status", StatusOf(tm.link)},
          {"draining", tm.drain.has_value()},
          {"drainDeadline", tm.drain ? tm.drain->deadline : kNotYet},
          {"totalResource", Resource(tm, tm.slots)},
          {"freeResource", Resource(tm, tm.free_slots)},
          {"hardware",
           {{"cpuCores", tm.cpu_cores},
            {"physicalMemory", tm.memory_bytes},
            {"freeMemory", tm.memory_bytes},
            {"managedMemory", 0}}},
          {"memoryConfiguration", MemoryConfiguration(tm)}};
}

// Those of a Java process, which a TaskManager here is not: Flink's dashboard wants the numbers.
json ProcessMetrics() {
  json metrics = json::object();
  for (const char* name :
       {"heapUsed", "heapCommitted", "heapMax", "nonHeapUsed", "nonHeapCommitted", "nonHeapMax",
        "directCount", "directUsed", "directMax", "mappedCount", "mappedUsed", "mappedMax",
        "nettyShuffleMemorySegmentsAvailable", "nettyShuffleMemorySegmentsUsed",
        "nettyShuffleMemorySegmentsTotal", "nettyShuffleMemoryAvailable", "nettyShuffleMemoryUsed",
        "nettyShuffleMemoryTotal"}) {
    metrics[name] = 0;
  }
  metrics["garbageCollectors"] = json::array();
  return metrics;
}

}  // namespace

std::string ConfigJson(const std::string& version) {
  return Dump(json{{"refresh-interval", 3000},
                   {"timezone-name", "Coordinated Universal Time"},
                   {"timezone-offset", 0},
                   {"flink-version", version},
                   {"flink-revision", version},
                   {"features",
                    {{"web-submit", false},
                     {"web-cancel", true},
                     {"web-rescale", false},
                     {"web-history", false}}}});
}

std::string OverviewJson(const ClusterOverview& overview, const std::string& version) {
  return Dump(json{{"taskmanagers", overview.task_managers},
                   {"slots-total", overview.slots_total},
                   {"slots-available", overview.slots_available},
                   {"jobs-running", overview.jobs_running},
                   {"jobs-finished", overview.jobs_finished},
                   {"jobs-cancelled", overview.jobs_cancelled},
                   {"jobs-failed", overview.jobs_failed},
                   {"flink-version", version},
                   {"flink-commit", version}});
}

std::string TaskManagersJson(const std::vector<TaskManagerInfo>& task_managers) {
  json list = json::array();
  for (const TaskManagerInfo& tm : task_managers) list.push_back(TaskManager(tm));
  return Dump(json{{"taskmanagers", std::move(list)}});
}

std::string TaskManagerJson(const TaskManagerInfo& tm) {
  json slots = json::array();
  for (const JobId& job : tm.allocated) {
    slots.push_back(
        {{"jobId", job.ToString()}, {"resource", Resource(tm, 1)}, {"assignedTasks", 1}});
  }
  json result = TaskManager(tm);
  result["allocatedSlots"] = std::move(slots);
  result["metrics"] = ProcessMetrics();
  return Dump(result);
}

std::string LeaderJson(const pb::LeaderRecord& leader) {
  return Dump(json{{"epoch", leader.epoch()},
                   {"replica", leader.replica_id()},
                   {"incarnation", leader.incarnation()},
                   {"address", leader.rest_address()},
                   {"rpcAddress", leader.rpc_address()},
                   {"sinceMs", leader.since_ms()},
                   {"cause", leader.cause()}});
}

// A process that died a moment ago has its node until its session ends; whoever cannot be reached
// is not called alive.
std::string ReplicasJson(const LeadershipView& view, const std::set<std::string>& unreachable) {
  // A member is an id at an address.
  std::set<std::pair<std::string, std::string>> members;
  for (const pb::Member& member : view.members.members()) {
    members.emplace(member.replica_id(), member.rpc_address());
  }
  const std::set<std::string> retired(view.members.retired().begin(), view.members.retired().end());
  std::set<std::string> registered;
  json list = json::array();
  for (const pb::ReplicaRecord& replica : view.replicas) {
    registered.insert(replica.replica_id());
    list.push_back(
        {{"id", replica.replica_id()},
         {"incarnation", replica.incarnation()},
         {"address", replica.rest_address()},
         {"rpcAddress", replica.rpc_address()},
         {"version", replica.build_version()},
         {"alive", !unreachable.contains(replica.replica_id())},
         {"registered", true},
         {"member", members.contains({replica.replica_id(), replica.rpc_address()})},
         {"retired", retired.contains(replica.replica_id())},
         {"leader", view.leader && view.leader->incarnation() == replica.incarnation()}});
  }
  for (const pb::Member& member : view.members.members()) {
    if (registered.contains(member.replica_id())) continue;
    list.push_back({{"id", member.replica_id()},
                    {"incarnation", ""},
                    {"address", ""},
                    {"rpcAddress", member.rpc_address()},
                    {"version", ""},
                    {"alive", false},
                    {"registered", false},
                    {"member", true},
                    {"retired", false},
                    {"leader", false}});
  }
  return Dump(json{{"replicas", std::move(list)},
                   {"retired", retired},
                   {"membersVersion", view.members.version()},
                   {"connected", view.connected}});
}

std::string FailoversJson(const std::vector<Failover>& failovers) {
  json list = json::array();
  for (const Failover& failover : failovers) {
    list.push_back({{"epoch", failover.leader.epoch()},
                    {"replica", failover.leader.replica_id()},
                    {"address", failover.leader.rest_address()},
                    {"sinceMs", failover.leader.since_ms()},
                    {"cause", failover.leader.cause()},
                    {"previousEpoch", failover.previous_epoch},
                    {"previousReplica", failover.previous_replica},
                    {"leaderlessMs", failover.leaderless_ms}});
  }
  return Dump(json{{"failovers", std::move(list)}});
}

std::string HealthJson(const ReplicaId& self, const std::string& status) {
  return Dump(json{{"status", status}, {"replica", self.value()}});
}

}  // namespace baton
