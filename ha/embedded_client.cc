#include "ha/embedded_client.h"

#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "ha/session_client.h"

namespace baton {
namespace embedded {
namespace {

// With the loss noticed after four silent ticks of six, the client reconnects within its timeout.
constexpr int kSilentTicksToLoss = 4;

// A SessionClient whose connection is posting. A connection is numbered; it breaks by a reset or
// when the server's answers to the pings fail to come.
class EmbeddedClient final : public SessionClient, public Peer {
 public:
  EmbeddedClient(EmbeddedCoordinationServerPtr server, ExecutorPtr executor, Duration timeout)
      : SessionClient(std::move(executor), timeout),
        server_(std::move(server)),
        id_(server_->NewClientId()) {}

  ClientId id() const { return id_; }

  void Receive(ServerMessage message) override {
    if (closed()) return;
    std::visit([this](auto& kind) { Handle(std::move(kind)); }, message);
  }

 private:
  void BeginSession() override {
    ++connection_;
    SendConnect();
  }

  absl::Status Transmit(Call call) override {
    Send(CallRequest{connection_, call.id, ToRequestKind(call.kind), std::move(call.path),
                     call.has_watcher ? call.id : 0, std::move(call.ops)});
    return absl::OkStatus();
  }

  void OnTick() override {
    const Duration silence = executor()->Now() - last_heard_;
    if (state() != SessionState::kConnected) {
      SendConnect();
    } else if (silence >= session_timeout() * kSilentTicksToLoss / kTicksPerTimeout) {
      Break();
    } else {
      Send(PingRequest{connection_});
    }
  }

  void EndSession() override {
    if (session_id() != 0) Send(CloseRequest{session_id()});
  }

  static CallRequest::Kind ToRequestKind(CallKind kind) {
    switch (kind) {
      case CallKind::kGet:
        return CallRequest::Kind::kGet;
      case CallKind::kChildren:
        return CallRequest::Kind::kChildren;
      case CallKind::kChange:
        return CallRequest::Kind::kChange;
      case CallKind::kSync:
        return CallRequest::Kind::kSync;
    }
    std::abort();
  }

  void Handle(ConnectedMessage message) {
    if (message.connection != connection_) return;
    last_heard_ = executor()->Now();
    Connected(message.session_id);
  }

  void Handle(PongMessage message) {
    if (message.connection == connection_) last_heard_ = executor()->Now();
  }

  void Handle(ResetMessage message) {
    if (message.connection != connection_) return;
    if (state() == SessionState::kConnected) return Break();
    // It overtook the answer that would have opened the connection. Taken for open, it would be a
    // dead one, which only the silence behind it gives away.
    ++connection_;
    SendConnect();
  }

  void Handle(ExpiredMessage message) {
    if (message.session_id == session_id()) Expired();
  }

  void Handle(FiredMessage message) {
    if (message.session_id == session_id()) Fired(message.watch_id);
  }

  void Handle(AnswerMessage message) {
    if (message.connection != connection_) return;
    last_heard_ = executor()->Now();
    Answered(message.call_id,
             {std::move(message.result), std::move(message.node), std::move(message.children)});
  }

  // The session may live on: asks to go on with it on a new connection.
  void Break() {
    ++connection_;
    Lost();
    if (!closed()) SendConnect();
  }

  void SendConnect() { Send(ConnectRequest{connection_, session_id(), session_timeout()}); }

  void Send(Request request) {
    auto self = std::static_pointer_cast<EmbeddedClient>(shared_from_this());
    server_->Send({id_, self, executor()}, std::move(request));
  }

  // Constant after construction.
  const EmbeddedCoordinationServerPtr server_;
  const ClientId id_;

  // On the executor only.
  ConnectionId connection_ = kNoConnection;
  TimePoint last_heard_{};
};

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
