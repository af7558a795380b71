// What operators ask of the leader about TaskManagers and replicas.

#include <string>
#include <utility>

#include "base/status.h"
#include "base/units.h"
#include "rest/gateway_answer.h"
#include "rest/leader_routes.h"
#include "rest/responses.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;
using StatusCallback = absl::AnyInvocable<void(absl::Status)>;

// `question(gateway, callback)`. Everything here may be asked again: it says what shall be, not
// what shall be done once more.
template <class Question>
LeaderCall Ask(const ExecutorPtr& executor, Question question) {
  LeaderCall call;
  call.ask = [executor, question = std::move(question)](const DispatcherGatewayPtr& gateway,
                                                        Done done) {
    question(*gateway, AnsweringStatus(executor, std::move(done), JsonResponse(202, "{}")));
  };
  return call;
}

CallOrAnswer BeginDrain(const ExecutorPtr& executor, const RoutedRequest& request) {
  DrainRequest drain{.task_manager = request.Param("taskmanagerid"),
                     .action = DrainRequest::Action::kBegin,
                     .deadline = std::nullopt};
  if (const auto text = request.Query("deadline")) {
    const absl::StatusOr<Duration> deadline = ParseDuration(*text);
    if (!deadline.ok()) {
      return ErrorResponse(
          InvalidArgument("query parameter \"deadline\": {}", Message(deadline.status())));
    }
    drain.deadline = *deadline;
  }
  return Ask(executor, [drain](DispatcherGateway& gateway, StatusCallback callback) {
    gateway.DrainTaskManager(drain, std::move(callback));
  });
}

CallOrAnswer CancelDrain(const ExecutorPtr& executor, const RoutedRequest& request) {
  const DrainRequest drain{.task_manager = request.Param("taskmanagerid"),
                           .action = DrainRequest::Action::kCancel,
                           .deadline = std::nullopt};
  return Ask(executor, [drain](DispatcherGateway& gateway, StatusCallback callback) {
    gateway.DrainTaskManager(drain, std::move(callback));
  });
}

CallOrAnswer Forget(const ExecutorPtr& executor, const RoutedRequest& request) {
  return Ask(executor, [id = request.Param("taskmanagerid")](DispatcherGateway& gateway,
                                                             StatusCallback callback) {
    gateway.ForgetTaskManager(id, std::move(callback));
  });
}

CallOrAnswer Retire(const ExecutorPtr& executor, const RoutedRequest& request) {
  return Ask(executor, [id = ReplicaId(request.Param("replicaid"))](DispatcherGateway& gateway,
                                                                    StatusCallback callback) {
    gateway.RetireReplica(id, std::move(callback));
  });
}

CallOrAnswer Admit(const ExecutorPtr& executor, const RoutedRequest& request) {
  return Ask(executor, [id = ReplicaId(request.Param("replicaid"))](DispatcherGateway& gateway,
                                                                    StatusCallback callback) {
    gateway.AdmitReplica(id, std::move(callback));
  });
}

}  // namespace

void AddOperatorRoutes(const LeaderRoutesContext& context, Router& router) {
  using Handler = CallOrAnswer (*)(const ExecutorPtr&, const RoutedRequest&);
  const auto add = [&](const char* method, const char* pattern, Handler handler) {
    router.Add(method, pattern,
               LeaderRoute([executor = context.executor, handler](const RoutedRequest& request) {
                 return handler(executor, request);
               }));
  };
  add("POST", "/taskmanagers/:taskmanagerid/drain", BeginDrain);
  add("DELETE", "/taskmanagers/:taskmanagerid/drain", CancelDrain);
  add("POST", "/taskmanagers/:taskmanagerid/forget", Forget);
  add("POST", "/replicas/:replicaid/retire", Retire);
  add("POST", "/replicas/:replicaid/admit", Admit);
}

}  // namespace baton
