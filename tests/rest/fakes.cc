#include "tests/rest/fakes.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/random.h"

namespace baton {

void FakeGateway::SubmitJob(SubmitRequest request, Callback<SubmitReply> callback) {
  const JobId id = request.job_id;
  submissions.push_back(std::move(request));
  if (silent) {
    unanswered.push_back(std::move(callback));
    return;
  }
  if (!error.ok()) return callback(error);
  callback(SubmitReply{id, known});
}

void FakeGateway::CancelJob(JobId job_id, absl::AnyInvocable<void(absl::Status)> callback) {
  cancelled.push_back(job_id);
  callback(error);
}

void FakeGateway::ListJobs(Callback<std::vector<JobOverview>> callback) {
  if (!error.ok()) return callback(error);
  std::vector<JobOverview> jobs;
  if (job) jobs.push_back(job->overview);
  callback(std::move(jobs));
}

void FakeGateway::GetJob(JobId job_id, Callback<JobDetails> callback) {
  if (!error.ok()) return callback(error);
  if (!job || job->overview.id != job_id) {
    return callback(absl::NotFoundError("Job " + job_id.ToString() + " not found"));
  }
  callback(*job);
}

void FakeGateway::GetVertex(JobId, std::string vertex_id, Callback<VertexDetails> callback) {
  if (!error.ok()) return callback(error);
  if (!vertex || vertex->id != vertex_id) {
    return callback(absl::NotFoundError("JobVertex " + vertex_id + " not found"));
  }
  callback(*vertex);
}

void FakeGateway::GetOverview(Callback<ClusterOverview> callback) {
  if (!error.ok()) return callback(error);
  callback(overview);
}

void FakeGateway::ListTaskManagers(Callback<std::vector<TaskManagerInfo>> callback) {
  if (!error.ok()) return callback(error);
  callback(task_managers);
}

void FakeGateway::DrainTaskManager(DrainRequest request,
                                   absl::AnyInvocable<void(absl::Status)> callback) {
  drains.push_back(std::move(request));
  callback(error);
}

void FakeGateway::ForgetTaskManager(std::string id,
                                    absl::AnyInvocable<void(absl::Status)> callback) {
  forgotten.push_back(std::move(id));
  callback(error);
}

void FakeGateway::RetireReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) {
  retired.push_back(id.value());
  callback(error);
}

void FakeGateway::AdmitReplica(ReplicaId id, absl::AnyInvocable<void(absl::Status)> callback) {
  admitted.push_back(id.value());
  callback(error);
}

void FakeGateway::ReadTaskLog(TaskLogRequest request, Callback<TaskLogChunk> callback) {
  log_reads.push_back(std::move(request));
  if (!error.ok()) return callback(error);
  if (keeps_logs) return unread.push_back(std::move(callback));
  callback(log);
}

void FakeHttpTransport::Sent::Answer(absl::StatusOr<HttpResponse> answer) {
  BindTo(executor, std::move(callback))(std::move(answer));
}

void FakeHttpTransport::Send(const std::string& address, HttpRequest request, Duration,
                             ExecutorPtr executor, Callback callback) {
  sent.push_back(Sent{address, std::move(request), std::move(executor), std::move(callback)});
}

FakeHttpTransport::Sent FakeHttpTransport::Take() {
  if (sent.empty()) {
    ADD_FAILURE() << "nothing was sent";
    return {};
  }
  Sent oldest = std::move(sent.front());
  sent.pop_front();
  return oldest;
}

EndpointWorld::EndpointWorld(RestEndpointOptions options) {
  options.self = ReplicaId("a");
  options.version = "0.1.0";
  RestEndpoint::Dependencies dependencies;
  dependencies.executor = executor;
  dependencies.random = NewSeededRandom(7);
  dependencies.transport = transport;
  dependencies.view = [this] { return view; };
  dependencies.local_gateway = [this] { return gateway; };
  dependencies.store_ready = [this] { return store_ready; };
  dependencies.transfer = [this](absl::AnyInvocable<void(absl::Status)> callback) {
    ++transfers;
    callback(transfer_result);
  };
  dependencies.large_bodies = large_bodies;
  view.connected = true;
  endpoint = RestEndpoint::New(std::move(dependencies), std::move(options));
}

EndpointWorld::Answer EndpointWorld::Send(HttpRequest request) {
  auto answer = std::make_shared<std::optional<HttpResponse>>();
  endpoint->Handle(std::move(request), [answer](HttpResponse response) {
    EXPECT_FALSE(answer->has_value()) << "answered twice";
    *answer = std::move(response);
  });
  scheduler.RunUntilIdle();
  return answer;
}

EndpointWorld::Answer EndpointWorld::Send(std::string method, std::string target,
                                          std::string body) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  return Send(std::move(request));
}

HttpResponse EndpointWorld::Ask(std::string method, std::string target, std::string body) {
  Answer answer = Send(std::move(method), std::move(target), std::move(body));
  if (answer->has_value()) return **answer;
  ADD_FAILURE() << "not answered";
  return {};
}

void EndpointWorld::NobodyLeads() {
  gateway = nullptr;
  view.leader.reset();
  view.self_leads = false;
  TellChange();
}

void EndpointWorld::OtherLeads(const std::string& replica, uint64_t epoch) {
  gateway = nullptr;
  view.leader = LeaderOf(replica, epoch);
  view.last_winner = *view.leader;
  view.self_leads = false;
  TellChange();
}

std::shared_ptr<FakeGateway> EndpointWorld::SelfLeads(uint64_t epoch) {
  gateway = std::make_shared<FakeGateway>(epoch);
  view.leader = LeaderOf("a", epoch);
  view.last_winner = *view.leader;
  view.self_leads = true;
  TellChange();
  return gateway;
}

void EndpointWorld::TellChange() {
  endpoint->OnLeadershipChanged(view);
  scheduler.RunUntilIdle();
}

pb::LeaderRecord LeaderOf(const std::string& replica, uint64_t epoch) {
  pb::LeaderRecord record;
  record.set_epoch(epoch);
  record.set_replica_id(replica);
  record.set_incarnation(replica + "-life");
  record.set_rest_address(replica + ":8081");
  record.set_rpc_address(replica + ":6123");
  record.set_since_ms(1000 + static_cast<int64_t>(epoch));
  record.set_cause("process-death");
  return record;
}

std::string ErrorOf(const HttpResponse& response) { return response.body; }

}  // namespace baton
