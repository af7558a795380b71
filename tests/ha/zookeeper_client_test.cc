// What only the client of a real ZooKeeper has to cope with: names that do not resolve, nobody
// there, an executor that goes away.

#include "ha/zookeeper_client.h"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/asio_executor.h"
#include "gtest/gtest.h"
#include "ha/zookeeper_handle.h"
#include "tests/ha/loop_executor.h"
#include "tests/ha/zookeeper_process.h"

namespace baton {
namespace {

using std::chrono::seconds;
using testing::LoopExecutor;
using testing::ZooKeeperProcess;

constexpr Duration kPatience = seconds(30);
constexpr Duration kSessionTimeout = seconds(4);  // the longest that the server grants

class ZooKeeperClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new ZooKeeperProcess;
    const absl::Status status = server_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  CoordinationClientPtr NewClient(const std::string& quorum, ExecutorPtr executor) {
    return NewZooKeeperClient({quorum, kSessionTimeout, std::move(executor)});
  }
  // Whether a client of this quorum connects.
  CoordinationClientPtr Connect(const std::string& quorum) {
    auto client = NewClient(quorum, loop_);
    auto connected = std::make_shared<bool>(false);
    client->Start(
        [connected](SessionEvent event) { *connected = event.state == SessionState::kConnected; });
    return loop_->RunUntil([&] { return *connected; }, kPatience) ? client : nullptr;
  }
  absl::Status Create(CoordinationClient& client, const std::string& path, NodeKind kind) {
    absl::Status answer = absl::InternalError("not answered");
    bool answered = false;
    client.Create(path, "x", kind, [&](absl::Status status) {
      answer = status;
      answered = true;
    });
    EXPECT_TRUE(loop_->RunUntil([&] { return answered; }, kPatience));
    return answer;
  }
  absl::Status Get(CoordinationClient& client, const std::string& path,
                   CoordinationClient::Watcher watcher = nullptr) {
    absl::Status answer = absl::InternalError("not answered");
    bool answered = false;
    client.Get(path, std::move(watcher), [&](absl::StatusOr<NodeData> node) {
      answer = node.status();
      answered = true;
    });
    EXPECT_TRUE(loop_->RunUntil([&] { return answered; }, kPatience));
    return answer;
  }

  static ZooKeeperProcess* server_;
  std::shared_ptr<LoopExecutor> loop_ = std::make_shared<LoopExecutor>();
};

ZooKeeperProcess* ZooKeeperClientTest::server_ = nullptr;

TEST_F(ZooKeeperClientTest, OneBadHostInTheQuorumDoesNotMatter) {
  auto client = Connect("no-such-host.invalid:2181," + server_->address());
  ASSERT_NE(client, nullptr);
  EXPECT_TRUE(Get(*client, "/").ok());
  client->Close();
}

TEST_F(ZooKeeperClientTest, AQuorumThatDoesNotResolveLeavesCallsUnavailable) {
  auto client = NewClient("no-such-host.invalid:2181", loop_);
  std::vector<SessionEvent> events;
  client->Start([&](SessionEvent event) { events.push_back(event); });
  ASSERT_TRUE(loop_->RunUntil([&] { return !events.empty(); }, kPatience));
  EXPECT_TRUE(absl::IsUnavailable(Get(*client, "/")));
  client->Close();
  EXPECT_TRUE(absl::IsAborted(Get(*client, "/")));
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(ZooKeeperClientTest, NobodyThereLeavesCallsUnavailable) {
  auto client = NewClient("127.0.0.1:1", loop_);
  client->Start([](SessionEvent) {});
  EXPECT_TRUE(absl::IsUnavailable(Get(*client, "/")));
  client->Close();
}

TEST_F(ZooKeeperClientTest, AChrootIsTheRootOfItsClients) {
  auto outside = Connect(server_->address());
  ASSERT_NE(outside, nullptr);
  ASSERT_TRUE(Create(*outside, "/chroot", NodeKind::kPersistent).ok());
  auto inside = Connect(server_->address() + "/chroot");
  ASSERT_NE(inside, nullptr);
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Get(*inside, "/n", [fired] { ++*fired; })));
  EXPECT_TRUE(Create(*inside, "/n", NodeKind::kPersistent).ok());
  EXPECT_TRUE(loop_->RunUntil([&] { return *fired == 1; }, kPatience));
  EXPECT_TRUE(Get(*outside, "/chroot/n").ok());
  inside->Close();
  outside->Close();
}

TEST_F(ZooKeeperClientTest, AChrootThatIsMissingIsNotFound) {
  auto client = Connect(server_->address() + "/none");
  ASSERT_NE(client, nullptr);
  EXPECT_TRUE(absl::IsNotFound(Create(*client, "/n", NodeKind::kPersistent)));
  client->Close();
}

TEST_F(ZooKeeperClientTest, DestroyedWithoutCloseItEndsItsSessionAllTheSame) {
  auto watching = Connect(server_->address());
  auto dropped = Connect(server_->address());
  ASSERT_TRUE(watching && dropped);
  ASSERT_TRUE(Create(*dropped, "/e", NodeKind::kEphemeral).ok());
  auto fired = std::make_shared<int>(0);
  ASSERT_TRUE(Get(*watching, "/e", [fired] { ++*fired; }).ok());
  dropped = nullptr;
  EXPECT_TRUE(loop_->RunUntil([&] { return *fired == 1; }, kPatience));
  watching->Close();
}

TEST_F(ZooKeeperClientTest, TheExecutorMayGoWhileTheHandleIsStillBeingClosed) {
  for (int round = 0; round < 20; ++round) {
    ThreadPool pool(2);
    auto client = NewClient(server_->address(), pool.NewExecutor());
    auto connected = std::make_shared<bool>(false);
    client->Start([weak = std::weak_ptr(client), connected, loop = loop_](SessionEvent event) {
      auto self = weak.lock();
      if (!self || event.state != SessionState::kConnected) return;
      for (int i = 0; i < 50; ++i) self->Get("/", nullptr, [](absl::StatusOr<NodeData>) {});
      loop->Post([connected] { *connected = true; });
    });
    // Each kind of round lets go at another point.
    if (round % 2 == 0) {
      ASSERT_TRUE(loop_->RunUntil([&] { return *connected; }, kPatience));
    }
    if (round % 4 < 2) client->Close();
    client = nullptr;
  }
}

TEST_F(ZooKeeperClientTest, ThreadsMayCallAtOnce) {
  ThreadPool pool(2);
  auto client = NewClient(server_->address(), pool.NewExecutor());
  bool connected = false;
  client->Start([&](SessionEvent event) {
    loop_->Post(
        [&connected, state = event.state] { connected = state == SessionState::kConnected; });
  });
  ASSERT_TRUE(loop_->RunUntil([&] { return connected; }, kPatience));
  int answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        client->Get("/", nullptr, [&](absl::StatusOr<NodeData> node) {
          loop_->Post([&answered, ok = node.ok()] { answered += ok ? 1 : 0; });
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(loop_->RunUntil([&] { return answered == 2000; }, kPatience));
  client->Close();
}

TEST(ToClientQuorum, TakesIpv6AddressesInBrackets) {
  EXPECT_EQ(zookeeper::ToClientQuorum("[::1]:2181,a:1/root"), "::1:2181,a:1/root");
}

}  // namespace
}  // namespace baton
