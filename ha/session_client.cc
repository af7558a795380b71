#include "ha/session_client.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/znode_path.h"

namespace baton {
namespace {

constexpr size_t kMaxPendingCalls = 100'000;
constexpr size_t kMaxWatchers = 100'000;

}  // namespace

SessionClient::SessionClient(ExecutorPtr executor, Duration session_timeout)
    : executor_(std::move(executor)), session_timeout_(session_timeout) {}

void SessionClient::OnExecutor(absl::AnyInvocable<void(SessionClient&)> action) {
  if (executor_->RunsInThisThread()) return action(*this);
  executor_->Post(
      [self = shared_from_this(), action = std::move(action)]() mutable { action(*self); });
}

void SessionClient::Start(std::function<void(SessionEvent)> listener) {
  OnExecutor([listener = std::move(listener)](SessionClient& self) mutable {
    if (self.started_ || self.closed_) return;
    self.started_ = true;
    self.listener_ = std::move(listener);
    // Not from within the caller's call.
    self.executor_->Post(IfAlive(self.weak_from_this(), [](SessionClient& client) {
      if (client.closed_) return;
      client.Enter(SessionState::kConnecting);
      if (!client.closed_) client.BeginSession();
      client.Tick();
    }));
  });
}

void SessionClient::Close() {
  OnExecutor([](SessionClient& self) {
    if (std::exchange(self.closed_, true)) return;
    self.EndSession();
    // Not from within the caller's call, which may be the listener's or a watcher's.
    self.executor_->Post([self = self.shared_from_this()] {
      self->listener_ = nullptr;
      self->watchers_.clear();
      End(self->TakePending(), Aborted("the session was closed"));
    });
  });
}

// ---- Calls

void SessionClient::Get(std::string path, Watcher watcher, Callback<NodeData> callback) {
  Submit({.kind = CallKind::kGet, .path = std::move(path)}, std::move(watcher),
         [callback = std::move(callback)](Answer answer) mutable {
           if (!answer.result.status.ok()) return callback(answer.result.status);
           callback(std::move(answer.node));
         });
}

void SessionClient::Children(std::string path, Watcher watcher,
                             Callback<std::vector<std::string>> callback) {
  Submit({.kind = CallKind::kChildren, .path = std::move(path)}, std::move(watcher),
         [callback = std::move(callback)](Answer answer) mutable {
           if (!answer.result.status.ok()) return callback(answer.result.status);
           callback(std::move(answer.children));
         });
}

void SessionClient::Create(std::string path, std::string data, NodeKind kind,
                           StatusCallback callback) {
  Multi({CoordinationOp::Create(std::move(path), std::move(data), kind)},
        [callback = std::move(callback)](MultiResult result) mutable { callback(result.status); });
}

void SessionClient::Set(std::string path, std::string data, int32_t version,
                        Callback<NodeStat> callback) {
  Submit({.kind = CallKind::kChange,
          .ops = {CoordinationOp::Set(std::move(path), std::move(data), version)}},
         nullptr, [callback = std::move(callback)](Answer answer) mutable {
           if (!answer.result.status.ok()) return callback(answer.result.status);
           callback(answer.node.stat);
         });
}

void SessionClient::Delete(std::string path, int32_t version, StatusCallback callback) {
  Multi({CoordinationOp::Delete(std::move(path), version)},
        [callback = std::move(callback)](MultiResult result) mutable { callback(result.status); });
}

void SessionClient::Multi(std::vector<CoordinationOp> ops, MultiCallback callback) {
  Submit({.kind = CallKind::kChange, .ops = std::move(ops)}, nullptr,
         [callback = std::move(callback)](Answer answer) mutable {
           callback(std::move(answer.result));
         });
}

void SessionClient::Sync(std::string path, StatusCallback callback) {
  Submit(
      {.kind = CallKind::kSync, .path = std::move(path)}, nullptr,
      [callback = std::move(callback)](Answer answer) mutable { callback(answer.result.status); });
}

void SessionClient::Submit(Call call, Watcher watcher, OnAnswer on_answer) {
  OnExecutor([call = std::move(call), watcher = std::move(watcher),
              on_answer = std::move(on_answer)](SessionClient& self) mutable {
    self.Launch(std::move(call), std::move(watcher), std::move(on_answer));
  });
}

void SessionClient::Launch(Call call, Watcher watcher, OnAnswer on_answer) {
  const uint64_t id = ++last_call_;
  call.id = id;
  call.has_watcher = watcher != nullptr;
  absl::Status status = Admit(call);
  if (status.ok()) status = Transmit(std::move(call));
  if (status.ok()) {
    if (watcher) watchers_.emplace(id, std::move(watcher));
    pending_.emplace(id, PendingCall{std::move(on_answer), executor_->Now()});
    return;
  }
  // A callback never runs within the call that it belongs to.
  executor_->Post([on_answer = std::move(on_answer), status = std::move(status)]() mutable {
    on_answer(Answer{.result = {std::move(status), std::nullopt}});
  });
}

absl::Status SessionClient::Admit(const Call& call) const {
  const bool is_change = call.kind == CallKind::kChange;
  absl::Status valid = is_change ? ValidateOps(call.ops) : ValidateZnodePath(call.path);
  if (!valid.ok()) return valid;
  if (closed_) return Aborted("the session was closed");
  if (state_ != SessionState::kConnected) return Unavailable("not connected");
  if (pending_.size() >= kMaxPendingCalls) return Unavailable("too many calls are pending");
  if (watchers_.size() >= kMaxWatchers) return Unavailable("too many watchers are set");
  return absl::OkStatus();
}

void SessionClient::Answered(uint64_t call_id, Answer answer) {
  auto it = pending_.find(call_id);
  if (it == pending_.end()) return;
  OnAnswer on_answer = std::move(it->second.on_answer);
  pending_.erase(it);
  const absl::Status& status = answer.result.status;
  if (!status.ok() && !absl::IsNotFound(status)) watchers_.erase(call_id);
  on_answer(std::move(answer));
}

SessionClient::PendingCalls SessionClient::TakePending() {
  PendingCalls calls = std::exchange(pending_, {});
  for (const auto& [id, call] : calls) watchers_.erase(id);
  return calls;
}

void SessionClient::End(PendingCalls calls, const absl::Status& status) {
  for (auto& [id, call] : calls) call.on_answer(Answer{.result = {status, std::nullopt}});
}

// ---- The session

void SessionClient::Connected(int64_t session_id) {
  if (closed_ || state_ == SessionState::kConnected) return;
  session_id_ = session_id;
  log::Info("connected to the coordination service session_id={:#x}", session_id_);
  Enter(SessionState::kConnected);
}

void SessionClient::Lost() {
  if (closed_ || state_ != SessionState::kConnected) return;
  log::Warning("lost the connection to the coordination service session_id={:#x}", session_id_);
  PendingCalls calls = TakePending();
  Enter(SessionState::kConnecting);
  End(std::move(calls), Unknown("the connection to the coordination service was lost"));
}

void SessionClient::Expired() {
  if (closed_) return;
  log::Warning("the session with the coordination service expired session_id={:#x}", session_id_);
  PendingCalls calls = TakePending();
  auto watchers = std::exchange(watchers_, {});
  Enter(SessionState::kExpired);
  session_id_ = 0;
  End(std::move(calls), Aborted("the session expired"));
  for (auto& [id, watcher] : watchers) {
    if (!closed_) watcher();
  }
  if (!closed_) BeginSession();
}

void SessionClient::Fired(uint64_t watch_id) {
  auto it = watchers_.find(watch_id);
  if (closed_ || it == watchers_.end()) return;
  Watcher watcher = std::move(it->second);
  watchers_.erase(it);
  watcher();
}

void SessionClient::Tick() {
  if (closed_) return;
  EndOverdue();
  if (!closed_) OnTick();
  executor_->PostAfter(session_timeout_ / kTicksPerTimeout,
                       IfAlive(weak_from_this(), [](SessionClient& self) { self.Tick(); }));
}

void SessionClient::EndOverdue() {
  // One tick early, so that none is later than the timeout.
  const Duration patience = session_timeout_ * (kTicksPerTimeout - 1) / kTicksPerTimeout;
  const TimePoint oldest = executor_->Now() - patience;
  PendingCalls overdue;
  while (!pending_.empty() && pending_.begin()->second.since <= oldest) {
    overdue.insert(pending_.extract(pending_.begin()));
  }
  for (const auto& [id, call] : overdue) watchers_.erase(id);
  End(std::move(overdue), Unknown("no answer within the session timeout"));
}

void SessionClient::Enter(SessionState state) {
  state_ = state;
  if (listener_) listener_({state, session_id_});
}

}  // namespace baton
