// The fixture itself: a cut loses packets in silence, one way or both, between two hosts or all; a
// healed network carries them again; networks of dead owners are found and removed.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "integration/cluster_test.h"
#include "rest/client/wait.h"

namespace baton::integration {
namespace {

// Shorter than anything that a refusal takes; longer than an answer.
constexpr std::chrono::milliseconds kSilence(700);

class HostNetworkTest : public HostsTest {
 protected:
  // How `address` answers a connection from `host`.
  static absl::StatusCode ConnectionFrom(const std::string& host, const std::string& address) {
    absl::StatusCode code = absl::StatusCode::kInternal;
    RunOn(host, [&] { code = Get(address, "/health", kSilence).status().code(); });
    return code;
  }

  // Whether a datagram from `from` reaches `to`.
  static bool Reaches(const std::string& from, const std::string& to) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, cluster().state().Find(to)->host.c_str(), &address.sin_addr);
    int receiver = -1;
    RunOn(to, [&] {
      receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
      socklen_t length = sizeof address;
      getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length);
    });
    RunOn(from, [&] {
      const int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      EXPECT_EQ(sendto(sender, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address),
                1);
      close(sender);
    });
    const timeval most{0, kSilence.count() * 1000};
    setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    char byte = 0;
    const bool arrived = recv(receiver, &byte, 1, 0) == 1;
    close(receiver);
    return arrived;
  }
};

TEST_F(HostNetworkTest, ACutIsSilenceAndNoRefusal) {
  const std::vector<std::string> standbys = Standbys();
  const std::string& a = standbys[0];
  const std::string& b = standbys[1];
  EXPECT_EQ(ConnectionFrom(a, Rest(b)), absl::StatusCode::kOk);
  Cut(a, b);
  EXPECT_EQ(ConnectionFrom(a, Rest(b)), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ConnectionFrom(b, Rest(a)), absl::StatusCode::kDeadlineExceeded);
  // Everybody else hears both.
  EXPECT_EQ(ConnectionFrom("haproxy", Rest(a)), absl::StatusCode::kOk);
  EXPECT_EQ(Get(Rest(b), "/health", kSilence)->status, 200);
  Heal(a, b);
  EXPECT_EQ(ConnectionFrom(a, Rest(b)), absl::StatusCode::kOk);
  EXPECT_EQ(ConnectionFrom(b, Rest(a)), absl::StatusCode::kOk);
}

TEST_F(HostNetworkTest, ACutMayBeOneWay) {
  EXPECT_TRUE(Reaches("taskmanager-1", "taskmanager-2"));
  Cut("taskmanager-1", "taskmanager-2", CutDirection::kOneWay);
  EXPECT_FALSE(Reaches("taskmanager-1", "taskmanager-2"));
  EXPECT_TRUE(Reaches("taskmanager-2", "taskmanager-1"));
  HealAll();
  EXPECT_TRUE(Reaches("taskmanager-1", "taskmanager-2"));
}

TEST_F(HostNetworkTest, AHostIsCutOffFromEverybody) {
  CutOff("taskmanager-2");
  for (const std::string other : {"taskmanager-1", "zookeeper-1", "haproxy"}) {
    EXPECT_FALSE(Reaches("taskmanager-2", other)) << other;
    EXPECT_FALSE(Reaches(other, "taskmanager-2")) << other;
  }
  EXPECT_TRUE(Reaches("taskmanager-1", "zookeeper-1"));
}

TEST_F(HostNetworkTest, TheNetworkOfADeadOwnerIsRemovedAndNoOther) {
  HostNetwork::Options options;
  options.hosts = {"a", "b"};
  options.owner = {ThisProcess().pid, ThisProcess().start_time + 1};  // nobody
  const auto dead = HostNetwork::Make(options);
  ASSERT_TRUE(dead.ok()) << dead.status();
  options.owner = ThisProcess();
  const auto alive = HostNetwork::Make(options);
  ASSERT_TRUE(alive.ok()) << alive.status();
  // Its place is taken at once: it was removed before the choice.
  EXPECT_EQ(alive->number(), dead->number());
  const auto second = HostNetwork::Make(options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(alive->Exists());
  EXPECT_NE(second->number(), alive->number());
  for (const auto* network : {&*alive, &*second}) {
    const absl::Status removed = network->Remove();
    EXPECT_TRUE(removed.ok()) << removed;
    EXPECT_FALSE(network->Exists());
  }
  // The one with the processes of this test in it is whole.
  EXPECT_TRUE(HostNetwork(cluster().state().network).Exists());
  EXPECT_TRUE(Eventually(Calm));
}

}  // namespace
}  // namespace baton::integration
