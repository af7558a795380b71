// What every replica answers itself.

#include "absl/strings/str_split.h"
#include "fmt/core.h"
#include "rest/json_shapes.h"
#include "rest/responses.h"
#include "rest/rest_endpoint.h"

namespace baton {
namespace {

constexpr char kLeaderAddressHeader[] = "X-Baton-Leader";

// For people and programs, as opposed to /leader, which is for load balancers.
HttpResponse WhoLeads(const LeadershipView& view) {
  if (!view.leader) return ErrorResponse(503, kNoLeaderSentence);
  return JsonResponse(200, LeaderJson(*view.leader));
}

}  // namespace

void RestEndpoint::AddStatusRoutes() {
  // The routes live in this object's router and never outlive it.
  auto add = [this](const char* pattern, auto answer) {
    router_.Add("GET", pattern, LocalRoute([this, answer](const RoutedRequest& request) {
                  return answer(*this, request);
                }));
  };
  using Self = const RestEndpoint&;
  add("/leader",
      [](Self self, const RoutedRequest& request) { return self.AnswerLeader(request); });
  add("/health", [](Self self, const RoutedRequest&) {
    return JsonResponse(200, HealthJson(self.options_.self, "ok"));
  });
  add("/ready", [](Self self, const RoutedRequest&) { return self.AnswerReady(); });
  add("/metrics", [](Self self, const RoutedRequest&) { return self.AnswerMetrics(); });
  add("/config", [](Self self, const RoutedRequest&) {
    return JsonResponse(200, ConfigJson(self.options_.version));
  });
  add("/replicas", [](Self self, const RoutedRequest&) {
    const auto& unreachable = self.deps_.unreachable;
    return JsonResponse(200, ReplicasJson(self.deps_.view(),
                                          unreachable ? unreachable() : std::set<std::string>()));
  });
  add("/failovers", [](Self self, const RoutedRequest&) {
    return JsonResponse(200, FailoversJson(self.history_.Snapshot()));
  });
  router_.Add("POST", "/recover-pointers",
              LocalWork([this](const RoutedRequest& request, HttpReply reply) {
                RecoverPointers(request, std::move(reply));
              }));
}

// Nobody leads when this is needed: the replica that is asked does it.
void RestEndpoint::RecoverPointers(const RoutedRequest& request, HttpReply reply) const {
  if (!deps_.recover_pointers) {
    return reply(ErrorResponse(409, "There is no tree to recover without ZooKeeper."));
  }
  std::set<std::string> without;
  for (const auto part :
       absl::StrSplit(request.Query("without").value_or(""), ',', absl::SkipEmpty())) {
    without.emplace(part);
  }
  deps_.recover_pointers(
      std::move(without), [reply = std::move(reply)](absl::StatusOr<std::string> report) mutable {
        reply(report.ok() ? JsonResponse(200, *std::move(report)) : ErrorResponse(report.status()));
      });
}

// /leader is 200 on the leader alone, so that a balancer finds it; /v1/leader says everywhere who
// leads.
HttpResponse RestEndpoint::AnswerLeader(const RoutedRequest& request) const {
  const LeadershipView view = deps_.view();
  if (request.http.target.starts_with("/v1/")) return WhoLeads(view);
  if (!view.leader) return ErrorResponse(502, kNoLeaderSentence);
  HttpResponse response;
  if (view.self_leads) {
    response = JsonResponse(200, LeaderJson(*view.leader));
  } else if (view.leader->replica_id() == options_.self.value()) {
    response = ErrorResponse(503, fmt::format("Replica {} was elected but does not serve as the "
                                              "leader now (epoch {}).",
                                              options_.self.value(), view.leader->epoch()));
  } else {
    response = ErrorResponse(
        503,
        fmt::format("This is a standby. The leader is replica {} at {} (epoch {}).",
                    view.leader->replica_id(), view.leader->rest_address(), view.leader->epoch()));
  }
  response.SetHeader(kLeaderAddressHeader, view.leader->rest_address());
  return response;
}

// Not whether ZooKeeper is in sight: while it is away all replicas would leave the balancer at
// once, and it, not they, would answer what they can answer (3.5).
HttpResponse RestEndpoint::AnswerReady() const {
  const LeadershipView view = deps_.view();
  if (!accepting_) return ErrorResponse(503, "Not ready: shutting down.");
  if (!deps_.store_ready()) return ErrorResponse(503, "Not ready: the store is not open.");
  if (view.last_winner.epoch() == 0 && !view.leader) {
    return ErrorResponse(503, "Not ready: no leader has been seen yet.");
  }
  return JsonResponse(200, HealthJson(options_.self, "ready"));
}

HttpResponse RestEndpoint::AnswerMetrics() const {
  const LeaderRelay::Counters& relay = relay_->counters();
  std::string text = deps_.metrics ? deps_.metrics() : "";
  auto add = [&text](const char* name, const char* type, const char* help, uint64_t value) {
    text += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
  };
  add("baton_rest_requests_total", "counter", "HTTP requests received.", requests_);
  add("baton_rest_pending_requests", "gauge", "Requests asked of a leader or held for one.",
      relay.pending);
  add("baton_rest_forwarded_total", "counter", "Requests sent to the leading replica.",
      relay.forwarded);
  add("baton_rest_retried_total", "counter", "Requests asked again after a leader was lost.",
      relay.retried);
  add("baton_rest_no_leader_total", "counter", "Requests answered 503: no leader came in time.",
      relay.gave_up);
  add("baton_rest_overload_total", "counter", "Requests answered 429: too many were waiting.",
      relay.refused);
  HttpResponse response = TextResponse(200, std::move(text));
  response.SetHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

}  // namespace baton
