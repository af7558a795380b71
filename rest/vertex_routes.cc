#include <algorithm>
#include <utility>
#include <vector>

#include "base/status.h"
#include "rest/gateway_answer.h"
#include "rest/json_shapes.h"
#include "rest/leader_routes.h"
#include "rest/path_params.h"
#include "rest/responses.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;
using VertexView = std::function<absl::StatusOr<std::string>(const VertexDetails&, WallMillis now)>;

CallOrAnswer AskVertex(const ExecutorPtr& executor, const RoutedRequest& request, VertexView view) {
  absl::StatusOr<JobId> id = JobIdParam(request);
  if (!id.ok()) return ErrorResponse(id.status());
  LeaderCall call;
  call.ask = [id = *id, vertex_id = request.Param("vertexid"), executor, view = std::move(view)](
                 const DispatcherGatewayPtr& gateway, Done done) {
    gateway->GetVertex(
        id, vertex_id,
        Answering<VertexDetails>(
            executor, std::move(done),
            [executor, view](const VertexDetails& vertex) -> absl::StatusOr<HttpResponse> {
              absl::StatusOr<std::string> body = view(vertex, executor->WallNow());
              if (!body.ok()) return body.status();
              return JsonResponse(200, *std::move(body));
            }));
  };
  return call;
}

LeaderRoute AboutVertex(ExecutorPtr executor,
                        std::string (*view)(const VertexDetails&, WallMillis)) {
  return
      [executor, view](const RoutedRequest& request) { return AskVertex(executor, request, view); };
}

absl::StatusOr<std::string> OneAttempt(const VertexDetails& vertex, uint32_t subtask,
                                       std::optional<uint32_t> attempt, WallMillis now) {
  auto it = std::find_if(vertex.subtasks.begin(), vertex.subtasks.end(),
                         [subtask](const AttemptDetails& a) { return a.subtask == subtask; });
  if (it == vertex.subtasks.end()) {
    return NotFound("Invalid subtask index for vertex {}: {}", vertex.id, subtask);
  }
  if (attempt && it->attempt != *attempt) {
    return NotFound("Invalid attempt num {}: subtask {} of vertex {} is at attempt {}", *attempt,
                    subtask, vertex.id, it->attempt);
  }
  return AttemptJson(*it, now);
}

CallOrAnswer Subtask(const ExecutorPtr& executor, const RoutedRequest& request) {
  absl::StatusOr<uint32_t> subtask = NumberParam(request, "subtaskindex");
  if (!subtask.ok()) return ErrorResponse(subtask.status());
  std::optional<uint32_t> attempt;
  if (request.params.contains("attempt")) {
    absl::StatusOr<uint32_t> number = NumberParam(request, "attempt");
    if (!number.ok()) return ErrorResponse(number.status());
    attempt = *number;
  }
  return AskVertex(executor, request,
                   [subtask = *subtask, attempt](const VertexDetails& vertex, WallMillis now) {
                     return OneAttempt(vertex, subtask, attempt, now);
                   });
}

}  // namespace

void AddVertexRoutes(const LeaderRoutesContext& context, Router& router) {
  const ExecutorPtr& executor = context.executor;
  const std::string vertex = "/jobs/:jobid/vertices/:vertexid";
  router.Add("GET", vertex, AboutVertex(executor, VertexJson));
  router.Add("GET", vertex + "/subtasktimes", AboutVertex(executor, SubtaskTimesJson));
  router.Add("GET", vertex + "/taskmanagers", AboutVertex(executor, VertexTaskManagersJson));
  LeaderRoute subtask = [executor](const RoutedRequest& request) {
    return Subtask(executor, request);
  };
  router.Add("GET", vertex + "/subtasks/:subtaskindex", subtask);
  router.Add("GET", vertex + "/subtasks/:subtaskindex/attempts/:attempt", subtask);
}

}  // namespace baton
