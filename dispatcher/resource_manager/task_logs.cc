// Reads the logs of attempts where they are: on the TaskManagers' disks.

#include <utility>

#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr Duration kLogTimeout = std::chrono::seconds(5);
// A read is answered with up to 1 MiB over the one link that carries a TaskManager's heartbeats and
// reports too, and a link for which 64 MiB wait is dropped. REST reads a few at a time; but of
// those that a slow network delays, each time-out lets others be asked, and their answers are on
// the way yet: they count until they are here, or the link is gone.
constexpr uint32_t kMaxReads = 32;
constexpr Duration kGivenUp = std::chrono::minutes(5);

// Answered once: by the TaskManager, or by the time-out.
struct LogAnswer {
  DispatcherGateway::Callback<TaskLogChunk> callback;
  TimerId timer = kNoTimer;

  void Give(absl::StatusOr<TaskLogChunk> chunk) {
    if (callback) std::exchange(callback, nullptr)(std::move(chunk));
  }
};

}  // namespace

void ResourceManager::ReadLog(const TaskManagerId& task_manager, const ExecutionAttemptId& id,
                              const TaskLogRequest& request,
                              DispatcherGateway::Callback<TaskLogChunk> callback) {
  if (!task_manager.empty()) {
    auto it = sessions_.find(task_manager);
    if (it != sessions_.end() && it->second->link) {
      return ReadLogFrom(it->second, id, request, std::move(callback));
    }
    return callback(
        Unavailable("TaskManager {}, which has the log, is not connected", task_manager.value()));
  }
  // After a failover: whoever has it may not have registered yet, so "nobody" would be a lie.
  if (!roster_settled()) {
    return callback(Unavailable("not all TaskManagers have registered with this leader yet"));
  }
  // All at once; the first that has it answers.
  struct Asked {
    DispatcherGateway::Callback<TaskLogChunk> callback;
    size_t missing = 1;

    void Answer(absl::StatusOr<TaskLogChunk> chunk) {
      if (callback && (chunk.ok() || missing == 1)) std::exchange(callback, nullptr)(chunk);
      --missing;
    }
  };
  auto asked = std::make_shared<Asked>();
  asked->callback = std::move(callback);
  for (const auto& [worker, session] : sessions_) {
    if (!session->link) continue;
    ++asked->missing;
    ReadLogFrom(session, id, request, [asked](auto chunk) { asked->Answer(std::move(chunk)); });
  }
  asked->Answer(
      NotFound("no TaskManager has the log of attempt {} of subtask {}", id.attempt, id.subtask));
}

void ResourceManager::ReadLogFrom(const SessionPtr& session, const ExecutionAttemptId& id,
                                  const TaskLogRequest& request,
                                  DispatcherGateway::Callback<TaskLogChunk> callback) {
  if (session->log_reads >= kMaxReads) {
    return callback(ResourceExhausted("{} reads of logs of TaskManager {} are under way",
                                      session->log_reads, session->id.value()));
  }
  ++session->log_reads;
  auto answer = std::make_shared<LogAnswer>();
  answer->callback = std::move(callback);
  answer->timer = deps_.executor->PostAfter(kLogTimeout, [answer, tm = session->id] {
    answer->Give(DeadlineExceeded("TaskManager {} has not sent the log in time", tm.value()));
  });
  pb::Envelope envelope;
  pb::ReadTaskLog& read = *envelope.mutable_read_task_log();
  *read.mutable_id() = ToProto(id);
  read.set_stream(request.stream);
  read.set_offset(request.offset);
  read.set_limit(request.limit);
  session->link->Call(
      std::move(envelope), kGivenUp,
      BindTo(deps_.executor, [executor = deps_.executor, session,
                              answer](absl::StatusOr<pb::Envelope> reply) {
        --session->log_reads;
        executor->Cancel(answer->timer);
        if (!reply.ok()) return answer->Give(reply.status());
        pb::ReadTaskLogReply& log = *reply->mutable_read_task_log_reply();
        answer->Give(TaskLogChunk{std::move(*log.mutable_content()), log.size(), log.ended()});
      }));
}

}  // namespace baton
