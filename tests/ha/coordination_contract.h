// The contract of CoordinationClient, run on the embedded service (several interleavings, without
// and with a journal) and on a real ZooKeeper server: this is the fixture; the promises stand in
// coordination_*_test.cc.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "ha/coordination_client.h"
#include "tests/ha/coordination_service.h"

namespace baton::testing {

struct Implementation {
  std::string name;
  ServiceMaker make;
};
inline void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

// The session events of one client.
using Events = std::shared_ptr<std::vector<SessionEvent>>;

class CoordinationContract : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    service_ = GetParam().make();
    ASSERT_FALSE(HasFailure());
    one_ = NewConnected();
    two_ = NewConnected();
    // One server serves all tests: each has a node of its own.
    static int last_root = 0;
    root_ = "/contract-" + std::to_string(++last_root);
    ASSERT_TRUE(Create(one_, root_).ok());
  }

  void TearDown() override {
    for (auto& [client, events] : events_) client->Close();
    one_ = two_ = nullptr;
    events_.clear();
    service_ = nullptr;
  }

  CoordinationClientPtr NewStarted() {
    auto client = service_->NewClient();
    auto events = std::make_shared<std::vector<SessionEvent>>();
    events_[client] = events;
    client->Start([events](SessionEvent event) { events->push_back(event); });
    return client;
  }
  CoordinationClientPtr NewConnected() {
    auto client = NewStarted();
    EXPECT_TRUE(WaitFor([&] { return IsConnected(client); }));
    return client;
  }

  bool WaitFor(const std::function<bool()>& condition) { return service_->RunUntil(condition); }
  bool IsConnected(const CoordinationClientPtr& client) {
    auto& events = *events_.at(client);
    return !events.empty() && events.back().state == SessionState::kConnected;
  }
  int64_t SessionOf(const CoordinationClientPtr& client) {
    return events_.at(client)->back().session_id;
  }

  // The synchronous forms: wait for the one answer.
  template <class T>
  T Await(const std::function<void(std::function<void(T)>)>& call) {
    auto answers = std::make_shared<std::vector<T>>();
    call([answers](T answer) { answers->push_back(std::move(answer)); });
    EXPECT_TRUE(answers->empty()) << "answered within the call";
    EXPECT_TRUE(WaitFor([&] { return !answers->empty(); })) << "not answered";
    EXPECT_EQ(answers->size(), 1u);
    return answers->empty() ? T(Internal("no answer")) : answers->front();
  }
  absl::Status Create(const CoordinationClientPtr& client, const std::string& path,
                      const std::string& data = "", NodeKind kind = NodeKind::kPersistent) {
    return Await<absl::Status>([&](auto done) { client->Create(path, data, kind, done); });
  }
  absl::StatusOr<NodeData> Get(const CoordinationClientPtr& client, const std::string& path,
                               CoordinationClient::Watcher watcher = nullptr) {
    return Await<absl::StatusOr<NodeData>>(
        [&](auto done) { client->Get(path, std::move(watcher), done); });
  }
  absl::StatusOr<std::vector<std::string>> Children(const CoordinationClientPtr& client,
                                                    const std::string& path,
                                                    CoordinationClient::Watcher watcher = nullptr) {
    return Await<absl::StatusOr<std::vector<std::string>>>(
        [&](auto done) { client->Children(path, std::move(watcher), done); });
  }
  absl::StatusOr<NodeStat> Set(const CoordinationClientPtr& client, const std::string& path,
                               const std::string& data, int32_t version = kAnyVersion) {
    return Await<absl::StatusOr<NodeStat>>(
        [&](auto done) { client->Set(path, data, version, done); });
  }
  absl::Status Delete(const CoordinationClientPtr& client, const std::string& path,
                      int32_t version = kAnyVersion) {
    return Await<absl::Status>([&](auto done) { client->Delete(path, version, done); });
  }
  absl::Status Sync(const CoordinationClientPtr& client) {
    return Await<absl::Status>([&](auto done) { client->Sync(root_, done); });
  }
  // For the time after a fault: a connection may break once more before it holds.
  bool SyncOnceConnected(const CoordinationClientPtr& client) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      if (WaitFor([&] { return IsConnected(client); }) && Sync(client).ok()) return true;
    }
    return false;
  }
  MultiResult Multi(const CoordinationClientPtr& client, std::vector<CoordinationOp> ops) {
    auto answer = std::make_shared<std::optional<MultiResult>>();
    client->Multi(std::move(ops), [answer](MultiResult result) { *answer = std::move(result); });
    EXPECT_TRUE(WaitFor([&] { return answer->has_value(); }));
    return answer->value_or(MultiResult{Internal("no answer"), std::nullopt});
  }

  static CoordinationClient::Watcher Count(std::shared_ptr<int> fired) {
    return [fired = std::move(fired)] { ++*fired; };
  }

  std::unique_ptr<CoordinationService> service_;
  std::map<CoordinationClientPtr, Events> events_;
  CoordinationClientPtr one_;
  CoordinationClientPtr two_;
  std::string root_;
};

}  // namespace baton::testing
