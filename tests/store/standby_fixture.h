// A standby beside the leader of LeaderFixture: its own disk and journal, its own session, a link
// to the leader's blobs.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rpc/rpc_link.h"
#include "rpc/rpc_server.h"
#include "store/convergence.h"
#include "store/journaling_fence.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/store/leader_fixture.h"

namespace baton {

class StandbyFixture : public LeaderFixture {
 protected:
  StandbyFixture() {
    pb::LeaderRecord record;
    record.set_epoch(1);
    OverwriteEpoch(record);
    Lead(Epoch{1}, 1);
    Prepare();
    server_link_ =
        std::make_shared<RpcServer>(network_->NewProcess("leader"), executor_, HelloOf("leader"));
    RequestDesk desk(*server_link_, executor_);
    ServeBlobs(desk, local_);
    EXPECT_TRUE(server_link_->Start("leader:6123").ok());
    StartStandby();
  }
  ~StandbyFixture() override {
    StopStandby();
    server_link_->Stop();
    scheduler_.AdvanceBy(std::chrono::minutes(1));
    executor_->Kill();
  }

  static pb::Hello HelloOf(const std::string& id) {
    pb::Hello hello;
    hello.set_cluster_id("test");
    hello.set_role(pb::Hello::REPLICA);
    hello.set_id(id);
    hello.set_incarnation(id + "-life");
    return hello;
  }

  void OverwriteEpoch(const pb::LeaderRecord& record) {
    Overwrite(paths_.epoch(), record.SerializeAsString());
  }

  void StartStandby() {
    standby_executor_ = scheduler_.NewExecutor("standby");
    standby_client_ = NewEmbeddedClient(server_, standby_executor_, std::chrono::seconds(10));
    standby_client_->Start([](SessionEvent) {});
    auto engine = std::make_shared<FakeKvEngine>(standby_disk_, standby_executor_, Families());
    standby_local_ = NewLocalBlobStore(engine, standby_executor_);
    standby_blobs_ = NewReplicatedBlobStore(
        standby_local_, [this] { return links_; }, standby_executor_, replication_);
    journal_ = std::make_shared<RecordJournal>(engine, standby_executor_, paths_);
    EXPECT_TRUE(Run<absl::Status>([&](auto done) { journal_->Load(std::move(done)); }).ok());
    metrics_ = std::make_shared<MetricsRegistry>();
    convergence_ = std::make_shared<Convergence>(
        Convergence::Dependencies{standby_executor_, standby_client_, paths_, journal_,
                                  standby_local_, standby_blobs_, metrics_, options_});
  }

  void StopStandby() {
    links_.clear();
    convergence_.reset();
    standby_client_->Close();
    Settle();
    standby_executor_->Kill();
    journal_.reset();
    standby_blobs_.reset();
    standby_local_.reset();
  }

  void Link() {
    std::optional<RpcLinkPtr> opened;
    RpcLink::Connect(*standby_transport_, "leader:6123", HelloOf("standby"), standby_executor_,
                     std::chrono::seconds(5),
                     [&opened](absl::StatusOr<RpcLinkPtr> link) { opened = *link; });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return opened.has_value(); }, std::chrono::seconds(10)));
    links_.push_back(*opened);
    (*opened)->Start({[](auto&&...) {}, [](auto&&...) {}});
  }

  static std::vector<std::string> Families() {
    auto families = BlobFamilies();
    families.push_back(RecordsFamily());
    return families;
  }

  double Metric(const std::string& name) { return metrics_->GetGauge(name, "").Value(); }
  bool StandbyHolds(const std::string& digest) { return standby_disk_->Has("job-graph", digest); }

  SimulatedNetworkPtr network_ = std::make_shared<SimulatedNetwork>(7);
  FrameTransportPtr standby_transport_ = network_->NewProcess("standby");
  std::shared_ptr<RpcServer> server_link_;
  std::shared_ptr<FakeDisk> standby_disk_ = std::make_shared<FakeDisk>();
  std::shared_ptr<ManualExecutor> standby_executor_;
  CoordinationClientPtr standby_client_;
  LocalBlobStorePtr standby_local_;
  BlobStorePtr standby_blobs_;
  RecordJournalPtr journal_;
  std::shared_ptr<MetricsRegistry> metrics_;
  ConvergenceOptions options_;
  std::shared_ptr<Convergence> convergence_;
  std::vector<RpcLinkPtr> links_;
};

}  // namespace baton
