// What a replica answers over HTTP (Flink's DispatcherRestEndpoint): what it knows itself at once,
// everything else through the LeaderRelay, which asks the Dispatcher of this process or another
// replica.
//
// Handle, OnLeadershipChanged, StopAccepting and Stop may be called from any thread: routing and
// the checks of a request run on the caller's, the rest on the executor. Owned by the entrypoint;
// Stop answers everything that waits and everything that comes later with 503.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/random.h"
#include "ha/leader_election.h"
#include "job/job_graph.h"
#include "rest/http.h"
#include "rest/leader_history.h"
#include "rest/leader_relay.h"
#include "rest/router.h"
#include "rpc/dispatcher_gateway.h"

namespace baton {

struct RestEndpointOptions {
  ReplicaId self;
  std::string version;
  JobLimits job_limits;
  LeaderRelayLimits relay;
  size_t max_log_followers = 500;  // beyond: 429
};

class RestEndpoint final : public RequestHandler,
                           public std::enable_shared_from_this<RestEndpoint> {
 public:
  // The functions may be called from any thread, until Stop and as long as one of them runs.
  struct Dependencies {
    ExecutorPtr executor;
    RandomPtr random;
    HttpTransportPtr transport;
    std::function<LeadershipView()> view;                 // LeaderElection::Snapshot
    std::function<DispatcherGatewayPtr()> local_gateway;  // null unless this replica leads now
    std::function<bool()> store_ready;                    // for /ready
    // Replicas that this one cannot reach now, by id; null: not known.
    std::function<std::set<std::string>()> unreachable;
    // Hands the baton over; called only while this replica leads.
    std::function<void(absl::AnyInvocable<void(absl::Status)>)> transfer;
    std::function<std::string()> metrics;  // Prometheus text of the process; may be null
    // Reads and checks large bodies, on a thread of its own: reading some megabytes of JSON takes a
    // tenth of a second and more, and behind a few of them elections and leases would wait. Null:
    // the caller's thread.
    ExecutorPtr large_bodies;
    // Rebuilds the tree in the coordination service; answers with JSON. May be null.
    std::function<void(std::set<std::string> without,
                       absl::AnyInvocable<void(absl::StatusOr<std::string>)>)>
        recover_pointers;
  };

  static std::shared_ptr<RestEndpoint> New(Dependencies dependencies, RestEndpointOptions options);

  void Handle(HttpRequest request, HttpReply reply) override;

  // Call it with every change of the view, and when local_gateway begins to answer: requests that
  // are held wait for this.
  void OnLeadershipChanged(const LeadershipView& view);

  // From now on /ready says 503, so that balancers go elsewhere; requests are served.
  void StopAccepting();
  void Stop();

 private:
  RestEndpoint(Dependencies dependencies, RestEndpointOptions options);

  void Route(HttpRequest request, HttpReply reply);
  void RouteLater(HttpRequest request, HttpReply reply);

  void AddStatusRoutes();  // status_routes.cc
  void AddRoutesOfLeader();

  HttpResponse AnswerLeader(const RoutedRequest& request) const;
  HttpResponse AnswerReady() const;
  HttpResponse AnswerMetrics() const;
  void RecoverPointers(const RoutedRequest& request, HttpReply reply) const;
  void AskLeader(LeaderCall call, const HttpRequest& request, HttpReply reply);
  // Fills in what every answer carries.
  void Decorate(HttpResponse& response) const;

  const Dependencies deps_;
  const RestEndpointOptions options_;
  const std::shared_ptr<LeaderRelay> relay_;
  LeaderHistory history_;
  Router router_;  // constant after New
  std::atomic<bool> accepting_{true};
  std::atomic<uint64_t> requests_{0};
  std::atomic<size_t> large_bytes_{0};  // of bodies that wait for large_bodies
};

}  // namespace baton
