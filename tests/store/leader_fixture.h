// A leader with its fence on an in-process coordination service, and its stores.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/manual_executor.h"
#include "ha/embedded_coordination.h"
#include "ha/managed_fence.h"
#include "job/job_graph.h"
#include "store/job_graph_store.h"
#include "store/job_result_store.h"
#include "store/local_blob_store.h"
#include "tests/store/fake_kv_engine.h"

namespace baton {

class LeaderFixture : public testing::Test {
 protected:
  LeaderFixture() {
    other_->Start([](SessionEvent) {});
    Settle();
    for (const std::string path : {"/baton", "/baton/c", "/baton/c/epoch"}) {
      other_->Create(path, "", NodeKind::kPersistent, [](auto) {});
    }
    Settle();
    Lead(Epoch{1}, 0);
  }

  ~LeaderFixture() override {
    results_.reset();
    graphs_.reset();
    fence_->Close(Aborted("end of test"));
    client_->Close();
    other_->Close();
    Settle();
  }

  // A new process leads, with nothing in memory.
  void Lead(Epoch epoch, int32_t epoch_version) {
    executor_ = scheduler_.NewExecutor("leader");
    client_ = NewEmbeddedClient(server_, executor_, std::chrono::seconds(10));
    client_->Start([this](SessionEvent event) {
      if (!fence_) return;
      event.state == SessionState::kConnected ? fence_->Resume() : fence_->Pause();
    });
    Settle();
    pins_ = std::make_shared<BlobPins>();
    fence_ = NewManagedFence(
        {client_, executor_, paths_, FenceLimits{}, [this](const absl::Status&) { ++deposed_; }},
        {epoch, epoch_version, executor_->Now()});
    local_ = NewLocalBlobStore(std::make_shared<FakeKvEngine>(disk_, executor_, BlobFamilies()),
                               executor_);
    blobs_ = NewReplicatedBlobStore(
        local_, [] { return std::vector<RpcLinkPtr>(); }, executor_, replication_);
    graphs_ = NewJobGraphStore(fence_, blobs_, pins_);
    MakeResults({});
  }

  void MakeResults(const HistoryLimits& limits) {
    results_ = NewJobResultStore(fence_, blobs_, pins_, executor_, limits);
  }

  void Prepare() {
    auto status = Run<absl::Status>([&](auto done) { graphs_->Prepare(std::move(done)); });
    ASSERT_TRUE(status.ok()) << status;
  }

  // Starts something asynchronous and waits for its answer.
  template <class T, class F>
  T Run(F start) {
    auto answer = std::make_shared<std::optional<T>>();
    start([answer](T value) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      answer->emplace(std::move(value));
    });
    const bool came =
        scheduler_.RunUntil([&] { return answer->has_value(); }, std::chrono::seconds(60));
    EXPECT_TRUE(came) << "no answer within a minute";
    return came ? **answer : T(Internal("no answer"));
  }

  absl::StatusOr<pb::JobPointer> Add(const JobId& id, const std::string& name = "a job") {
    pb::JobPointer pointer;
    pointer.set_name(name);
    return Run<absl::StatusOr<pb::JobPointer>>(
        [&](auto done) { graphs_->Add(id, Graph(name), pointer, std::move(done)); });
  }

  absl::Status Update(const JobId& id, const pb::JobPointer& pointer) {
    return Run<absl::Status>([&](auto done) { graphs_->Update(id, pointer, std::move(done)); });
  }

  absl::StatusOr<std::vector<RecoveredPointer>> List() {
    return Run<absl::StatusOr<std::vector<RecoveredPointer>>>(
        [&](auto done) { graphs_->List(std::move(done)); });
  }

  pb::JobResult ResultNow(const std::string& outcome = "FINISHED") {
    pb::JobResult result;
    result.set_outcome(outcome);
    result.set_ended_at_ms(executor_->WallNow());
    return result;
  }

  absl::Status Commit(const JobId& id, const pb::JobResult& result,
                      const std::string& archive = "") {
    return Run<absl::Status>(
        [&](auto done) { results_->Commit(id, result, archive, std::move(done)); });
  }

  absl::StatusOr<std::optional<pb::JobResult>> Find(const JobId& id) {
    return Run<absl::StatusOr<std::optional<pb::JobResult>>>(
        [&](auto done) { results_->Find(id, std::move(done)); });
  }

  absl::Status LoadHistory() {
    return Run<absl::Status>([&](auto done) { results_->LoadHistory(std::move(done)); });
  }

  std::vector<pb::JobResult> ListResults() {
    return *Run<absl::StatusOr<std::vector<pb::JobResult>>>(
        [&](auto done) { results_->List(std::move(done)); });
  }

  // As somebody sees it who asks the coordination service itself.
  absl::StatusOr<NodeData> Node(const std::string& path) {
    return Run<absl::StatusOr<NodeData>>(
        [&](auto done) { other_->Get(path, nullptr, std::move(done)); });
  }
  bool Exists(const std::string& path) { return Node(path).ok(); }
  // Whatever stands at `path` becomes `data`.
  void Overwrite(const std::string& path, const std::string& data) {
    ASSERT_TRUE(Run<absl::StatusOr<NodeStat>>([&](auto done) {
                  other_->Set(path, data, kAnyVersion, std::move(done));
                }).ok());
  }

  static JobGraph Graph(const std::string& name) {
    JobGraph graph;
    graph.name = name;
    JobVertex vertex;
    vertex.id = "v";
    vertex.name = "v";
    vertex.command = {"true"};
    graph.vertices.push_back(vertex);
    return graph;
  }

  static JobId Id(int i) { return JobId::FromKey(std::to_string(i)); }

  void Settle() { scheduler_.AdvanceBy(std::chrono::milliseconds(5)); }

  ManualScheduler scheduler_{3};
  CoordinationPaths paths_{"/baton", "c"};
  EmbeddedCoordinationServerPtr server_ =
      std::make_shared<EmbeddedCoordinationServer>(scheduler_.NewExecutor("coordination"));
  CoordinationClientPtr other_ =
      NewEmbeddedClient(server_, scheduler_.NewExecutor("other"), std::chrono::seconds(10));
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  ReplicationOptions replication_{.min_copies = 1};
  int deposed_ = 0;

  std::shared_ptr<ManualExecutor> executor_;
  CoordinationClientPtr client_;
  ManagedFencePtr fence_;
  LocalBlobStorePtr local_;
  BlobStorePtr blobs_;
  BlobPinsPtr pins_;
  JobGraphStorePtr graphs_;
  JobResultStorePtr results_;
};

}  // namespace baton
