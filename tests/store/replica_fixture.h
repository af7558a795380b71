// Replicas' blob stores in one thread: disks, links, one of them asking the others.

#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/manual_executor.h"
#include "rpc/rpc_link.h"
#include "rpc/rpc_server.h"
#include "store/local_blob_store.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/store/fake_kv_engine.h"

namespace baton {

template <class T>
using Answer = std::shared_ptr<std::optional<T>>;

template <class T>
Answer<T> NewAnswer() {
  return std::make_shared<std::optional<T>>();
}

// A callback that fills the answer, and fails the test when it is called twice.
template <class T>
auto Fill(Answer<T> answer) {
  return [answer](T value) {
    EXPECT_FALSE(answer->has_value()) << "answered twice";
    answer->emplace(std::move(value));
  };
}

inline pb::Hello HelloOf(const std::string& id) {
  pb::Hello hello;
  hello.set_cluster_id("test");
  hello.set_role(pb::Hello::REPLICA);
  hello.set_id(id);
  hello.set_incarnation(id + "-life");
  return hello;
}

// A standby: its disk, and the server that answers for it.
struct FakePeer {
  FakePeer(ManualScheduler& scheduler, FrameTransportPtr transport, const std::string& name)
      : executor(scheduler.NewExecutor(name)),
        store_executor(scheduler.NewExecutor(name + "/store")),
        disk(std::make_shared<FakeDisk>()),
        local(NewLocalBlobStore(
            std::make_shared<FakeKvEngine>(disk, store_executor, BlobFamilies()), store_executor)),
        server(std::make_shared<RpcServer>(std::move(transport), executor, HelloOf(name))) {
    RequestDesk desk(*server, store_executor);
    ServeBlobs(desk, local);
  }

  std::shared_ptr<ManualExecutor> executor;        // of its links
  std::shared_ptr<ManualExecutor> store_executor;  // of its bytes
  std::shared_ptr<FakeDisk> disk;
  LocalBlobStorePtr local;
  std::shared_ptr<RpcServer> server;
};

class ReplicaFixture : public testing::Test {
 protected:
  ~ReplicaFixture() override {
    links_.clear();
    for (auto& [name, peer] : peers_) peer->server->Stop();
    scheduler_.AdvanceBy(std::chrono::minutes(1));  // past every timeout
    // What still waits on an executor owns connections, and they own the executor.
    for (auto& [name, peer] : peers_) {
      peer->executor->Kill();
      peer->store_executor->Kill();
    }
    executor_->Kill();
  }

  FakePeer& AddPeer(const std::string& name) {
    peers_[name] = std::make_unique<FakePeer>(scheduler_, network_->NewProcess(name), name);
    FakePeer& peer = *peers_[name];
    EXPECT_TRUE(peer.server->Start("127.0.0.1:0").ok());
    auto opened = NewAnswer<absl::StatusOr<RpcLinkPtr>>();
    RpcLink::Connect(*transport_, peer.server->address(), HelloOf("leader"), executor_,
                     std::chrono::seconds(5), Fill(opened));
    scheduler_.RunUntil([&] { return opened->has_value(); }, std::chrono::seconds(6));
    EXPECT_TRUE(opened->value().ok());
    links_.push_back(***opened);
    links_.back()->Start({[](auto&&...) {}, [](auto&&...) {}});
    return peer;
  }

  BlobStorePtr NewStore(size_t min_copies) {
    ReplicationOptions options;
    options.min_copies = min_copies;
    return NewReplicatedBlobStore(
        local_, [this] { return links_; }, executor_, options);
  }

  absl::StatusOr<std::string> Put(BlobStore& store, const std::string& bytes,
                                  BlobKind kind = BlobKind::kJobGraph) {
    auto answer = NewAnswer<absl::StatusOr<std::string>>();
    store.Put(kind, bytes, Fill(answer));
    return Await(answer);
  }

  absl::StatusOr<std::string> Get(BlobStore& store, const std::string& digest,
                                  BlobKind kind = BlobKind::kJobGraph) {
    auto answer = NewAnswer<absl::StatusOr<std::string>>();
    store.Get(kind, digest, Fill(answer));
    return Await(answer);
  }

  template <class T>
  T Await(const Answer<T>& answer) {
    const bool came =
        scheduler_.RunUntil([&] { return answer->has_value(); }, std::chrono::seconds(60));
    EXPECT_TRUE(came) << "no answer within a minute";
    return came ? **answer : T(Internal("no answer"));
  }

  static bool Holds(const FakeDisk& disk, const std::string& digest) {
    return disk.Has("job-graph", digest);
  }

  ManualScheduler scheduler_{7};
  SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(7);
  FrameTransportPtr transport_ = network_->NewProcess("leader");
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("leader");
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  LocalBlobStorePtr local_ = NewLocalBlobStore(
      std::make_shared<FakeKvEngine>(disk_, executor_, BlobFamilies()), executor_);
  std::map<std::string, std::unique_ptr<FakePeer>> peers_;
  std::vector<RpcLinkPtr> links_;
};

}  // namespace baton
