// Reads the logs of attempts where they are: on the TaskManagers' disks.

#include <utility>

#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr Duration kLogTimeout = std::chrono::seconds(5);

}  // namespace

void ResourceManager::ReadLog(const TaskManagerId& task_manager, const ExecutionAttemptId& id,
                              const TaskLogRequest& request,
                              DispatcherGateway::Callback<TaskLogChunk> callback) {
  if (!task_manager.empty()) {
    auto it = sessions_.find(task_manager);
    if (it != sessions_.end() && it->second->link) {
      return ReadLogFrom(*it->second, id, request, std::move(callback));
    }
    return callback(
        Unavailable("TaskManager {}, which has the log, is not connected", task_manager.value()));
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
    ReadLogFrom(*session, id, request, [asked](auto chunk) { asked->Answer(std::move(chunk)); });
  }
  asked->Answer(
      NotFound("no TaskManager has the log of attempt {} of subtask {}", id.attempt, id.subtask));
}

void ResourceManager::ReadLogFrom(const TaskManagerSession& session, const ExecutionAttemptId& id,
                                  const TaskLogRequest& request,
                                  DispatcherGateway::Callback<TaskLogChunk> callback) {
  pb::Envelope envelope;
  pb::ReadTaskLog& read = *envelope.mutable_read_task_log();
  *read.mutable_id() = ToProto(id);
  read.set_stream(request.stream);
  read.set_offset(request.offset);
  read.set_limit(request.limit);
  session.link->Call(
      std::move(envelope), kLogTimeout,
      BindTo(deps_.executor,
             [callback = std::move(callback)](absl::StatusOr<pb::Envelope> reply) mutable {
               if (!reply.ok()) return callback(reply.status());
               pb::ReadTaskLogReply& log = *reply->mutable_read_task_log_reply();
               callback(TaskLogChunk{std::move(*log.mutable_content()), log.size(), log.ended()});
             }));
}

}  // namespace baton
