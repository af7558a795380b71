#include "tests/ha/coordination_service.h"

#include <chrono>
#include <map>
#include <utility>

#include "base/manual_executor.h"
#include "gtest/gtest.h"
#include "ha/embedded_coordination.h"
#include "ha/zookeeper_client.h"
#include "store/kv_journal.h"
#include "tests/ha/loop_executor.h"
#include "tests/ha/tcp_proxy.h"
#include "tests/ha/zookeeper_process.h"
#include "tests/store/fake_kv_engine.h"

namespace baton::testing {
namespace {

using std::chrono::seconds;

constexpr Duration kSessionTimeout = seconds(2);
constexpr Duration kPatience = seconds(30);

enum class Keeping { kNothing, kJournal };

class EmbeddedService final : public CoordinationService {
 public:
  EmbeddedService(uint64_t seed, Keeping keeping) : scheduler_(seed) {
    if (keeping == Keeping::kNothing) {
      server_ = std::make_shared<EmbeddedCoordinationServer>(server_executor_);
    } else {
      Recover();
    }
  }

  CoordinationClientPtr NewClient() override {
    return NewEmbeddedClient(server_, scheduler_.NewExecutor("client"), kSessionTimeout);
  }
  bool RunUntil(const std::function<bool()>& condition) override {
    return scheduler_.RunUntil(condition, kPatience);
  }
  void CutOff(const CoordinationClientPtr& client) override { server_->Disconnect(client); }
  void Heal(const CoordinationClientPtr& client) override { server_->Reconnect(client); }
  void LoseAnswers(const CoordinationClientPtr& client) override {
    server_->DropNextAnswer(client, EmbeddedCoordinationServer::LostAnswer::kApplied);
  }
  void GoDown() override { server_executor_->Pause(); }
  void ComeBack() override { server_executor_->Resume(); }

 private:
  void Recover() {
    const auto journal = NewKvJournal(std::make_shared<FakeKvEngine>(
        std::make_shared<FakeDisk>(), disk_executor_, std::vector<std::string>{JournalFamily()}));
    RecoverEmbeddedCoordination(server_executor_, journal,
                                [this](absl::StatusOr<EmbeddedCoordinationServerPtr> server) {
                                  ASSERT_TRUE(server.ok()) << server.status();
                                  server_ = *std::move(server);
                                });
    ASSERT_TRUE(RunUntil([this] { return server_ != nullptr; }));
  }

  ManualScheduler scheduler_;
  const std::shared_ptr<ManualExecutor> server_executor_ = scheduler_.NewExecutor("server");
  const std::shared_ptr<ManualExecutor> disk_executor_ = scheduler_.NewExecutor("disk");
  EmbeddedCoordinationServerPtr server_;
};

class ZooKeeperService final : public CoordinationService {
 public:
  ZooKeeperService() {
    if (absl::Status status = Server().started; !status.ok()) {
      ADD_FAILURE() << "no ZooKeeper server: " << status;
    }
  }
  // The executor goes away: no client may post to it any more.
  ~ZooKeeperService() override {
    for (auto& [client, proxy] : proxies_) client->Close();
    loop_->RunUntil([] { return false; }, Duration::zero());
  }

  CoordinationClientPtr NewClient() override {
    auto proxy = std::make_unique<TcpProxy>(Server().process.port());
    auto client = NewZooKeeperClient({.quorum = "127.0.0.1:" + std::to_string(proxy->port()),
                                      .session_timeout = kSessionTimeout,
                                      .executor = loop_});
    proxies_.emplace_back(client, std::move(proxy));
    return client;
  }
  bool RunUntil(const std::function<bool()>& condition) override {
    return loop_->RunUntil(condition, kPatience);
  }
  void CutOff(const CoordinationClientPtr& client) override { ProxyOf(client).Cut(); }
  void Heal(const CoordinationClientPtr& client) override { ProxyOf(client).Forward(); }
  void LoseAnswers(const CoordinationClientPtr& client) override {
    ProxyOf(client).SwallowAnswers();
  }
  void GoDown() override { Server().process.Kill(); }
  void ComeBack() override { ASSERT_TRUE(Server().process.Restart().ok()); }

 private:
  struct SharedServer {
    ZooKeeperProcess process;
    absl::Status started = process.Start();
  };
  // One for all tests: it takes a second to start.
  static SharedServer& Server() {
    static SharedServer server;
    return server;
  }

  TcpProxy& ProxyOf(const CoordinationClientPtr& client) {
    for (auto& [owner, proxy] : proxies_) {
      if (owner == client) return *proxy;
    }
    std::abort();
  }

  const std::shared_ptr<LoopExecutor> loop_ = std::make_shared<LoopExecutor>();
  std::vector<std::pair<CoordinationClientPtr, std::unique_ptr<TcpProxy>>> proxies_;
};

}  // namespace

std::unique_ptr<CoordinationService> NewEmbeddedService(uint64_t seed) {
  return std::make_unique<EmbeddedService>(seed, Keeping::kNothing);
}

std::unique_ptr<CoordinationService> NewJournaledService(uint64_t seed) {
  return std::make_unique<EmbeddedService>(seed, Keeping::kJournal);
}

std::unique_ptr<CoordinationService> NewZooKeeperService() {
  return std::make_unique<ZooKeeperService>();
}

}  // namespace baton::testing
