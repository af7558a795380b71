#include "rest/rest_endpoint.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rest/leader_routes.h"
#include "rest/responses.h"

namespace baton {
namespace {

constexpr char kReplicaHeader[] = "X-Baton-Replica";
constexpr size_t kLargeBody = 64 << 10;
constexpr size_t kMaxLargeBytes = 64 << 20;

// Of this hop, not of the message; and what only a client may say.
constexpr std::array kNotForwarded = {
    "Connection", "Keep-Alive",        "Host", "Content-Length",   "Expect",        "Upgrade",
    "Trailer",    "Transfer-Encoding", "TE",   "Proxy-Connection", kForwardedHeader};

// The request as another replica gets it. A HEAD goes as the GET that it asks about, and the body
// of its answer is left out at the end.
HttpRequest ForForwarding(HttpRequest request) {
  std::erase_if(request.headers, [](const auto& header) {
    return std::ranges::any_of(
        kNotForwarded, [&](const char* name) { return SameHeaderName(header.first, name); });
  });
  if (request.method == "HEAD") request.method = "GET";
  return request;
}

// A web page of somebody else, in the browser of somebody who can reach this replica, may not
// cancel jobs there: what changes something is refused where the page came from another host.
bool IsForeign(const HttpRequest& request) {
  const std::string origin = request.Header("Origin");
  if (origin.empty()) return false;
  const std::string path = request.target.substr(0, request.target.find('?'));
  const bool reads =
      (request.method == "GET" || request.method == "HEAD") && !path.ends_with("/yarn-cancel");
  const size_t scheme = origin.find("://");
  const std::string host = scheme == std::string::npos ? origin : origin.substr(scheme + 3);
  return !reads && host != request.Header("Host");
}

uint64_t EpochOf(const LeadershipView& view) {
  return view.leader ? view.leader->epoch() : view.last_winner.epoch();
}

}  // namespace

std::shared_ptr<RestEndpoint> RestEndpoint::New(Dependencies dependencies,
                                                RestEndpointOptions options) {
  std::shared_ptr<RestEndpoint> endpoint(
      new RestEndpoint(std::move(dependencies), std::move(options)));
  endpoint->AddStatusRoutes();
  endpoint->AddRoutesOfLeader();
  return endpoint;
}

RestEndpoint::RestEndpoint(Dependencies dependencies, RestEndpointOptions options)
    : deps_(std::move(dependencies)),
      options_(std::move(options)),
      relay_(std::make_shared<LeaderRelay>(
          LeaderRelay::Dependencies{deps_.executor, deps_.transport, deps_.view,
                                    deps_.local_gateway, options_.self},
          options_.relay)) {}

void RestEndpoint::AddRoutesOfLeader() {
  const LeaderRoutesContext context{deps_.executor,   deps_.random,   options_.job_limits,
                                    options_.version, deps_.transfer, options_.max_log_followers};
  AddClusterRoutes(context, router_);
  AddOperatorRoutes(context, router_);
  AddSubmissionRoutes(context, router_);
  AddJobRoutes(context, router_);
  AddVertexRoutes(context, router_);
  AddTaskLogRoutes(context, router_);
}

void RestEndpoint::Handle(HttpRequest request, HttpReply reply) {
  ++requests_;
  // Weak, because what is held for a leader would else keep alive its own holder.
  HttpReply decorated = [weak = weak_from_this(),
                         reply = std::move(reply)](HttpResponse response) mutable {
    if (auto self = weak.lock()) self->Decorate(response);
    reply(std::move(response));
  };
  if (IsForeign(request)) {
    return decorated(ErrorResponse(403, "A page of another origin may read here, not change."));
  }
  if (deps_.large_bodies && request.body.size() > kLargeBody) {
    return RouteLater(std::move(request), std::move(decorated));
  }
  Route(std::move(request), std::move(decorated));
}

void RestEndpoint::RouteLater(HttpRequest request, HttpReply reply) {
  const size_t bytes = request.body.size();
  if (large_bytes_.fetch_add(bytes) + bytes > kMaxLargeBytes) {
    large_bytes_ -= bytes;
    return reply(ErrorResponse(429, "Too many large requests wait to be read. Try again."));
  }
  deps_.large_bodies->Post([weak = weak_from_this(), bytes, request = std::move(request),
                            reply = std::move(reply)]() mutable {
    auto self = weak.lock();
    if (!self) return;
    self->large_bytes_ -= bytes;
    self->Route(std::move(request), std::move(reply));
  });
}

void RestEndpoint::Route(HttpRequest request, HttpReply decorated) {
  auto found = router_.Find(std::move(request));
  if (auto* refusal = std::get_if<HttpResponse>(&found)) return decorated(std::move(*refusal));
  auto& [route, routed] = std::get<Router::Match>(found);
  if (const auto* local = std::get_if<LocalRoute>(route)) return decorated((*local)(routed));
  if (const auto* work = std::get_if<LocalWork>(route))
    return (*work)(routed, std::move(decorated));
  auto call = std::get<LeaderRoute>(*route)(routed);
  if (auto* refusal = std::get_if<HttpResponse>(&call)) return decorated(std::move(*refusal));
  AskLeader(std::get<LeaderCall>(std::move(call)), routed.http, std::move(decorated));
}

void RestEndpoint::AskLeader(LeaderCall call, const HttpRequest& request, HttpReply reply) {
  const bool forwarded = !request.Header(kForwardedHeader).empty();
  call.origin = forwarded ? LeaderCall::Origin::kReplica : LeaderCall::Origin::kClient;
  // A submission has brought its own form, with its id.
  call.forward = ForForwarding(call.forward.method.empty() ? request : call.forward);
  relay_->Run(std::move(call), std::move(reply));
}

void RestEndpoint::OnLeadershipChanged(const LeadershipView& view) {
  history_.Observe(view, deps_.executor->Now());
  relay_->OnLeadershipChanged();
}

void RestEndpoint::StopAccepting() { accepting_ = false; }

void RestEndpoint::Stop() {
  accepting_ = false;
  relay_->Stop();
}

void RestEndpoint::Decorate(HttpResponse& response) const {
  response.SetHeader(kReplicaHeader, options_.self.value());
  response.SetHeader("Access-Control-Allow-Origin", "*");
  if (!response.Header(kEpochHeader).empty()) return;
  if (const uint64_t epoch = EpochOf(deps_.view()); epoch > 0) {
    response.SetHeader(kEpochHeader, std::to_string(epoch));
  }
}

}  // namespace baton
