#include "tests/simulation/simulated_client.h"

#include <utility>

namespace baton {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(25);
constexpr Duration kPause = std::chrono::milliseconds(200);

}  // namespace

void SimulatedClient::Submit(const SimulatedJob& job, size_t replica, Answered answered) {
  cluster_->recorder().Know(job);
  auto errand = std::make_shared<Errand>();
  if (!answered) errand->expected = {200, 201, 202};
  errand->request = {"PUT", "/v1/jobs/" + job.id.ToString(), {}, job.Json()};
  errand->request.SetHeader("Content-Type", "application/json");
  errand->replica = replica;
  errand->answered = [this, id = job.id, answered](const HttpResponse& response) {
    if (response.status / 100 == 2) cluster_->recorder().OnAcknowledged(id);
    if (answered) answered(response);
  };
  ++waiting_;
  Try(std::move(errand));
}

void SimulatedClient::SubmitOnce(const SimulatedJob& job, size_t replica) {
  cluster_->recorder().Know(job);
  HttpRequest request{"PUT", "/v1/jobs/" + job.id.ToString(), {}, job.Json()};
  request.SetHeader("Content-Type", "application/json");
  cluster_->client_http().Send(
      cluster_->RestAddress(replica), std::move(request), kTimeout, cluster_->client_executor(),
      IfAlive(weak_from_this(),
              [id = job.id](SimulatedClient& self, absl::StatusOr<HttpResponse> response) {
                if (response.ok() && response->status / 100 == 2) {
                  self.cluster_->recorder().OnAcknowledged(id);
                }
              }));
}

void SimulatedClient::Post(SimulatedJob job, size_t replica) {
  job.name = "posted-" + job.id.ToString();
  cluster_->recorder().KnowByName(job);
  HttpRequest request{"POST", "/v1/jobs", {}, job.Json()};
  request.SetHeader("Content-Type", "application/json");
  cluster_->client_http().Send(
      cluster_->RestAddress(replica), std::move(request), kTimeout, cluster_->client_executor(),
      IfAlive(weak_from_this(), [](SimulatedClient& self, absl::StatusOr<HttpResponse> response) {
        if (!response.ok() || response->status / 100 != 2) return;
        const auto id = JobId::Parse(response->Header("X-Baton-Job-Id"));
        if (id.ok()) self.cluster_->recorder().OnAcknowledged(*id);
      }));
}

void SimulatedClient::Cancel(const JobId& job, size_t replica, Answered answered) {
  auto errand = std::make_shared<Errand>();
  if (!answered) errand->expected = {200, 202, 404, 409};  // not submitted yet; has ended
  errand->request = {"PATCH", "/v1/jobs/" + job.ToString() + "?mode=cancel", {}, ""};
  errand->replica = replica;
  errand->answered = [this, job, answered](const HttpResponse& response) {
    if (response.status / 100 == 2) cluster_->recorder().OnCancelAcknowledged(job);
    if (answered) answered(response);
  };
  ++waiting_;
  Try(std::move(errand));
}

void SimulatedClient::Order(const std::string& method, const std::string& target, size_t replica) {
  auto errand = std::make_shared<Errand>();
  errand->request = {method, target, {}, ""};
  errand->replica = replica;
  ++waiting_;
  Try(std::move(errand));
}

void SimulatedClient::Try(std::shared_ptr<Errand> errand) {
  const std::string address = cluster_->RestAddress(errand->replica % cluster_->replicas());
  cluster_->client_http().Send(
      address, errand->request, kTimeout, cluster_->client_executor(),
      IfAlive(
          weak_from_this(), [errand](SimulatedClient& self, absl::StatusOr<HttpResponse> response) {
            if (response.ok()) ++self.statuses_[response->status];
            const bool later = !response.ok() || response->status == 503 || response->status == 429;
            if (!later) {
              --self.waiting_;
              self.CheckExpected(*errand, *response);
              if (errand->answered) errand->answered(*response);
              return;
            }
            ++errand->replica;
            self.cluster_->client_executor()->PostAfter(
                kPause, IfAlive(self.weak_from_this(),
                                [errand](SimulatedClient& again) { again.Try(errand); }));
          }));
}

// Whatever is in the way, a sound request is carried out, refused for what it asks, or told to come
// again.
void SimulatedClient::CheckExpected(const Errand& errand, const HttpResponse& response) {
  if (errand.expected.empty() || errand.expected.contains(response.status)) return;
  cluster_->Violated("P8", fmt::format("{} {} is answered with {}: {}", errand.request.method,
                                       errand.request.target, response.status, response.body));
}

std::optional<HttpResponse> SimulatedClient::Ask(size_t replica, const std::string& method,
                                                 const std::string& target, const std::string& body,
                                                 Duration limit) {
  auto answer = std::make_shared<std::optional<absl::StatusOr<HttpResponse>>>();
  HttpRequest request{method, target, {}, body};
  if (!body.empty()) request.SetHeader("Content-Type", "application/json");
  cluster_->client_http().Send(
      cluster_->RestAddress(replica), std::move(request), limit, cluster_->client_executor(),
      [answer](absl::StatusOr<HttpResponse> response) { *answer = response; });
  cluster_->RunUntil([&] { return answer->has_value(); }, limit + std::chrono::seconds(1));
  if (!answer->has_value() || !(*answer)->ok()) return std::nullopt;
  return ***answer;
}

std::string SimulatedClient::StateOf(const JobId& job, size_t replica) {
  const auto response = Ask(replica, "GET", "/v1/jobs/" + job.ToString());
  if (!response || response->status != 200) return "";
  constexpr std::string_view kField = "\"state\":\"";
  const size_t begin = response->body.find(kField);
  if (begin == std::string::npos) return "";
  const size_t from = begin + kField.size();
  return response->body.substr(from, response->body.find('"', from) - from);
}

}  // namespace baton
