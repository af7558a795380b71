#include <utility>
#include <vector>

#include "base/status.h"
#include "rest/gateway_answer.h"
#include "rest/json_shapes.h"
#include "rest/leader_routes.h"
#include "rest/path_params.h"
#include "rest/responses.h"
#include "rest/submission.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;

// GET of something about one job: from its details and the time to a body.
using JobView = std::function<std::string(const JobDetails&, WallMillis now)>;

LeaderRoute AboutJob(ExecutorPtr executor, JobView view) {
  return [executor, view](const RoutedRequest& request) -> CallOrAnswer {
    absl::StatusOr<JobId> id = JobIdParam(request);
    if (!id.ok()) return ErrorResponse(id.status());
    LeaderCall call;
    call.ask = [id = *id, executor, view](const DispatcherGatewayPtr& gateway, Done done) {
      gateway->GetJob(id, Answering<JobDetails>(
                              executor, std::move(done), [executor, view](const JobDetails& job) {
                                return JsonResponse(200, view(job, executor->WallNow()));
                              }));
    };
    return call;
  };
}

using JobListView = std::function<std::string(const std::vector<JobOverview>&, WallMillis now)>;

LeaderRoute AboutAllJobs(ExecutorPtr executor, JobListView view) {
  return [executor, view](const RoutedRequest&) -> CallOrAnswer {
    LeaderCall call;
    call.ask = [executor, view](const DispatcherGatewayPtr& gateway, Done done) {
      gateway->ListJobs(Answering<std::vector<JobOverview>>(
          executor, std::move(done), [executor, view](const std::vector<JobOverview>& jobs) {
            return JsonResponse(200, view(jobs, executor->WallNow()));
          }));
    };
    return call;
  };
}

CallOrAnswer Exceptions(const ExecutorPtr& executor, const RoutedRequest& request) {
  constexpr uint64_t kDefaultCount = 20;
  absl::StatusOr<uint64_t> most = NumberQuery(request, "maxExceptions", kDefaultCount, UINT32_MAX);
  if (!most.ok()) return ErrorResponse(most.status());
  return AboutJob(executor, [most = *most](const JobDetails& job, WallMillis) {
    return JobExceptionsJson(job, most);
  })(request);
}

CallOrAnswer Cancel(const ExecutorPtr& executor, const RoutedRequest& request) {
  absl::StatusOr<JobId> id = JobIdParam(request);
  if (!id.ok()) return ErrorResponse(id.status());
  LeaderCall call;
  call.ask = [id = *id, executor](const DispatcherGatewayPtr& gateway, Done done) {
    gateway->CancelJob(id, AnsweringStatus(executor, std::move(done), JsonResponse(202, "{}")));
  };
  return call;
}

// Flink's PATCH: cancelling is its only mode, and the default.
CallOrAnswer Terminate(const ExecutorPtr& executor, const RoutedRequest& request) {
  const std::optional<std::string> mode = request.Query("mode");
  if (mode && *mode != "cancel") {
    return ErrorResponse(
        400, fmt::format("Bad request, could not parse parameters: Cannot resolve query parameter "
                         "(mode) from value \"{}\": expected cancel.",
                         *mode));
  }
  return Cancel(executor, request);
}

HttpResponse Submitted(const SubmitReply& reply) {
  HttpResponse response =
      JsonResponse(reply.already_known ? 200 : 202, SubmittedJson(reply.job_id));
  response.SetHeader("Location", "/jobs/" + reply.job_id.ToString());
  return response;
}

LeaderCall SubmitCall(const ExecutorPtr& executor, SubmitRequest submission,
                      const HttpRequest& request) {
  LeaderCall call;
  const JobId id = submission.job_id;
  call.forward = WithIdInPath(request, id);
  // The client did not choose the id perhaps; with it, even one that gets no answer can ask.
  call.answer_headers.emplace_back("X-Baton-Job-Id", id.ToString());
  call.ask = [executor, submission = std::move(submission)](const DispatcherGatewayPtr& gateway,
                                                            Done done) {
    gateway->SubmitJob(submission, Answering<SubmitReply>(executor, std::move(done), Submitted));
  };
  return call;
}

CallOrAnswer Submit(const LeaderRoutesContext& context, const RoutedRequest& request) {
  std::optional<JobId> path_id;
  if (request.params.contains("jobid")) {
    absl::StatusOr<JobId> id = JobIdParam(request);
    if (!id.ok()) return ErrorResponse(id.status());
    path_id = *id;
  }
  auto submission = ReadSubmission(request.http, path_id, context.job_limits, *context.random);
  if (auto* refusal = std::get_if<HttpResponse>(&submission)) return std::move(*refusal);
  return SubmitCall(context.executor, std::get<SubmitRequest>(std::move(submission)), request.http);
}

}  // namespace

void AddSubmissionRoutes(const LeaderRoutesContext& context, Router& router) {
  LeaderRoute submit = [context](const RoutedRequest& request) { return Submit(context, request); };
  router.Add("POST", "/jobs", submit);
  router.Add("PUT", "/jobs/:jobid", submit);
}

void AddJobRoutes(const LeaderRoutesContext& context, Router& router) {
  const ExecutorPtr& executor = context.executor;
  router.Add("GET", "/jobs",
             AboutAllJobs(executor, [](const auto& jobs, WallMillis) { return JobsJson(jobs); }));
  router.Add("GET", "/jobs/overview", AboutAllJobs(executor, JobsOverviewJson));
  router.Add("GET", "/jobs/:jobid", AboutJob(executor, JobDetailsJson));
  router.Add("GET", "/jobs/:jobid/execution-result", AboutJob(executor, JobExecutionResultJson));
  auto timeless = [&executor](std::string (*view)(const JobDetails&)) {
    return AboutJob(executor, [view](const JobDetails& job, WallMillis) { return view(job); });
  };
  router.Add("GET", "/jobs/:jobid/status", timeless(JobStatusJson));
  router.Add("GET", "/jobs/:jobid/plan", timeless(JobPlanJson));
  router.Add("GET", "/jobs/:jobid/config", timeless(JobConfigJson));
  router.Add("GET", "/jobs/:jobid/exceptions",
             LeaderRoute([executor](const RoutedRequest& request) {
               return Exceptions(executor, request);
             }));
  router.Add("PATCH", "/jobs/:jobid", LeaderRoute([executor](const RoutedRequest& request) {
               return Terminate(executor, request);
             }));
  // Flink's dashboard cancels with a GET.
  router.Add(
      "GET", "/jobs/:jobid/yarn-cancel",
      LeaderRoute([executor](const RoutedRequest& request) { return Cancel(executor, request); }));
}

}  // namespace baton
