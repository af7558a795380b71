// Strangers at the RPC port: without the cluster's secret nobody becomes a worker or a replica, and
// who says nothing keeps nobody out.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <future>
#include <vector>

#include "base/asio_executor.h"
#include "base/status.h"
#include "integration/cluster_test.h"
#include "rpc/asio_frame_transport.h"
#include "rpc/rpc_link.h"
#include "rpc/rpc_server.h"

namespace baton::integration {
namespace {

class ClusterSecretTest : public ClusterTest {
 protected:
  static std::string Rpc(const std::string& replica) {
    return cluster().state().Find(replica)->PeerAddress();
  }

  // How a worker that knows these secrets is received.
  absl::Status Connect(const std::string& address, ClusterSecretsPtr secrets) {
    pb::Hello hello;
    hello.set_cluster_id("local");
    hello.set_role(pb::Hello::TASK_MANAGER);
    hello.set_id("stranger");
    hello.set_incarnation("stranger-1");
    auto answer = std::make_shared<std::promise<absl::Status>>();
    RpcLink::Connect(
        *transport_, address, {hello, std::move(secrets), NewSystemRandom()}, executor_, kPatience,
        [answer](absl::StatusOr<RpcLinkPtr> link) { answer->set_value(link.status()); });
    return answer->get_future().get();
  }

  ThreadPool pool_{1};
  FrameTransportPtr transport_ = NewAsioFrameTransport(pool_);
  ExecutorPtr executor_ = pool_.NewExecutor();
};

TEST_F(ClusterSecretTest, OpensLinksToWhoKnowsItOnly) {
  const auto wrong =
      std::make_shared<ClusterSecrets>(std::vector<std::string>{"the secret of another cluster"});
  auto right = ClusterSecrets::Load(cluster().state().SecretFile());
  ASSERT_TRUE(right.ok()) << right.status();
  for (const std::string& replica : Replicas()) {
    const absl::Status without = Connect(Rpc(replica), nullptr);
    EXPECT_NE(Message(without).find("cluster secret"), std::string::npos) << without;
    const absl::Status other = Connect(Rpc(replica), wrong);
    EXPECT_NE(Message(other).find("different cluster secrets"), std::string::npos) << other;
    EXPECT_TRUE(Connect(Rpc(replica), *right).ok());
  }
}

// Connections that say nothing: more than a replica keeps open while they shake hands.
class SilentConnections {
 public:
  SilentConnections(const std::string& address, size_t count) {
    const size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    for (size_t i = 0; i < count; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
        ADD_FAILURE() << "connection " << i << ": " << std::strerror(errno);
      }
      open_.push_back({fd, 0, 0});
    }
  }
  ~SilentConnections() {
    for (const pollfd& connection : open_) close(connection.fd);
  }
  SilentConnections(const SilentConnections&) = delete;
  SilentConnections& operator=(const SilentConnections&) = delete;

  // That the other side has not closed.
  size_t Open() {
    for (pollfd& connection : open_) connection.events = POLLRDHUP;
    poll(open_.data(), open_.size(), 0);
    return static_cast<size_t>(std::count_if(open_.begin(), open_.end(), [](const pollfd& fd) {
      return (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
    }));
  }

 private:
  std::vector<pollfd> open_;
};

TEST_F(ClusterSecretTest, WhoSaysNothingIsDroppedAndHindersNobody) {
  rlimit files;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  auto right = ClusterSecrets::Load(cluster().state().SecretFile());
  ASSERT_TRUE(right.ok()) << right.status();
  const Leadership before = Leader();
  const std::string rpc = Rpc(before.replica);
  SilentConnections silent(rpc, RpcServer::kMaxOpening + 100);
  // The oldest went for the newest, and so does one for who has something to say.
  EXPECT_TRUE(Eventually([&] { return silent.Open() <= RpcServer::kMaxOpening; }));
  EXPECT_TRUE(Connect(rpc, *right).ok());
  EXPECT_TRUE(Eventually([&] { return silent.Open() == 0; })) << silent.Open() << " are open";
  EXPECT_EQ(Leader(), before);
  ExpectServes();
}

// What a task finds in its environment and in what it shares with its TaskManager.
TEST_F(ClusterSecretTest, IsNotGivenToTasks) {
  std::string secret;
  ASSERT_TRUE(std::getline(std::ifstream(cluster().state().SecretFile()), secret));
  const std::string job = NewJobId();
  const auto reply = Put(Balancer(), job,
                         R"({"name":"looks","vertices":[{"id":"task","command":["sh","-c",)"
                         R"("env; ls -l /proc/self/fd; tr '\\0' ' ' </proc/self/cmdline"]}]})");
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->status, 202) << reply->body;
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; }));
  const auto seen =
      Get(Balancer(), "/v1/jobs/" + job + "/vertices/task/subtasks/0/attempts/0/stdout");
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_NE(seen->body.find("BATON_JOB_ID="), std::string::npos) << seen->body;
  EXPECT_EQ(seen->body.find(secret), std::string::npos);
  EXPECT_EQ(seen->body.find("cluster-secret"), std::string::npos) << seen->body;
}

}  // namespace
}  // namespace baton::integration
