#include <algorithm>
#include <utility>
#include <vector>

#include "base/status.h"
#include "rest/json_shapes.h"
#include "rest/leader_routes.h"
#include "rest/responses.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;
using TaskManagersView =
    std::function<absl::StatusOr<std::string>(const std::vector<TaskManagerInfo>&)>;

LeaderCall AskTaskManagers(TaskManagersView view) {
  LeaderCall call;
  call.ask = [view = std::move(view)](const DispatcherGatewayPtr& gateway, Done done) {
    gateway->ListTaskManagers(
        [view, done = std::move(done)](absl::StatusOr<std::vector<TaskManagerInfo>> infos) mutable {
          if (!infos.ok()) return done(infos.status());
          absl::StatusOr<std::string> body = view(*infos);
          if (!body.ok()) return done(body.status());
          done(JsonResponse(200, *std::move(body)));
        });
  };
  return call;
}

CallOrAnswer OneTaskManager(const RoutedRequest& request) {
  return AskTaskManagers(
      [id = request.Param("taskmanagerid")](
          const std::vector<TaskManagerInfo>& infos) -> absl::StatusOr<std::string> {
        auto it = std::find_if(infos.begin(), infos.end(),
                               [&id](const TaskManagerInfo& info) { return info.id == id; });
        if (it == infos.end()) return NotFound("No TaskManager registered under {}.", id);
        return TaskManagerJson(*it);
      });
}

LeaderCall AskOverview(const std::string& version) {
  LeaderCall call;
  call.ask = [version](const DispatcherGatewayPtr& gateway, Done done) {
    gateway->GetOverview(
        [version, done = std::move(done)](absl::StatusOr<ClusterOverview> overview) mutable {
          if (!overview.ok()) return done(overview.status());
          done(JsonResponse(200, OverviewJson(*overview, version)));
        });
  };
  return call;
}

using Transfer = std::function<void(absl::AnyInvocable<void(absl::Status)>)>;

LeaderCall TransferCall(const Transfer& transfer) {
  LeaderCall call;
  // If it was done and the answer lost, a repetition would depose the next leader too.
  call.repeat = LeaderCall::Repeat::kUnsafe;
  call.ask = [transfer](const DispatcherGatewayPtr&, Done done) {
    transfer([done = std::move(done)](absl::Status status) mutable {
      if (!status.ok()) return done(std::move(status));
      done(JsonResponse(202, "{}"));
    });
  };
  return call;
}

}  // namespace

void AddClusterRoutes(const LeaderRoutesContext& context, Router& router) {
  router.Add("GET", "/overview",
             LeaderRoute([version = context.version](const RoutedRequest&) -> CallOrAnswer {
               return AskOverview(version);
             }));
  router.Add("GET", "/taskmanagers", LeaderRoute([](const RoutedRequest&) -> CallOrAnswer {
               return AskTaskManagers(TaskManagersJson);
             }));
  router.Add("GET", "/taskmanagers/:taskmanagerid", LeaderRoute(OneTaskManager));
  router.Add("POST", "/leader/transfer",
             LeaderRoute([transfer = context.transfer](const RoutedRequest&) -> CallOrAnswer {
               return TransferCall(transfer);
             }));
}

}  // namespace baton
