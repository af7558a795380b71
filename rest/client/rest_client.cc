#include "rest/client/rest_client.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/random.h"
#include "base/status.h"
#include "rest/client/rest_json.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

// "host:port" and "http://host:port/" mean the same.
std::string NormalizeServer(std::string server) {
  if (server.find("://") == std::string::npos) server = "http://" + server;
  while (server.ends_with('/')) server.pop_back();
  return server;
}

bool WorthAnotherTry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

std::string LogPath(const LogRequest& r) {
  return fmt::format("/v1/jobs/{}/vertices/{}/subtasks/{}/attempts/{}/{}?offset={}{}", r.job,
                     r.vertex, r.subtask, r.attempt, r.stream, r.offset,
                     r.follow ? "&follow=true" : "");
}

// For a segment of a path or a value of a query: ids may hold anything.
std::string Encode(const std::string& text) {
  std::string encoded;
  for (const unsigned char c : text) {
    const bool plain = std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

// Reads `body` with one of rest_json.h's readers and keeps the text.
template <class T>
absl::StatusOr<Answer<T>> Typed(absl::StatusOr<RestReply> reply,
                                absl::StatusOr<T> (*read)(const std::string&)) {
  if (!reply.ok()) return reply.status();
  auto value = read(reply->body);
  if (!value.ok()) return value.status();
  return Answer<T>{*std::move(value), std::move(reply->body)};
}

}  // namespace

bool JobView::Ended() const {
  return state == "FINISHED" || state == "FAILED" || state == "CANCELED";
}

absl::Status ToStatus(const RestReply& reply) {
  if (reply.ok()) return absl::OkStatus();
  const std::string text = ErrorText(reply.body);
  const std::string why = text.empty() ? fmt::format("the server answered {}", reply.status) : text;
  switch (reply.status) {
    case 404:
      return NotFound("{}", why);
    case 409:
      return FailedPrecondition("{}", why);
    case 429:
      return ResourceExhausted("{}", why);
    case 502:
    case 503:
    case 504:
      return Unavailable("{}", why);
    default:
      return reply.status >= 400 && reply.status < 500 ? InvalidArgument("{}", why)
                                                       : Internal("{}", why);
  }
}

absl::StatusOr<std::unique_ptr<RestClient>> RestClient::Open(Options options) {
  options.http.server = NormalizeServer(options.http.server);
  auto http = HttpSession::Open(options.http);
  if (!http.ok()) return http.status();
  return std::unique_ptr<RestClient>(new RestClient(std::move(options), *std::move(http)));
}

absl::StatusOr<std::unique_ptr<RestClient>> RestClient::Open(const std::string& server) {
  Options options;
  options.http.server = server;
  return Open(std::move(options));
}

RestClient::RestClient(Options options, std::unique_ptr<HttpSession> http)
    : options_(std::move(options)), http_(std::move(http)) {}

absl::StatusOr<RestReply> RestClient::Send(const std::string& method, const std::string& path,
                                           const std::string& body,
                                           const HttpSession::Headers& headers) {
  return http_->Send(method, path, body, headers);
}

absl::StatusOr<RestReply> RestClient::SendOk(const std::string& method, const std::string& path,
                                             const std::string& body) {
  auto reply = http_->Send(method, path, body);
  if (!reply.ok()) return reply.status();
  if (auto status = ToStatus(*reply); !status.ok()) return status;
  return reply;
}

absl::StatusOr<Answer<SubmittedJob>> RestClient::Submit(const std::string& job_json,
                                                        std::optional<JobId> id) {
  // A "jobid" that is no id stays for the server to refuse: it names the place.
  if (!id) id = JobIdOf(job_json);
  if (!id) id = NewSystemRandom()->NewJobId();
  const auto deadline = Clock::now() + options_.submit_deadline;
  auto pause = std::chrono::milliseconds(50);
  while (true) {
    auto reply = SendOk("PUT", "/v1/jobs/" + id->ToString(), job_json);
    if (reply.ok()) {
      SubmittedJob job{id->ToString(), reply->replica};
      return Answer<SubmittedJob>{std::move(job), std::move(reply->body)};
    }
    if (!WorthAnotherTry(reply.status()) || Clock::now() + pause >= deadline) {
      return reply.status();
    }
    RestUntil(Clock::now() + pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(1000));
  }
}

absl::StatusOr<Answer<std::vector<JobRow>>> RestClient::ListJobs() {
  return Typed(SendOk("GET", "/v1/jobs/overview"), &ReadJobRows);
}

absl::StatusOr<Answer<JobView>> RestClient::GetJob(const std::string& id) {
  return Typed(SendOk("GET", "/v1/jobs/" + id), &ReadJobView);
}

absl::Status RestClient::Cancel(const std::string& id) {
  return SendOk("PATCH", "/v1/jobs/" + id + "?mode=cancel").status();
}

absl::StatusOr<LogPiece> RestClient::Logs(const LogRequest& request) {
  auto reply = SendOk("GET", LogPath(request));
  if (!reply.ok()) return reply.status();
  LogPiece piece;
  piece.text = std::move(reply->body);
  piece.size = request.offset + piece.text.size();
  if (const auto& size = reply->headers["x-baton-log-size"]; !size.empty()) {
    piece.size = std::strtoull(size.c_str(), nullptr, 10);
  }
  piece.ended = reply->headers["x-baton-log-ended"] == "true";
  return piece;
}

absl::StatusOr<Answer<LeaderView>> RestClient::Leader() {
  return Typed(SendOk("GET", "/v1/leader"), &ReadLeaderView);
}

absl::StatusOr<std::string> RestClient::Transfer() {
  auto reply = SendOk("POST", "/v1/leader/transfer");
  if (!reply.ok()) return reply.status();
  return std::move(reply->body);
}

absl::StatusOr<std::string> RestClient::RecoverPointers(const std::string& without) {
  auto reply =
      SendOk("POST", "/v1/recover-pointers" + (without.empty() ? "" : "?without=" + without));
  if (!reply.ok()) return reply.status();
  return std::move(reply->body);
}

absl::StatusOr<Answer<OverviewView>> RestClient::Overview() {
  return Typed(SendOk("GET", "/v1/overview"), &ReadOverviewView);
}

absl::StatusOr<Answer<std::vector<TaskManagerRow>>> RestClient::TaskManagers() {
  return Typed(SendOk("GET", "/v1/taskmanagers"), &ReadTaskManagerRows);
}

absl::StatusOr<Answer<std::vector<ReplicaRow>>> RestClient::Replicas() {
  return Typed(SendOk("GET", "/v1/replicas"), &ReadReplicaRows);
}

absl::StatusOr<std::string> RestClient::Failovers() {
  auto reply = SendOk("GET", "/v1/failovers");
  if (!reply.ok()) return reply.status();
  return std::move(reply->body);
}

absl::Status RestClient::Drain(const std::string& task_manager,
                               const std::optional<std::string>& deadline) {
  const std::string query = deadline ? "?deadline=" + Encode(*deadline) : "";
  return SendOk("POST", "/v1/taskmanagers/" + Encode(task_manager) + "/drain" + query).status();
}

absl::Status RestClient::CancelDrain(const std::string& task_manager) {
  return SendOk("DELETE", "/v1/taskmanagers/" + Encode(task_manager) + "/drain").status();
}

absl::Status RestClient::Forget(const std::string& task_manager) {
  return SendOk("POST", "/v1/taskmanagers/" + Encode(task_manager) + "/forget").status();
}

absl::Status RestClient::Retire(const std::string& replica) {
  return SendOk("POST", "/v1/replicas/" + Encode(replica) + "/retire").status();
}

absl::Status RestClient::Admit(const std::string& replica) {
  return SendOk("POST", "/v1/replicas/" + Encode(replica) + "/admit").status();
}

absl::StatusOr<uint32_t> RestClient::CurrentAttempt(const std::string& job,
                                                    const std::string& vertex, uint32_t subtask) {
  auto reply =
      SendOk("GET", fmt::format("/v1/jobs/{}/vertices/{}/subtasks/{}", job, vertex, subtask));
  if (!reply.ok()) return reply.status();
  return ReadAttempt(reply->body);
}

}  // namespace baton
