#include "ha/embedded_client.h"

#include <cstdlib>
#include <map>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/znode_path.h"

namespace baton {
namespace embedded {
namespace {

// Connection attempts and pings come this often in a session timeout; with the loss noticed after
// four of six, every call is answered within the timeout.
constexpr int kTicksPerTimeout = 6;
constexpr int kSilentTicksToLoss = 4;
constexpr size_t kMaxPendingCalls = 100'000;
constexpr size_t kMaxWatchers = 100'000;

// One client, one session at a time. Lives on its executor; its methods may be called from any
// thread. The pending calls of a lost connection end with kUnknown.
class EmbeddedClient final : public CoordinationClient,
                             public Peer,
                             public std::enable_shared_from_this<EmbeddedClient> {
 public:
  EmbeddedClient(EmbeddedCoordinationServerPtr server, ExecutorPtr executor, Duration timeout)
      : server_(std::move(server)),
        executor_(std::move(executor)),
        timeout_(timeout),
        id_(server_->NewClientId()) {}

  ClientId id() const { return id_; }

  // CoordinationClient
  void Start(std::function<void(SessionEvent)> listener) override;
  void Close() override;
  void Get(std::string path, Watcher watcher, Callback<NodeData> callback) override;
  void Children(std::string path, Watcher watcher,
                Callback<std::vector<std::string>> callback) override;
  void Create(std::string path, std::string data, NodeKind kind, StatusCallback callback) override;
  void Set(std::string path, std::string data, int32_t version,
           Callback<NodeStat> callback) override;
  void Delete(std::string path, int32_t version, StatusCallback callback) override;
  void Multi(std::vector<CoordinationOp> ops, MultiCallback callback) override;
  void Sync(std::string path, StatusCallback callback) override;

  // Peer
  void Receive(ServerMessage message) override;

 private:
  using OnAnswer = absl::AnyInvocable<void(AnswerMessage)>;
  struct PendingCall {
    OnAnswer on_answer;
    Watcher watcher;
    uint64_t watch_id;
  };

  void OnExecutor(absl::AnyInvocable<void(EmbeddedClient&)> action);
  void Call(CallRequest request, Watcher watcher, OnAnswer on_answer);
  void SendCall(CallRequest request, Watcher watcher, OnAnswer on_answer);
  absl::Status Admit(const CallRequest& request) const;
  void Fail(OnAnswer on_answer, absl::Status status);

  void Handle(ConnectedMessage message);
  void Handle(PongMessage message);
  void Handle(ResetMessage message);
  void Handle(ExpiredMessage message);
  void Handle(FiredMessage message);
  void Handle(AnswerMessage message);

  void Tick();
  void SendConnect();
  void Lose();
  void EndPending(const absl::Status& status);
  void Enter(SessionState state);
  void Send(Request request);

  // Constant after construction.
  const EmbeddedCoordinationServerPtr server_;
  const ExecutorPtr executor_;
  const Duration timeout_;
  const ClientId id_;

  // On executor_ only.
  std::function<void(SessionEvent)> listener_;
  SessionState state_ = SessionState::kConnecting;
  int64_t session_id_ = 0;
  ConnectionId connection_ = 1;
  TimePoint last_heard_{};
  uint64_t last_call_ = 0;
  std::map<uint64_t, PendingCall> pending_;  // in the order of the calls
  std::map<uint64_t, Watcher> watchers_;
  bool started_ = false;
  bool closed_ = false;
};

void EmbeddedClient::OnExecutor(absl::AnyInvocable<void(EmbeddedClient&)> action) {
  if (executor_->RunsInThisThread()) return action(*this);
  executor_->Post(
      [self = shared_from_this(), action = std::move(action)]() mutable { action(*self); });
}

void EmbeddedClient::Start(std::function<void(SessionEvent)> listener) {
  OnExecutor([listener = std::move(listener)](EmbeddedClient& self) mutable {
    if (self.started_ || self.closed_) return;
    self.started_ = true;
    self.listener_ = std::move(listener);
    // Not from within the caller's call.
    self.executor_->Post(IfAlive(self.weak_from_this(), [](EmbeddedClient& client) {
      if (client.closed_) return;
      client.Enter(SessionState::kConnecting);
      client.Tick();
    }));
  });
}

void EmbeddedClient::Close() {
  OnExecutor([](EmbeddedClient& self) {
    if (std::exchange(self.closed_, true)) return;
    if (self.session_id_ != 0) self.Send(CloseRequest{self.session_id_});
    self.watchers_.clear();
    self.executor_->Post([self = self.shared_from_this()] {
      self->EndPending(Aborted("the session was closed"));
      self->listener_ = nullptr;
    });
  });
}

void EmbeddedClient::Get(std::string path, Watcher watcher, Callback<NodeData> callback) {
  Call({.kind = CallRequest::Kind::kGet, .path = std::move(path)}, std::move(watcher),
       [callback = std::move(callback)](AnswerMessage answer) mutable {
         if (!answer.result.status.ok()) return callback(answer.result.status);
         callback(std::move(answer.node));
       });
}

void EmbeddedClient::Children(std::string path, Watcher watcher,
                              Callback<std::vector<std::string>> callback) {
  Call({.kind = CallRequest::Kind::kChildren, .path = std::move(path)}, std::move(watcher),
       [callback = std::move(callback)](AnswerMessage answer) mutable {
         if (!answer.result.status.ok()) return callback(answer.result.status);
         callback(std::move(answer.children));
       });
}

void EmbeddedClient::Create(std::string path, std::string data, NodeKind kind,
                            StatusCallback callback) {
  Multi({CoordinationOp::Create(std::move(path), std::move(data), kind)},
        [callback = std::move(callback)](MultiResult result) mutable { callback(result.status); });
}

void EmbeddedClient::Set(std::string path, std::string data, int32_t version,
                         Callback<NodeStat> callback) {
  Call({.kind = CallRequest::Kind::kChange,
        .ops = {CoordinationOp::Set(std::move(path), std::move(data), version)}},
       nullptr, [callback = std::move(callback)](AnswerMessage answer) mutable {
         if (!answer.result.status.ok()) return callback(answer.result.status);
         callback(answer.node.stat);
       });
}

void EmbeddedClient::Delete(std::string path, int32_t version, StatusCallback callback) {
  Multi({CoordinationOp::Delete(std::move(path), version)},
        [callback = std::move(callback)](MultiResult result) mutable { callback(result.status); });
}

void EmbeddedClient::Multi(std::vector<CoordinationOp> ops, MultiCallback callback) {
  Call({.kind = CallRequest::Kind::kChange, .ops = std::move(ops)}, nullptr,
       [callback = std::move(callback)](AnswerMessage answer) mutable {
         callback(std::move(answer.result));
       });
}

void EmbeddedClient::Sync(std::string path, StatusCallback callback) {
  Call({.kind = CallRequest::Kind::kSync, .path = std::move(path)}, nullptr,
       [callback = std::move(callback)](AnswerMessage answer) mutable {
         callback(answer.result.status);
       });
}

void EmbeddedClient::Call(CallRequest request, Watcher watcher, OnAnswer on_answer) {
  OnExecutor([request = std::move(request), watcher = std::move(watcher),
              on_answer = std::move(on_answer)](EmbeddedClient& self) mutable {
    self.SendCall(std::move(request), std::move(watcher), std::move(on_answer));
  });
}

void EmbeddedClient::SendCall(CallRequest request, Watcher watcher, OnAnswer on_answer) {
  if (auto status = Admit(request); !status.ok()) return Fail(std::move(on_answer), status);
  request.connection = connection_;
  request.call_id = ++last_call_;
  request.watch_id = watcher ? request.call_id : 0;
  pending_.emplace(request.call_id,
                   PendingCall{std::move(on_answer), std::move(watcher), request.watch_id});
  Send(std::move(request));
}

absl::Status EmbeddedClient::Admit(const CallRequest& request) const {
  const bool is_change = request.kind == CallRequest::Kind::kChange;
  absl::Status valid = is_change ? ValidateOps(request.ops) : ValidateZnodePath(request.path);
  if (!valid.ok()) return valid;
  if (closed_) return Aborted("the session was closed");
  if (state_ != SessionState::kConnected) return Unavailable("not connected");
  if (pending_.size() >= kMaxPendingCalls) return Unavailable("too many calls are pending");
  if (watchers_.size() >= kMaxWatchers) return Unavailable("too many watchers are set");
  return absl::OkStatus();
}

void EmbeddedClient::Fail(OnAnswer on_answer, absl::Status status) {
  // A callback never runs within the call that it belongs to.
  executor_->Post([on_answer = std::move(on_answer), status = std::move(status)]() mutable {
    on_answer(AnswerMessage{.result = {std::move(status), std::nullopt}});
  });
}

void EmbeddedClient::Receive(ServerMessage message) {
  if (closed_) return;
  std::visit([this](auto& kind) { Handle(std::move(kind)); }, message);
}

void EmbeddedClient::Handle(ConnectedMessage message) {
  if (message.connection != connection_ || state_ == SessionState::kConnected) return;
  session_id_ = message.session_id;
  last_heard_ = executor_->Now();
  Enter(SessionState::kConnected);
}

void EmbeddedClient::Handle(PongMessage message) {
  if (message.connection == connection_) last_heard_ = executor_->Now();
}

void EmbeddedClient::Handle(ResetMessage message) {
  if (message.connection == connection_ && state_ == SessionState::kConnected) Lose();
}

void EmbeddedClient::Handle(ExpiredMessage message) {
  if (message.session_id != session_id_) return;
  log::Warning("session expired session_id={:#x}", session_id_);
  ++connection_;
  auto watchers = std::exchange(watchers_, {});
  // Whoever leads by this session hears first that it is over.
  Enter(SessionState::kExpired);
  session_id_ = 0;
  EndPending(Aborted("the session expired"));
  for (auto& [id, watcher] : watchers) {
    if (!closed_) watcher();
  }
  if (!closed_) SendConnect();
}

void EmbeddedClient::Handle(FiredMessage message) {
  auto it = watchers_.find(message.watch_id);
  if (message.session_id != session_id_ || it == watchers_.end()) return;
  Watcher watcher = std::move(it->second);
  watchers_.erase(it);
  watcher();
}

void EmbeddedClient::Handle(AnswerMessage message) {
  if (message.connection != connection_) return;
  last_heard_ = executor_->Now();
  auto it = pending_.find(message.call_id);
  if (it == pending_.end()) return;
  PendingCall call = std::move(it->second);
  pending_.erase(it);
  const absl::Status& status = message.result.status;
  if (call.watcher && (status.ok() || absl::IsNotFound(status))) {
    watchers_.emplace(call.watch_id, std::move(call.watcher));
  }
  call.on_answer(std::move(message));
}

void EmbeddedClient::Tick() {
  if (closed_) return;
  const Duration tick = timeout_ / kTicksPerTimeout;
  if (state_ != SessionState::kConnected) {
    SendConnect();
  } else if (executor_->Now() - last_heard_ >= kSilentTicksToLoss * tick) {
    Lose();
  } else {
    Send(PingRequest{connection_});
  }
  executor_->PostAfter(tick, IfAlive(weak_from_this(), [](EmbeddedClient& self) { self.Tick(); }));
}

void EmbeddedClient::SendConnect() { Send(ConnectRequest{connection_, session_id_, timeout_}); }

void EmbeddedClient::Lose() {
  ++connection_;
  Enter(SessionState::kConnecting);
  EndPending(Unknown("the connection to the coordination service was lost"));
  if (!closed_) SendConnect();
}

void EmbeddedClient::EndPending(const absl::Status& status) {
  for (auto& [id, call] : std::exchange(pending_, {})) {
    call.on_answer(AnswerMessage{.result = {status, std::nullopt}});
  }
}

void EmbeddedClient::Enter(SessionState state) {
  state_ = state;
  if (listener_) listener_({state, session_id_});
}

void EmbeddedClient::Send(Request request) {
  server_->Send({id_, weak_from_this(), executor_}, std::move(request));
}

}  // namespace

ClientId IdOf(const CoordinationClient& client) {
  const auto* embedded_client = dynamic_cast<const EmbeddedClient*>(&client);
  if (embedded_client == nullptr) {
    log::Error("not a client of the embedded coordination service");
    std::abort();
  }
  return embedded_client->id();
}

}  // namespace embedded

CoordinationClientPtr NewEmbeddedClient(EmbeddedCoordinationServerPtr server, ExecutorPtr executor,
                                        Duration session_timeout) {
  return std::make_shared<embedded::EmbeddedClient>(std::move(server), std::move(executor),
                                                    session_timeout);
}

}  // namespace baton
