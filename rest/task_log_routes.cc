#include <atomic>
#include <deque>
#include <memory>
#include <utility>

#include "base/status.h"
#include "fmt/core.h"
#include "rest/gateway_answer.h"
#include "rest/leader_routes.h"
#include "rest/path_params.h"
#include "rest/responses.h"

namespace baton {
namespace {

using Done = LeaderCall::Done;
using CallOrAnswer = std::variant<LeaderCall, HttpResponse>;

constexpr uint64_t kDefaultLimit = 1 << 20;
constexpr uint64_t kMaxLimit = 1 << 20;  // travels in one frame from the TaskManager
// The link to a TaskManager carries its heartbeats too, and drops a peer for whom too much waits.
constexpr size_t kMaxReads = 16;
constexpr Duration kFollowFor = std::chrono::seconds(10);
constexpr Duration kFollowEvery = std::chrono::milliseconds(200);

HttpResponse LogResponse(TaskLogChunk chunk) {
  HttpResponse response = TextResponse(200, std::move(chunk.content));
  response.SetHeader("X-Baton-Log-Size", std::to_string(chunk.size));
  response.SetHeader("X-Baton-Log-Ended", chunk.ended ? "true" : "false");
  return response;
}

// How many requests of this replica follow a log. A ticket goes with the question, wherever that is
// held or forwarded, and comes back with its end. Any thread.
class Followers {
 public:
  explicit Followers(size_t limit) : limit_(limit) {}

  using Ticket = std::shared_ptr<void>;

  // Null: there are too many.
  static Ticket Take(const std::shared_ptr<Followers>& followers) {
    if (++followers->count_ > followers->limit_) {
      --followers->count_;
      return nullptr;
    }
    return Ticket(followers.get(), [followers](void*) { --followers->count_; });
  }

  size_t limit() const { return limit_; }

 private:
  const size_t limit_;
  std::atomic<size_t> count_ = 0;
};

// Asks for a bounded number of pieces of logs at once; the others wait (each holds one of the
// relay's bounded places). Lives on `executor`.
class LogReads : public std::enable_shared_from_this<LogReads> {
 public:
  using Callback = DispatcherGateway::Callback<TaskLogChunk>;

  explicit LogReads(ExecutorPtr executor) : executor_(std::move(executor)) {}

  // From anywhere; the callback comes on the executor.
  void Read(DispatcherGatewayPtr gateway, TaskLogRequest request, Callback callback) {
    executor_->Post([self = shared_from_this(), gateway = std::move(gateway),
                     request = std::move(request), callback = std::move(callback)]() mutable {
      self->waiting_.push_back({std::move(gateway), std::move(request), std::move(callback)});
      self->StartNext();
    });
  }

 private:
  struct Waiting {
    DispatcherGatewayPtr gateway;
    TaskLogRequest request;
    Callback callback;
  };

  void StartNext() {
    while (running_ < kMaxReads && !waiting_.empty()) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      ++running_;
      // Given back with the callback, called or not: a leader that stops may drop it.
      std::shared_ptr<void> place(nullptr, [executor = executor_, weak = weak_from_this()](void*) {
        executor->Post(IfAlive(weak, [](LogReads& self) {
          --self.running_;
          self.StartNext();
        }));
      });
      next.gateway->ReadTaskLog(
          std::move(next.request),
          BindTo(executor_, [place = std::move(place), callback = std::move(next.callback)](
                                absl::StatusOr<TaskLogChunk> chunk) mutable {
            place.reset();
            callback(std::move(chunk));
          }));
    }
  }

  const ExecutorPtr executor_;
  size_t running_ = 0;
  std::deque<Waiting> waiting_;
};

// Reads until there is something beyond the offset, the log has ended or the time is over. Kept
// alive by the callback or timer that it waits for; lives on the executor.
class LogFollower : public std::enable_shared_from_this<LogFollower> {
 public:
  LogFollower(ExecutorPtr executor, std::shared_ptr<LogReads> reads, DispatcherGatewayPtr gateway,
              TaskLogRequest request, Done done)
      : executor_(std::move(executor)),
        reads_(std::move(reads)),
        gateway_(std::move(gateway)),
        request_(std::move(request)),
        done_(std::move(done)),
        until_(executor_->Now() + kFollowFor) {}

  // The first time from anywhere.
  void Read() {
    reads_->Read(gateway_, request_,
                 [self = shared_from_this()](absl::StatusOr<TaskLogChunk> chunk) {
                   self->OnChunk(std::move(chunk));
                 });
  }

 private:
  void OnChunk(absl::StatusOr<TaskLogChunk> chunk) {
    if (!chunk.ok()) return done_(chunk.status());
    if (!chunk->content.empty() || chunk->ended || executor_->Now() >= until_) {
      return done_(LogResponse(*std::move(chunk)));
    }
    executor_->PostAfter(kFollowEvery, [self = shared_from_this()] { self->Read(); });
  }

  const ExecutorPtr executor_;
  const std::shared_ptr<LogReads> reads_;
  const DispatcherGatewayPtr gateway_;
  const TaskLogRequest request_;
  Done done_;
  const TimePoint until_;
};

absl::StatusOr<TaskLogRequest> ReadRequest(const RoutedRequest& request, std::string stream) {
  absl::StatusOr<JobId> job = JobIdParam(request);
  if (!job.ok()) return job.status();
  absl::StatusOr<uint32_t> subtask = NumberParam(request, "subtaskindex");
  if (!subtask.ok()) return subtask.status();
  absl::StatusOr<uint32_t> attempt = NumberParam(request, "attempt");
  if (!attempt.ok()) return attempt.status();
  absl::StatusOr<uint64_t> offset = NumberQuery(request, "offset", 0, INT64_MAX);
  if (!offset.ok()) return offset.status();
  absl::StatusOr<uint64_t> limit = NumberQuery(request, "limit", kDefaultLimit, UINT32_MAX);
  if (!limit.ok()) return limit.status();
  TaskLogRequest log;
  log.job = *job;
  log.vertex_id = request.Param("vertexid");
  log.subtask = *subtask;
  log.attempt = *attempt;
  log.stream = std::move(stream);
  log.offset = *offset;
  log.limit = static_cast<uint32_t>(std::min(*limit, kMaxLimit));
  return log;
}

// What the log routes of one replica share.
struct LogContext {
  ExecutorPtr executor;
  std::shared_ptr<LogReads> reads;
  std::shared_ptr<Followers> followers;
};

CallOrAnswer TaskLog(const LogContext& context, const RoutedRequest& request,
                     const std::string& stream) {
  absl::StatusOr<TaskLogRequest> log = ReadRequest(request, stream);
  if (!log.ok()) return ErrorResponse(log.status());
  absl::StatusOr<bool> follow = FlagQuery(request, "follow");
  if (!follow.ok()) return ErrorResponse(follow.status());
  LeaderCall call;
  if (!*follow || log->limit == 0) {
    call.ask = [context, log = *log](const DispatcherGatewayPtr& gateway, Done done) {
      context.reads->Read(gateway, log,
                          Answering<TaskLogChunk>(context.executor, std::move(done), LogResponse));
    };
    return call;
  }
  Followers::Ticket ticket = Followers::Take(context.followers);
  if (!ticket) {
    return ErrorResponse(429, fmt::format("Too many requests follow a log (the limit is {}). Try "
                                          "again, or ask without follow.",
                                          context.followers->limit()));
  }
  call.ask = [context, log = *log, ticket = std::move(ticket)](const DispatcherGatewayPtr& gateway,
                                                               Done done) {
    std::make_shared<LogFollower>(context.executor, context.reads, gateway, log, std::move(done))
        ->Read();
  };
  return call;
}

}  // namespace

void AddTaskLogRoutes(const LeaderRoutesContext& context, Router& router) {
  const LogContext logs{context.executor, std::make_shared<LogReads>(context.executor),
                        std::make_shared<Followers>(context.max_log_followers)};
  for (const std::string stream : {"stdout", "stderr"}) {
    router.Add("GET",
               "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/attempts/:attempt/" + stream,
               LeaderRoute([logs, stream](const RoutedRequest& request) {
                 return TaskLog(logs, request, stream);
               }));
  }
}

}  // namespace baton
