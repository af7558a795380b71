#include "cli/cluster/readiness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "base/status.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kProbeTimeout(1000);

absl::StatusOr<int> StatusOf(const std::string& url, const std::string& path) {
  auto client = ProbeClient(url);
  if (!client.ok()) return client.status();
  auto reply = (*client)->Get(path);
  if (!reply.ok()) return reply.status();
  return reply->status;
}

// Whether the socket is connected within the probe timeout: a host that is cut off says nothing.
bool Connect(int fd, const ClusterNode& node) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(node.port);
  inet_pton(AF_INET, node.host.c_str(), &address.sin_addr);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
  if (errno != EINPROGRESS) return false;
  pollfd connecting{fd, POLLOUT, 0};
  return poll(&connecting, 1, static_cast<int>(kProbeTimeout.count())) == 1;
}

// The text that a server sends in answer to `request` before it closes, within the probe timeout.
std::string AskTcp(const ClusterNode& node, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return "";
  std::string answer;
  if (Connect(fd, node) &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) == std::ssize(request)) {
    char buffer[4096];
    pollfd waiting{fd, POLLIN, 0};
    while (poll(&waiting, 1, static_cast<int>(kProbeTimeout.count())) == 1) {
      const ssize_t got = read(fd, buffer, sizeof buffer);
      if (got <= 0) break;
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(fd);
  return answer;
}

absl::Status CheckProcesses(const ClusterState& state) {
  for (const ClusterNode& node : state.nodes) {
    if (node.process.pid == 0 || IsAlive(node.process)) continue;
    return Aborted("{} has ended; the end of its log, {}, says why", node.name,
                   state.LogFile(node.name));
  }
  return absl::OkStatus();
}

absl::Status CheckReplica(const ClusterNode& node, std::set<std::string>* leaders) {
  auto ready = StatusOf(node.Url(), "/ready");
  if (!ready.ok()) return At(node.name, ready.status());
  if (*ready != 200) return Unavailable("{} answers {} on /ready", node.name, *ready);
  auto leads = StatusOf(node.Url(), "/leader");
  if (!leads.ok()) return At(node.name, leads.status());
  if (*leads == 200) leaders->insert(node.name);
  return absl::OkStatus();
}

absl::Status CheckView(const ClusterState& state, const ClusterNode& node,
                       const std::string& leader) {
  auto client = ProbeClient(node.Url());
  if (!client.ok()) return client.status();
  auto view = (*client)->Leader();
  if (!view.ok()) return At(node.name, view.status());
  if (view->value.replica != leader) {
    return Unavailable("{} takes \"{}\" for the leader, but {} leads", node.name,
                       view->value.replica, leader);
  }
  auto rows = (*client)->Replicas();
  if (!rows.ok()) return At(node.name, rows.status());
  std::set<std::string> members;
  for (const ReplicaRow& row : rows->value) {
    if (row.member) members.insert(row.id);
  }
  for (const ClusterNode* replica : state.OfKind(NodeKind::kReplica)) {
    if (!members.contains(replica->name)) {
      return Unavailable("{} does not know {} as a member yet", node.name, replica->name);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckThroughBalancer(const ClusterState& state) {
  const ClusterNode* balancer = state.OfKind(NodeKind::kHaproxy).front();
  auto client = ProbeClient(balancer->Url());
  if (!client.ok()) return client.status();
  auto workers = (*client)->TaskManagers();
  if (!workers.ok()) return At("through haproxy", workers.status());
  const auto wanted = state.OfKind(NodeKind::kTaskManager).size();
  if (workers->value.size() < wanted) {
    return Unavailable("{} of {} TaskManagers are registered", workers->value.size(), wanted);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RestClient>> ProbeClient(const std::string& url) {
  RestClient::Options options;
  options.http.server = url;
  options.http.timeout = kProbeTimeout;
  options.http.on_broken = OnBrokenConnection::kFail;
  return RestClient::Open(std::move(options));
}

absl::StatusOr<std::string> ZooKeeperMode(const ClusterNode& node) {
  const std::string answer = AskTcp(node, "srvr");
  const size_t mode = answer.find("Mode: ");
  if (mode == std::string::npos) return Unavailable("{} does not serve yet", node.name);
  const size_t begin = mode + 6;
  return answer.substr(begin, answer.find('\n', begin) - begin);
}

absl::Status CheckReady(const ClusterState& state) {
  if (auto status = CheckProcesses(state); !status.ok()) return status;
  for (const ClusterNode* node : state.OfKind(NodeKind::kZooKeeper)) {
    if (auto mode = ZooKeeperMode(*node); !mode.ok()) return mode.status();
  }
  std::set<std::string> leaders;
  for (const ClusterNode* node : state.OfKind(NodeKind::kReplica)) {
    if (auto status = CheckReplica(*node, &leaders); !status.ok()) return status;
  }
  if (leaders.size() != 1) return Unavailable("{} replicas say that they lead", leaders.size());
  for (const ClusterNode* node : state.OfKind(NodeKind::kReplica)) {
    if (auto status = CheckView(state, *node, *leaders.begin()); !status.ok()) return status;
  }
  return CheckThroughBalancer(state);
}

absl::StatusOr<std::string> FindLeader(const ClusterState& state) {
  for (const ClusterNode* node : state.OfKind(NodeKind::kReplica)) {
    if (!IsAlive(node->process)) continue;
    auto status = StatusOf(node->Url(), "/leader");
    if (status.ok() && *status == 200) return node->name;
  }
  return Unavailable("no replica leads at the moment");
}

}  // namespace baton
