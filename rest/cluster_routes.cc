#include <algorithm>
#include <utility>
#include <vector>

#include "base/status.h"
#include "rest/gateway_answer.h"
#include "rest/json_shapes.h"
#include "rest/leader_routes.h"
#include "rest/responses.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;
using Infos = std::vector<TaskManagerInfo>;
using TaskManagersView = std::function<absl::StatusOr<std::string>(const Infos&)>;

LeaderCall AskTaskManagers(const ExecutorPtr& executor, TaskManagersView view) {
  LeaderCall call;
  call.ask = [executor, view = std::move(view)](const DispatcherGatewayPtr& gateway, Done done) {
    gateway->ListTaskManagers(Answering<Infos>(
        executor, std::move(done), [view](const Infos& infos) -> absl::StatusOr<HttpResponse> {
          absl::StatusOr<std::string> body = view(infos);
          if (!body.ok()) return body.status();
          return JsonResponse(200, *std::move(body));
        }));
  };
  return call;
}

CallOrAnswer OneTaskManager(const ExecutorPtr& executor, const RoutedRequest& request) {
  return AskTaskManagers(
      executor,
      [id = request.Param("taskmanagerid")](const Infos& infos) -> absl::StatusOr<std::string> {
        auto it = std::find_if(infos.begin(), infos.end(),
                               [&id](const TaskManagerInfo& info) { return info.id == id; });
        if (it == infos.end()) return NotFound("No TaskManager registered under {}.", id);
        return TaskManagerJson(*it);
      });
}

LeaderCall AskOverview(const ExecutorPtr& executor, const std::string& version) {
  LeaderCall call;
  call.ask = [executor, version](const DispatcherGatewayPtr& gateway, Done done) {
    gateway->GetOverview(Answering<ClusterOverview>(
        executor, std::move(done), [version](const ClusterOverview& overview) {
          return JsonResponse(200, OverviewJson(overview, version));
        }));
  };
  return call;
}

using Transfer = std::function<void(absl::AnyInvocable<void(absl::Status)>)>;

LeaderCall TransferCall(const ExecutorPtr& executor, const Transfer& transfer) {
  LeaderCall call;
  // If it was done and the answer lost, a repetition would depose the next leader too.
  call.repeat = LeaderCall::Repeat::kUnsafe;
  call.ask = [executor, transfer](const DispatcherGatewayPtr&, Done done) {
    auto answer = AnsweringStatus(executor, std::move(done), JsonResponse(202, "{}"));
    transfer([answer = std::move(answer)](absl::Status status) mutable {
      // Deposed on the way: the baton has moved, and its new holder is not to hand it over too.
      answer(status.code() == absl::StatusCode::kAborted ? absl::OkStatus() : std::move(status));
    });
  };
  return call;
}

}  // namespace

void AddClusterRoutes(const LeaderRoutesContext& context, Router& router) {
  const ExecutorPtr& executor = context.executor;
  auto add = [&router](const char* method, const char* pattern, auto route) {
    router.Add(method, pattern, LeaderRoute([route](const RoutedRequest& request) -> CallOrAnswer {
                 return route(request);
               }));
  };
  add("GET", "/overview", [executor, version = context.version](const RoutedRequest&) {
    return AskOverview(executor, version);
  });
  add("GET", "/taskmanagers",
      [executor](const RoutedRequest&) { return AskTaskManagers(executor, TaskManagersJson); });
  add("GET", "/taskmanagers/:taskmanagerid",
      [executor](const RoutedRequest& request) { return OneTaskManager(executor, request); });
  add("POST", "/leader/transfer", [executor, transfer = context.transfer](const RoutedRequest&) {
    return TransferCall(executor, transfer);
  });
}

}  // namespace baton
