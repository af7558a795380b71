// What stands around a RestEndpoint in tests: a Dispatcher, the network, the election's view.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/manual_executor.h"
#include "rest/http.h"
#include "rest/rest_endpoint.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

// Answers at once from its members, or keeps the callbacks of submissions until told.
class FakeGateway final : public DispatcherGateway {
 public:
  explicit FakeGateway(uint64_t epoch) : epoch_{epoch} {}

  Epoch epoch() const override { return epoch_; }
  void SubmitJob(SubmitRequest request, Callback<SubmitReply> callback) override;
  void CancelJob(JobId job, absl::AnyInvocable<void(absl::Status)> callback) override;
  void ListJobs(Callback<std::vector<JobOverview>> callback) override;
  void GetJob(JobId job, Callback<JobDetails> callback) override;
  void GetVertex(JobId job, std::string vertex_id, Callback<VertexDetails> callback) override;
  void GetOverview(Callback<ClusterOverview> callback) override;
  void ListTaskManagers(Callback<std::vector<TaskManagerInfo>> callback) override;
  void DrainTaskManager(DrainRequest request,
                        absl::AnyInvocable<void(absl::Status)> callback) override;
  void ForgetTaskManager(std::string id, absl::AnyInvocable<void(absl::Status)> callback) override;
  void RetireReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) override;
  void AdmitReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) override;
  void ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback) override;

  absl::Status error;   // of everything, if not OK
  bool silent = false;  // keeps submissions in `unanswered`
  bool known = false;   // as if every job had been submitted before
  std::vector<SubmitRequest> submissions;
  std::vector<Callback<SubmitReply>> unanswered;
  std::vector<JobId> cancelled;
  std::optional<JobDetails> job;
  std::optional<VertexDetails> vertex;
  ClusterOverview overview;
  std::vector<TaskManagerInfo> task_managers;
  std::vector<TaskLogRequest> log_reads;
  TaskLogChunk log;
  bool keeps_logs = false;  // in `unread`
  std::vector<Callback<TaskLogChunk>> unread;
  std::vector<DrainRequest> drains;
  std::vector<std::string> forgotten;
  std::vector<std::string> retired;
  std::vector<std::string> admitted;

 private:
  const Epoch epoch_;
};

// Keeps what is sent until the test answers it.
class FakeHttpTransport final : public HttpTransport {
 public:
  struct Sent {
    std::string address;
    HttpRequest request;
    ExecutorPtr executor;
    Callback callback;

    void Answer(absl::StatusOr<HttpResponse> answer);
  };

  void Send(const std::string& address, HttpRequest request, Duration timeout, ExecutorPtr executor,
            Callback callback) override;

  // The oldest that is not answered yet.
  Sent Take();

  std::deque<Sent> sent;
};

// A replica "a" in virtual time. It starts without a leader.
class EndpointWorld {
 public:
  explicit EndpointWorld(RestEndpointOptions options = {});

  // The answer, once there is one.
  using Answer = std::shared_ptr<std::optional<HttpResponse>>;
  Answer Send(HttpRequest request);
  Answer Send(std::string method, std::string target, std::string body = "");
  // Runs what is due and expects an answer.
  HttpResponse Ask(std::string method, std::string target, std::string body = "");

  void NobodyLeads();
  void OtherLeads(const std::string& replica, uint64_t epoch);
  std::shared_ptr<FakeGateway> SelfLeads(uint64_t epoch);
  void TellChange();

  ManualScheduler scheduler{1};
  std::shared_ptr<ManualExecutor> executor = scheduler.NewExecutor("rest");
  std::shared_ptr<ManualExecutor> large_bodies = scheduler.NewExecutor("large");
  std::shared_ptr<FakeHttpTransport> transport = std::make_shared<FakeHttpTransport>();
  LeadershipView view;
  std::shared_ptr<FakeGateway> gateway;  // null: not leading
  bool store_ready = true;
  absl::Status transfer_result;
  int transfers = 0;
  std::shared_ptr<RestEndpoint> endpoint;
};

inline constexpr char kJobJson[] =
    R"({"name": "j", "vertices": [{"id": "v", "name": "v", "parallelism": 1, "command": ["true"]}]})";
inline constexpr char kJobHex[] = "0123456789abcdef0123456789abcdef";

pb::LeaderRecord LeaderOf(const std::string& replica, uint64_t epoch);
std::string ErrorOf(const HttpResponse& response);

}  // namespace baton
